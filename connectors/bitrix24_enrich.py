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
        """What is not known yet about `rows`. `Question.read` raises ConnectorError for a page that must wait."""


def enriched(rows: Sequence[Row], enrichments: Mapping[str, Enrichment], batches: Batches) -> list[Row]:
    """`rows` with a value under each code of `enrichments`; those that were deleted meanwhile are left out.

    All commands leave together. Raises ConnectorError, and then for the page as a whole.
    """
    questions = {code: enrichment.ask(rows) for code, enrichment in enrichments.items()}
    results = batches.run([command for question in questions.values() for command in question.commands])
    for code, question in questions.items():
        count = len(question.commands)
        values, results = question.read(results[:count]), results[count:]
        rows = [replace(row, fields={**row.fields, code: values[row.id]}) for row in rows if row.id in values]
    return list(rows)


class ProductRows:
    """`PRODUCT_ROWS` of deals."""

    METHOD = "crm.deal.productrows.get"
    reads: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("crm",)

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def ask(self, rows: Sequence[Row]) -> Question:
        return Question([Command(self.METHOD, {"id": row.id}) for row in rows], partial(self._read, rows))

    def _read(self, rows: Sequence[Row], results: Sequence[Any]) -> Mapping[str, Any]:
        answered = [pair for pair in zip(rows, results, strict=True) if not isinstance(pair[1], Gone)]
        return {row.id: _listed(self._portal, self.METHOD, result) for row, result in answered}


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
        shown = [user for result in results for user in _listed(self._portal, self.METHOD, result)]
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


def _listed(portal: Portal, method: str, result: Any) -> list[Any]:
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
