"""Many writes in one call, each with its own end (facts/amocrm.md §3, §4): what concurrent callers write goes together.

A call that is refused for some of its entities should have written none of the others, but that is not documented. So
creations are in doubt then, until one of them comes again: whoever brings it has looked for it, and it was not there.
After that, and always where a repeated write does no harm, the others are sent again at once. If nobody is named, each
of them may be to blame: whoever comes again proves nothing then, and goes alone.
A call that was lost may have been too large for the server: the next are half as large.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from connectors.amocrm_answer import GONE, Absent, Fault, Invalid, UnknownUser, told
from connectors.amocrm_api import Api
from connectors.amocrm_shapes import Wire, embedded, lists
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected, Transient

MOST_DOUBTED = 10_000
Written = Wire | ConnectorError


@dataclass(frozen=True)
class Item:
    """One entity to write; `key` comes back with the answer, and is like no other of the same call."""

    key: str
    body: Wire


class Batch:
    """Writes of one kind: `path` takes a list of `entity`."""

    def __init__(
        self,
        api: Api,
        method: str,
        path: str,
        entity: str,
        *,
        repeatable: bool = False,
        label: Callable[[Wire, Fault], str] = lambda _, fault: fault.label,
        stale: Callable[[], None] = lambda: None,
    ) -> None:
        """`label`: how people know what a fault is about. `stale`: a field that was sent does not exist any more."""
        self._api, self._method, self._path, self._entity = api, method, path, entity
        self._repeatable, self._label, self._stale = repeatable, label, stale
        self._size = api.config.batch_rows
        self._is_atomic = repeatable or method == "PATCH"
        self._doubted: set[str] = set()
        self._suspected: set[str] = set()

    def write(self, items: Sequence[Item]) -> list[Written]:
        """One result per item, in order: the entity as the answer shows it, or why it was not written."""
        if any(item.key in self._doubted for item in items):
            self._is_atomic = True
            self._doubted.clear()
        written: dict[int, Written] = {}
        for numbers in _rounds(items):
            self._write_round(items, numbers, written)
        return [written[number] for number in range(len(items))]

    def _write_round(self, items: Sequence[Item], numbers: list[int], written: dict[int, Written]) -> None:
        waiting = numbers
        while waiting:
            now = self._next(items, waiting)
            waiting = waiting[len(now) :]
            try:
                found = self._call([items[number] for number in now])
            except Rejected as refusal:
                waiting = self._without_culprits(items, now, refusal, written) + waiting
            except ConnectorError as error:
                if isinstance(error, InDoubt):
                    self._size = max(1, len(now) // 2)
                # What was not sent ends alike: for the rate, the token or the outage that stopped this one.
                rest = error if not isinstance(error, InDoubt) else self._api.unusable(f"{self._path}: not sent")
                written.update(dict.fromkeys(now, error) | dict.fromkeys(waiting, rest))
                return
            else:
                self._size = min(self._api.config.batch_rows, self._size * 2)
                for number in now:
                    written[number] = found.get(items[number].key) or self._unanswered()

    def _next(self, items: Sequence[Item], waiting: list[int]) -> list[int]:
        """Those to send now."""
        if items[waiting[0]].key in self._suspected:
            self._suspected.discard(items[waiting[0]].key)
            return waiting[:1]
        return list(takewhile(lambda number: items[number].key not in self._suspected, waiting[: self._size]))

    def _call(self, items: Sequence[Item]) -> dict[str, Wire]:
        payload = [{**item.body, "request_id": item.key} for item in items]
        body = self._api.call(self._method, self._path, repeatable=self._repeatable, payload=payload).body
        if not isinstance(body, dict) or not lists(body, self._entity):
            raise self._doubt("the answer cannot be read")
        shown = embedded(body, self._entity)
        return {str(each.get("request_id")): dict(each) for each in shown if isinstance(each.get("id"), int)}

    def _without_culprits(
        self, items: Sequence[Item], numbers: list[int], refusal: Rejected, written: dict[int, Written]
    ) -> list[int]:
        """Settles those of `numbers` that were refused, and returns those to send again; one may be alone to blame."""
        faults = _by_key(refusal, [items[number].key for number in numbers])
        culprits = numbers if len(numbers) == 1 else [number for number in numbers if items[number].key in faults]
        for number in culprits:
            written[number] = self._own(items[number], refusal, faults.get(items[number].key))
        others = [number for number in numbers if number not in culprits]
        if not culprits:
            self._size = max(1, len(numbers) // 2)
        if others and not self._is_atomic:
            remembered = self._doubted if culprits else self._suspected
            if len(remembered) < MOST_DOUBTED:
                remembered.update(items[number].key for number in others)
            doubt = InDoubt(f"{refusal}; what came of the others is not told")
            written.update(dict.fromkeys(others, doubt))
            return []
        return others

    def _own(self, item: Item, refusal: Rejected, faults: Sequence[Fault] | None) -> ConnectorError:
        """What the refusal of a call says of one item; all of it, if `faults` do not tell which are the item's."""
        if not isinstance(refusal, Invalid):
            return type(refusal)(str(refusal), told=refusal.told)
        faults = faults or [fault for each in refusal.faults.values() for fault in each]
        message = f"{self._about}: {faults[0].reason}"
        if any(fault.is_about_field for fault in faults):
            self._stale()
            return Refused(f"{message}: a custom field is gone: run `parom check`")
        if self._method == "PATCH" and any(fault.path == "id" for fault in faults):
            return Absent(message, told=GONE)
        kind = UnknownUser if any(fault.path == "responsible_user_id" for fault in faults) else Rejected
        return kind(message, told=told(faults[:3], lambda fault: self._label(item.body, fault)))

    def _unanswered(self) -> ConnectorError:
        what = "one entity is not in the answer"
        return Absent(f"{self._about}: {what}", told=GONE) if self._repeatable else self._doubt(what)

    def _doubt(self, what: str) -> ConnectorError:
        return (Transient if self._repeatable else InDoubt)(f"{self._about}: {what}")

    @property
    def _about(self) -> str:
        return f"{self._api.name} {self._method} {self._path}"


def _by_key(refusal: Rejected, keys: Sequence[str]) -> Mapping[str, Sequence[Fault]]:
    """The faults by our keys: the API may name an entity by its place in the call instead."""
    if not isinstance(refusal, Invalid):
        return {}
    named = {str(place): key for place, key in enumerate(keys)} | {key: key for key in keys}
    return {named[name]: faults for name, faults in refusal.faults.items() if name in named}


def result_of(written: Any) -> Any:
    """What came of one item. Raises it if it is an error: a copy, for others may hold the same one."""
    if isinstance(written, ConnectorError):
        own = type(written).__new__(type(written), *written.args)
        own.__dict__.update(written.__dict__)
        raise own
    return written


def _rounds(items: Sequence[Item]) -> list[list[int]]:
    """The items' numbers, in calls within which no key comes twice; of equal keys the order is kept."""
    rounds: list[list[int]] = []
    seen: dict[str, int] = {}
    for number, item in enumerate(items):
        turn = seen[item.key] = seen.get(item.key, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(number)
    return rounds
