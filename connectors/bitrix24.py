"""Bitrix24 over an incoming webhook: contacts to read, and their status field to write (facts/bitrix24.md).

Auth: the webhook's URL is the secret. Limits: 2 calls a second and 50 at once per portal and source address, 5 and 250
on Enterprise; and 480 s of running time per method in ten minutes. Quirks, pinned by tests/contract/test_connectors.py
and tests/unit/test_connector_bitrix24.py: unknown field codes are ignored in silence; a batch answers 200 when each of
its commands failed; 503 means too many requests; empty maps come as lists; a renamed portal answers 302.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from connectors.base import FieldNeed, Finding, Note, Page, Row, Secret, TargetEntity, Window
from connectors.bitrix24_portal import Portal, moment, section
from connectors.budget import Rate
from connectors.coalesce import Coalescer
from connectors.errors import ConnectorError, Refused

if TYPE_CHECKING:
    from redis import Redis

PAGE = 50
COMMANDS_PER_BATCH = 50
LONGEST_ID = 18
PLANS = {"standard": Rate(2.0, 40), "enterprise": Rate(5.0, 200)}
"""The documented drain, and less than the documented burst: the vendor's bucket drains in steps of a second."""
LARGEST_SKEW = timedelta(seconds=60)
WEBHOOK = re.compile(r"https?://[^/@\s]+/rest/[0-9]+/[A-Za-z0-9]+/?")


@dataclass(frozen=True)
class Bitrix24Config:
    """`[connections.*]` with `system = "bitrix24"`."""

    webhook_url: Secret = field(metadata={"help": "the incoming webhook: https://PORTAL/rest/USER/SECRET/"})
    plan: Literal["standard", "enterprise"] = field(
        default="standard", metadata={"help": "the portal's tariff, which sets how often it may be called"}
    )
    requests_per_second: float | None = field(
        default=None, metadata={"help": "calls a second, instead of the plan's", "min": 0.01}
    )
    burst: int | None = field(default=None, metadata={"help": "calls at once, instead of the plan's", "min": 1})
    egress: str = field(
        default="", metadata={"help": "a name for the address we call from: portals count each address apart"}
    )
    operating_limit: timedelta = field(
        default=timedelta(seconds=480), metadata={"help": "running time that a method may use in ten minutes"}
    )
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the portal"})
    read_timeout: timedelta = field(
        default=timedelta(seconds=65), metadata={"help": "between two parts of an answer; the portal gives up at 60 s"}
    )
    deadline: timedelta = field(default=timedelta(seconds=70), metadata={"help": "for a call with all its repeats"})

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not WEBHOOK.fullmatch(self.webhook_url):
            yield "webhook_url", "must look like https://PORTAL/rest/USER/SECRET/, without a method's name"

    @property
    def host(self) -> str:
        return urlsplit(self.webhook_url).netloc

    @property
    def account(self) -> str:
        """Whose calls are counted together; holds no part of the secret."""
        return "@".join(filter(None, ["bitrix24:" + self.host, self.egress]))

    @property
    def rate(self) -> Rate:
        plan = PLANS[self.plan]
        return Rate(self.requests_per_second or plan.per_second, self.burst or plan.burst)


@dataclass(frozen=True)
class Entity:
    """A kind of CRM entity with classic methods. Its rows carry ID, DATE_CREATE and DATE_MODIFY."""

    list_method: str
    update_method: str
    fields_method: str


ENTITIES = {"contacts": Entity("crm.contact.list", "crm.contact.update", "crm.contact.fields")}


@dataclass(frozen=True)
class _Write:
    """A value for one field of one entity, on its way into a batch."""

    id: str
    code: str
    value: str


class Bitrix24:
    """A portal. Its entities can be read, and take notes; none is written yet."""

    def __init__(self, config: Bitrix24Config, redis: "Redis", *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._portal = Portal(config, redis, sleep=sleep)
        self._sources = {name: Bitrix24Source(self._portal, entity) for name, entity in ENTITIES.items()}

    def source(self, entity: str) -> "Bitrix24Source":
        return self._sources[entity]

    def target(self, entity: str) -> TargetEntity:
        raise KeyError(entity)

    def headroom(self) -> int:
        return self._portal.http.headroom(calls_per_record=1)

    def probe(self) -> None:
        self._portal.call("profile")

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """The webhook's scope, the portal's clock, and every field in `needs`."""
        method = ENTITIES[entity].fields_method
        try:
            yield from self._check_webhook()
            yield from self._check_fields(method, needs)
        except ConnectorError as error:
            yield Finding("error", str(error), "what comes after it could not be checked")

    def _check_webhook(self) -> Iterator[Finding]:
        answer = self._portal.call("scope")
        if "crm" in section(answer["result"]).values():
            yield Finding("ok", f"{self._portal.name}: the webhook works and has the scope crm")
        else:
            yield Finding("error", f"{self._portal.name}: the webhook lacks the scope crm", "tick it in the webhook")
        clock = self._portal.server_time("scope", answer)
        skew = abs(clock - datetime.now(UTC))
        if skew > LARGEST_SKEW:
            text = f"{self._portal.name}: its clock and ours differ by {skew.total_seconds():.0f} s"
            yield Finding("warning", text, "nothing is lost by it, but times in reports will look odd")
        else:
            yield Finding("ok", f"{self._portal.name}: the clocks agree; its time zone is {clock:%z}")

    def _check_fields(self, method: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        fields = section(self._portal.call(method)["result"])
        for need in needs:
            faults = list(_faults(need, fields.get(need.code)))
            for fault in faults:
                yield Finding("error", f"{self._portal.name}: field {need.code} ({need.label}) {fault}")
            if not faults:
                yield Finding("ok", f"{self._portal.name}: field {need.code} ({need.label})")


def _faults(need: FieldNeed, found: Any) -> Iterator[str]:
    """What is wrong with a field as `*.fields` describes it."""
    if not isinstance(found, dict):
        yield "does not exist"
        return
    if need.types and found.get("type") not in need.types:
        yield f"is of type {found.get('type')}, expected {' or '.join(need.types)}"
    if need.writable and (found.get("isReadOnly") or found.get("isMultiple") or found.get("type") != "string"):
        yield "cannot take a text: it must be a writable, single string"
    known = {str(item.get("ID")) for item in section(found.get("items")).values() if isinstance(item, dict)}
    if lost := sorted(option for option in need.options if str(option) not in known):
        yield f"has no option {', '.join(map(str, lost))}"


class Bitrix24Source:
    """One kind of entity of a portal."""

    def __init__(self, portal: Portal, entity: Entity) -> None:
        self._portal = portal
        self._entity = entity
        self._writes: Coalescer[_Write, None] = Coalescer(self._send, limit=COMMANDS_PER_BATCH)

    def page(self, window: Window, fields: Sequence[str]) -> Page:
        """As `SourceEntity`, at most 50 rows."""
        after = int(window.after_id or 0)
        condition = {">=DATE_MODIFY": _stamp(window.modified_since)}
        if window.created_since is not None:
            condition[">=DATE_CREATE"] = _stamp(window.created_since)
        while True:
            rows, server_time = self._list({**condition, ">ID": after}, fields)
            ids = [after, *(int(row.id) for row in rows)]
            if any(later <= earlier for earlier, later in pairwise(ids)):
                raise self._unusable("page out of order")
            is_last = len(rows) < PAGE
            young = tuple(row for row in rows if self._is_young(row, window.created_since))
            # A page that loses all its rows to the creation date would not tell the caller where to go on.
            if young or is_last:
                return Page(young, last=is_last, server_time=server_time)
            after = ids[-1]

    def read(self, ids: Sequence[str], fields: Sequence[str]) -> tuple[Row, ...]:
        """As `SourceEntity`. What is no id of this portal is absent like a deleted one."""
        wanted = sorted({int(id_) for id_ in ids if _is_id(id_)})
        found: list[Row] = []
        for start in range(0, len(wanted), PAGE):
            asked = wanted[start : start + PAGE]
            rows, _ = self._list({"@ID": asked}, fields)
            if {int(row.id) for row in rows} - set(asked):
                raise self._unusable("rows that nobody asked for")
            found += rows
        return tuple(found)

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        """As `SourceEntity`; the notes of concurrent callers travel together, up to 50 in a call."""
        return self._writes.submit([_Write(note.id, field, note.text) for note in notes])

    def _list(self, condition: Mapping[str, Any], fields: Sequence[str]) -> tuple[list[Row], datetime]:
        method = self._entity.list_method
        select = list(dict.fromkeys(["ID", "DATE_MODIFY", "DATE_CREATE", *fields]))
        # `start: -1` saves the portal the count, which costs it five hundred times the page (facts §0.12).
        params = {"filter": condition, "order": {"ID": "ASC"}, "start": -1, "select": select}
        answer = self._portal.call(method, params)
        if not isinstance(answer["result"], list):
            raise self._unusable("the result is not a list")
        rows = [self._row(shown) for shown in answer["result"]]
        self._require_known(fields, rows)
        return rows, self._portal.server_time(method, answer)

    def _row(self, shown: Any) -> Row:
        if not isinstance(shown, dict) or not _is_id(id_ := str(shown.get("ID"))):
            raise self._unusable("a row without ID")
        modified = moment(shown.get("DATE_MODIFY"))
        if modified is None:
            raise self._unusable(f"row {id_} without a readable DATE_MODIFY")
        return Row(str(int(id_)), shown, modified)

    def _require_known(self, fields: Sequence[str], rows: Sequence[Row]) -> None:
        """A custom field that exists is in every row, be it empty; one that does not is left out without a word.

        Passed on, a mistyped code would look like a field that is empty everywhere, and blank it in the target.
        """
        lost = [code for code in fields if code.startswith("UF_") and not any(code in row.fields for row in rows)]
        if rows and lost:
            raise Refused(f"{self._portal.name} {self._entity.list_method}: there is no field {', '.join(lost)}")

    def _is_young(self, row: Row, created_since: datetime | None) -> bool:
        """Checked again because a portal may ignore a filter that it does not know (facts §5.1)."""
        if created_since is None:
            return True
        created = moment(row.fields.get("DATE_CREATE"))
        if created is None:
            raise self._unusable(f"row {row.id} without a readable DATE_CREATE")
        return created >= created_since.replace(microsecond=0)

    def _send(self, writes: list[_Write]) -> list[ConnectorError | None]:
        # Keys that are not numbers keep PHP from turning the answer's maps into lists.
        commands = {f"c{number}": self._command(write) for number, write in enumerate(writes)}
        result = self._portal.call("batch", {"halt": 0, "cmd": commands})["result"]
        if not isinstance(result, dict):
            raise self._portal.unusable("batch", "the answer holds no results")
        done, failed = section(result.get("result")), section(result.get("result_error"))
        return [self._outcome(key, done, failed) for key in commands]

    def _command(self, write: _Write) -> str:
        values = {"id": write.id, f"fields[{write.code}]": write.value}
        return f"{self._entity.update_method}?{urlencode(values, quote_via=quote, errors='replace')}"

    def _outcome(self, key: str, done: Mapping[str, Any], failed: Mapping[str, Any]) -> ConnectorError | None:
        if key in failed:
            return self._portal.command_error(self._entity.update_method, failed[key])
        if done.get(key) is True:
            return None
        # Not executed, or nobody knows: a status text may be written again.
        return self._portal.unusable("batch", "a command was not executed")

    def _unusable(self, what: str) -> ConnectorError:
        return self._portal.unusable(self._entity.list_method, what)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID


def _stamp(when: datetime) -> str:
    """With its offset: without one a portal would read it in a zone of its own. Whole seconds, rounded down."""
    if when.tzinfo is None:
        raise ValueError("a time without its offset")
    return when.isoformat(timespec="seconds")
