"""The verdict of a simulated world: by what source and target remember, and nothing of Parom's own books.

Every violation reads "FLOW KEY: what".
"""

from collections.abc import Iterator

from marshmallow import ValidationError

from mappings.outcome import Skipped, told


def judge(world) -> Iterator[str]:
    """All broken promises of a world that was healed and has come to rest."""
    for ticket, client in _sent_before_their_clients(world):
        yield f"tickets {ticket}: sent before its client {client}"
    for side in world.sides:
        for key in side.source.versions:
            for violation in _of_record(world, side, key):
                yield f"{side.flow.name} {key}: {violation}"


def _sent_before_their_clients(world):
    created: dict[str, int] = {}
    for write in world.students.target.log:
        created.setdefault(write.key, write.number)
    for write in world.tickets.target.asked:
        client = write.payload["client"]
        if created.get(client, write.number) >= write.number:
            yield write.key, client


def _of_record(world, side, key):
    versions, writes = side.source.versions[key], [write for write in side.target.log if write.key == key]
    if key in side.target.twice:
        yield f"duplicated: {writes}"
    if not _is_walk(side, versions, writes):
        yield f"reordered: {writes} of {versions}"
    if key not in side.source.rows:
        return  # nobody knows in which version it was last seen before it was deleted
    payload = _payload(side, versions[-1].fields)
    if payload and not _is_held(world, side, key, payload, writes):
        yield f"lost: {payload} is not {side.target.held.get(key)}"
    shown, expected = side.source.notes.get(key, ""), _notes(world, side, key)
    if not shown.startswith(expected):
        yield f"noted: {shown!r} is not {expected!r}"


def _payload(side, fields):
    """What the target should hold, or None if these fields are not for it."""
    try:
        mapped = side.flow.mapping.map(fields, today=None)
    except ValidationError:
        return None
    return None if isinstance(mapped, Skipped) else mapped.payload


def _is_walk(side, versions, writes) -> bool:
    """Whether the writes go through the source's versions forwards, each known by then."""
    known = [(version.number, _payload(side, version.fields)) for version in versions]
    at = 0
    for write in writes:
        if write.verb == "delete":
            continue
        fits = (n for n in range(at, len(known)) if known[n][1] == write.payload and known[n][0] < write.number)
        if (at := next(fits, -1)) < 0:
            return False
    return True


def _is_held(world, side, key, payload, writes) -> bool:
    held = side.target.held.get(key)
    if side is world.tickets:  # never rewritten, so any version will do
        return held is not None or not _has_client(world, payload["client"])
    # What a person deleted in the target comes back with the next change, and without one does not.
    is_deleted = held is None and len(writes) > 1 and writes[-1].verb == "delete"
    return held == payload or (is_deleted and writes[-2].payload == payload)


def _has_client(world, client) -> bool:
    source = world.students.source
    is_valid = client in source.rows and _payload(world.students, source.versions[client][-1].fields)
    return bool(is_valid and client in world.students.target.held)


def _notes(world, side, key) -> tuple[str, ...]:
    """How the note may begin."""
    done, fields = side.flow.success_note, side.source.versions[key][-1].fields
    is_sold = side is world.tickets and key in side.target.held
    try:
        mapped = side.flow.mapping.map(fields, today=None)
    except ValidationError as error:
        return (told(error), done) if is_sold else (told(error),)
    if isinstance(mapped, Skipped) or side is world.students or is_sold:
        return (done,)
    return ("Ожидает",)
