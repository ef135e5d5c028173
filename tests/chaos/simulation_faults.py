"""All that can go wrong in the simulation: tables of small functions by weight. The first of each is no fault."""

from dataclasses import replace
from datetime import timedelta

from connectors.errors import InDoubt, LimitReached, Refused, Rejected, Throttled, Transient
from tasks.ledger import pauses
from tasks.resync import Choice

# --- calls that read: raise or return ---


def read():
    pass


def unreachable():
    raise Transient("down")


def throttled():
    raise Throttled("slow down", wait=7)


def refused():
    raise Refused("401")


READS = {read: 300, unreachable: 8, throttled: 2, refused: 0.3}

# --- pages of the source: (source, page) -> page ---


def page_as_it_is(_source, page):
    return page


def page_with_a_row_twice(source, page):
    """It changed while the page was made: once as it was, once as it is."""
    if not page.rows:
        return page
    row = source.world.rng.choice(page.rows)
    former = source.versions[row.id][-2:][0]
    old = replace(row, fields={**row.fields, **former.fields}, modified=row.modified - timedelta(seconds=5))
    return replace(page, rows=(old, *page.rows))


PAGES = {page_as_it_is: 20, page_with_a_row_twice: 1}

# --- notes: (source, notes) -> results ---


def notes_taken(source, notes):
    return source.take_notes(notes)


def notes_not_sent(_source, notes):
    return [Transient("down")] * len(notes)


def notes_taken_not_answered(source, notes):
    source.take_notes(notes)
    return [InDoubt("no answer")] * len(notes)


def notes_taken_in_part(source, notes):
    results = source.take_notes(notes[::2])
    return [Transient("too long") if n % 2 else results[n // 2] for n in range(len(notes))]


NOTES = {notes_taken: 20, notes_not_sent: 2, notes_taken_not_answered: 2, notes_taken_in_part: 2}

# --- writes to the target: (target, commit) -> id, None for an update of what is not there ---


def answered(_target, commit):
    return commit()


def written_not_answered(_target, commit):
    commit()
    raise InDoubt("no answer")


def lost_on_the_way(_target, _commit):
    raise InDoubt("no answer")


def landing_late(target, commit):
    target.send_slowly(commit)
    target.world.reach("late one sent")
    raise InDoubt("no answer")


def landing_after_death(target, commit):
    target.send_slowly(commit)
    target.world.kill("late one sent")
    raise InDoubt("no answer")


def not_sent(_target, _commit):
    unreachable()


def not_now(_target, _commit):
    throttled()


def rejected(_target, _commit):
    raise Rejected("400", told="нет")


def key_revoked(_target, _commit):
    refused()


def limit_reached(_target, _commit):
    raise LimitReached("402", told="предел")


ANSWERS = {
    answered: 100,
    written_not_answered: 8,
    lost_on_the_way: 4,
    landing_late: 6,
    landing_after_death: 8,
    not_sent: 5,
    not_now: 3,
    rejected: 2,
    key_revoked: 0.3,
    limit_reached: 0.02,
}

# --- hints to workers: (those that wait, hint) ---


def hint_arrives(hints, hint):
    hints.append(hint)


def hint_lost(_hints, _hint):
    pass


def hint_doubled(hints, hint):
    hints.extend((hint, hint))


def hint_overtakes(hints, hint):
    hints.appendleft(hint)


HINTS = {hint_arrives: 100, hint_lost: 2, hint_doubled: 2, hint_overtakes: 8}

# --- people, to one row of the source or the target: (world, side, key) ---


def edited(world, side, key):
    side.source.edit(key, NAME=world.name())


def edited_and_hinted(world, side, key):
    edited(world, side, key)
    world.hint(side, key)


def edited_in_a_burst(world, side, key):
    for _ in range(world.rng.randint(2, 4)):
        edited_and_hinted(world, side, key)
        world.work(most=2)


def edited_back(world, side, key):
    """A, B, A: perhaps seen in between, perhaps not."""
    name = side.source.rows[key].fields["NAME"]
    edited_and_hinted(world, side, key)
    world.work(most=world.rng.randint(0, 3))
    world.later(world.rng.choice((0, 0.3, 5, 70)))
    side.source.edit(key, NAME=name)


def blanked(_world, side, key):
    side.source.edit(key, NAME="")


def made_not_ours(_world, side, key):
    side.source.edit(key, NAME="-")


def moved_to_another_client(world, side, key):
    if "CLIENT" in side.source.rows[key].fields and world.students.source.versions:
        side.source.edit(key, CLIENT=world.rng.choice(list(world.students.source.versions)))


def deleted_in_the_source(_world, side, key):
    del side.source.rows[key]


def deleted_in_the_target(world, side, key):
    if side is world.students:
        side.target.lose(key)
        edited(world, side, key)


PEOPLE = {
    edited: 20,
    edited_and_hinted: 16,
    edited_in_a_burst: 3,
    edited_back: 6,
    blanked: 4,
    made_not_ours: 3,
    moved_to_another_client: 4,
    deleted_in_the_source: 1,
    deleted_in_the_target: 3,
}

# --- what befalls everybody at once: (world) ---


def all_is_well(world):
    world.redis_server.connected = True
    world.publisher.is_down = False
    for name in world.runtime.flows:
        pauses.resume(world.runtime.ledger, name, only="operator")


def redis_flushed(world):
    all_is_well(world)
    world.redis.flushall()
    world.publisher.hints.clear()


def redis_away(world):
    world.redis_server.connected = False
    world.publisher.is_down = True


def ticked_twice(world):
    world.run("tick")
    world.run("tick")


def polled_out_of_turn(world):
    world.run("force", world.side().flow.name)


def resynced(world):
    side = world.side()
    ids = world.rng.sample(list(side.source.rows), min(2, len(side.source.rows)))
    if ids:
        world.run("resync", (side.flow.name, Choice(ids=ids)))


def failed_resynced(world):
    world.run("resync", (world.side().flow.name, Choice(failed=True)))


def rewound(world):
    world.run("resync", (world.side().flow.name, Choice(since=world.now - timedelta(minutes=2))))


def paused(world):
    pauses.pause(world.runtime.ledger, world.side().flow.name, reason="holidays")


EVERYBODY = {
    all_is_well: 40,
    redis_flushed: 4,
    redis_away: 3,
    ticked_twice: 6,
    polled_out_of_turn: 8,
    resynced: 4,
    failed_resynced: 1,
    rewound: 1,
    paused: 2,
}

# --- while a process is halted: (world, process) ---


def others_work(world, _halted):
    world.run("tick")
    world.work(most=5)


def the_same_is_edited(world, halted):
    """What the halted process has read changes, and others see it and act on it."""
    rows = [(source, key) for source, key in world.rows_of(halted) if key in source.rows]
    if not rows:
        return
    source, key = world.rng.choice(rows)
    side = next(side for side in world.sides if side.source is source)
    edited_and_hinted(world, side, key)
    world.run(world.rng.choice(("look", "force")), side.flow.name)
    world.attempt(side, key)


def the_same_is_attempted(world, halted):
    world.run("force" if halted.kind == "poll" else halted.kind, halted.argument)


def time_passes(world, _halted):
    world.later(world.rng.choice((0.3, 5, 16, 62)))


MEANWHILE = {others_work: 3, the_same_is_edited: 4, the_same_is_attempted: 4, time_passes: 2}

FAULTLESS = frozenset(next(iter(table)) for table in (READS, PAGES, NOTES, ANSWERS, HINTS, EVERYBODY))
