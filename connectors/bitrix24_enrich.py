"""What a list of a Bitrix24 portal does not show, asked for by the page (facts/bitrix24.md §7.2, §8).

`PRODUCT_ROWS`: the answer of crm.deal.productrows.get. `ASSIGNED_BY`: NAME and LAST_NAME of the person in charge, null
for somebody whom the webhook may not see.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from connectors.base import Row
from connectors.bitrix24_batch import Batches, Command
from connectors.bitrix24_portal import Gone, Portal, is_id, section
from connectors.errors import ConnectorError, Refused, Rejected

REMEMBERED_FOR = 3600.0
UNKNOWN_FOR = 300.0
"""Seconds. Whoever was not visible may have been let in since."""
MOST_REMEMBERED = 10_000
NOBODY = "0"
READINGS = 3
"""How often a row that changes under our hands is read."""


class Name(NamedTuple):
    """What a user is called; either part may be empty."""

    given: str
    family: str


@dataclass(frozen=True)
class Question:
    """What to ask about some rows. `read` makes of the results a value per row id; a row without one is gone."""

    commands: Sequence[Command]
    read: Callable[[Sequence[Any]], Mapping[str, Any]]


class Enrichment(Protocol):
    """One synthetic field."""

    reads: tuple[str, ...]
    """Fields of the row that it needs."""
    scopes: tuple[str, ...]
    """Scopes of which the webhook needs one."""

    def ask(self, rows: Sequence[Row]) -> Question:
        """What is not known yet about `rows`. It and `Question.read` raise ConnectorError for a page that must wait."""


@dataclass(frozen=True)
class Witness:
    """Lists rows once more after all else was read: what was told of a row belongs to the row as it is listed now."""

    command: Callable[[Sequence[str]], Command]
    """Lists the rows of these ids with the fields that they were listed with."""
    read: Callable[[Sequence[str], Any], Sequence[Row]]
    """Makes rows of those ids of the command's result. Raises ConnectorError for a page that must wait."""


def enriched(
    rows: Sequence[Row], enrichments: Mapping[str, Enrichment], witness: Witness, batches: Batches
) -> list[Row]:
    """`rows` with a value under each code of `enrichments`; those that were deleted meanwhile are left out.

    A row that changes meanwhile is read again; one that does not stop changing is left out, for a later poll lists it.
    Raises ConnectorError, and then for the page as a whole.
    """
    steady: list[Row] = []
    for _ in range(READINGS):
        if not rows:
            break
        complete, now = _read_once(rows, enrichments, witness, batches)
        steady += [row for row, before in complete if now.get(row.id) == before]
        rows = [now[row.id] for row, before in complete if row.id in now and now[row.id] != before]
    return sorted(steady, key=lambda row: int(row.id))


def _read_once(
    rows: Sequence[Row], enrichments: Mapping[str, Enrichment], witness: Witness, batches: Batches
) -> tuple[list[tuple[Row, Row]], Mapping[str, Row]]:
    """The complete rows, each with its listing before, and how each is listed now. All commands leave together."""
    questions = {code: enrichment.ask(rows) for code, enrichment in enrichments.items()}
    asked = [command for question in questions.values() for command in question.commands]
    ids = [row.id for row in rows]
    # Where every name is remembered nothing is read, and there is nothing to witness.
    results = batches.run([*asked, witness.command(ids)]) if asked else []
    complete = [(row, row) for row in rows]
    for code, question in questions.items():
        count = len(question.commands)
        values, results = question.read(results[:count]), results[count:]
        complete = [
            (replace(row, fields={**row.fields, code: values[row.id]}), before)
            for row, before in complete
            if row.id in values
        ]
    now = witness.read(ids, results[0]) if asked else rows
    return complete, {row.id: row for row in now}


class ProductRows:
    """`PRODUCT_ROWS` of deals."""

    METHOD = "crm.deal.productrows.get"
    reads: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("crm",)

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def ask(self, rows: Sequence[Row]) -> Question:
        if held := self._portal.held(self.METHOD):
            # Users and witness would leave without the rows, for nothing.
            raise held
        return Question([Command(self.METHOD, {"id": row.id}) for row in rows], partial(self._read, rows))

    def _read(self, rows: Sequence[Row], results: Sequence[Any]) -> Mapping[str, Any]:
        answered = [pair for pair in zip(rows, results, strict=True) if not isinstance(pair[1], Gone)]
        return {row.id: objects_of(self._portal, self.METHOD, result) for row, result in answered}


class AssignedBy:
    """`ASSIGNED_BY` of any entity. Names are remembered by the process, so a page asks for the new ones only."""

    METHOD = "user.get"
    reads: tuple[str, ...] = ("ASSIGNED_BY_ID",)
    scopes: tuple[str, ...] = ("user", "user_basic", "user_brief")

    def __init__(self, portal: Portal, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._portal = portal
        self._names = Names(clock)

    def ask(self, rows: Sequence[Row]) -> Question:
        users = {row.id: _user_id(row.fields.get("ASSIGNED_BY_ID")) for row in rows}
        wanted = set(users.values()) - {NOBODY}
        known = self._names.known(wanted)
        unknown = sorted(wanted - known.keys(), key=int)
        return Question(_one_command(self.METHOD, unknown), partial(self._read, users, known, unknown))

    def _read(
        self, users: Mapping[str, str], known: Mapping[str, Name | None], unknown: list[str], results: Sequence[Any]
    ) -> Mapping[str, Any]:
        shown = [user for result in results for user in objects_of(self._portal, self.METHOD, result)]
        found = {_user_id(user.get("ID")): user for user in shown}
        if found.keys() - set(unknown):
            raise self._portal.unusable(self.METHOD, "users that nobody asked for")
        asked = {user: _name(found.get(user)) for user in unknown}
        self._names.remember(asked)
        names = {NOBODY: None, **known, **asked}
        return {row: _shown(names[user]) for row, user in users.items()}


def _one_command(method: str, users: Sequence[str]) -> list[Command]:
    """One for all of them: a page of a list has no more users than a page of `user.get`."""
    if not users:
        return []
    wanted = {f"FILTER[@ID][{number}]": user for number, user in enumerate(users)}
    return [Command(method, wanted | {"select[0]": "ID", "select[1]": "NAME", "select[2]": "LAST_NAME"})]


def _user_id(value: Any) -> str:
    text = str(value)
    return str(int(text)) if is_id(text) else NOBODY


def _name(user: Mapping[str, Any] | None) -> Name | None:
    return None if user is None else Name(str(user.get("NAME") or ""), str(user.get("LAST_NAME") or ""))


def _shown(name: Name | None) -> dict[str, str] | None:
    return None if name is None else {"NAME": name.given, "LAST_NAME": name.family}


def objects_of(portal: Portal, method: str, result: Any) -> list[Any]:
    """The list of objects that `method` answers with; what it answers instead ends the page."""
    if isinstance(result, Rejected):
        # A list has shown this row to the same webhook: what is refused here is not the record but our right to read.
        raise Refused(str(result))
    if isinstance(result, ConnectorError):
        raise result
    items = list(section(result).values())
    if not isinstance(result, list | dict) or not all(isinstance(item, dict) for item in items):
        raise portal.unusable(method, "the result is not a list")
    return items


class Names:
    """Names of users by id, or None for those whom nobody may see; bounded, and safe for many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, Name | None]] = {}
        """Until when, and the name; the longest unrefreshed comes first."""

    def known(self, users: Iterable[str]) -> dict[str, Name | None]:
        """What is remembered of `users` and not too old."""
        with self._lock:
            now = self._clock()
            held = {user: self._held[user] for user in users if user in self._held}
        return {user: name for user, (ends, name) in held.items() if now < ends}

    def remember(self, names: Mapping[str, Name | None]) -> None:
        with self._lock:
            now = self._clock()
            for user, name in names.items():
                self._held.pop(user, None)
                self._held[user] = (now + (UNKNOWN_FOR if name is None else REMEMBERED_FOR), name)
            while len(self._held) > MOST_REMEMBERED:
                del self._held[next(iter(self._held))]
