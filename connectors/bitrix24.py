"""Bitrix24 over an incoming webhook: contacts and deals to read, and their status field to write (facts/bitrix24.md).

Auth: the webhook's URL is the secret. Limits: 2 calls a second and 50 at once per portal and source address, 5 and 250
on Enterprise; and 480 s of running time per webhook and method in ten minutes. Quirks, pinned by tests/contract/
test_connectors.py and tests/unit/test_connector_bitrix24*.py: unknown codes of fields and filters are ignored in
silence; a batch answers 200 when each of its commands failed; 503 means too many requests; empty maps come as lists;
a renamed portal answers 302; what a list shows may be gone when its product rows are asked for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.base import FieldNeed, Finding, Health, TargetEntity
from connectors.bitrix24_batch import Batches
from connectors.bitrix24_config import Bitrix24Config
from connectors.bitrix24_enrich import AssignedBy, Enrichment, ProductRows
from connectors.bitrix24_portal import Portal, section
from connectors.bitrix24_source import ENTITIES, Bitrix24Source
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from redis import Redis

LARGEST_SKEW = timedelta(seconds=60)


class Bitrix24:
    """A portal. Its entities can be read, and take notes; none is written yet."""

    def __init__(
        self,
        config: Bitrix24Config,
        redis: "Redis",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._portal = Portal(config, redis, sleep=sleep)
        self._enrichments: dict[str, Enrichment] = {
            "PRODUCT_ROWS": ProductRows(self._portal),
            "ASSIGNED_BY": AssignedBy(self._portal, clock=clock),
        }
        batches = Batches(self._portal)
        self._sources = {
            name: Bitrix24Source(
                self._portal, batches, entity, {code: self._enrichments[code] for code in entity.synthetic}
            )
            for name, entity in ENTITIES.items()
        }

    def source(self, entity: str) -> Bitrix24Source:
        return self._sources[entity]

    def target(self, entity: str) -> TargetEntity:
        raise KeyError(entity)

    def headroom(self) -> int:
        return self._portal.http.headroom(calls_per_record=1)

    def health(self) -> Health:
        return self._portal.http.health()

    def probe(self) -> None:
        self._portal.call("profile")

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """The webhook's scopes, the portal's clock, and every field in `needs`."""
        kind = ENTITIES[entity]
        synthetic = [need for need in needs if need.code in kind.synthetic]
        scopes = [("crm",), *(self._enrichments[need.code].scopes for need in synthetic)]
        try:
            yield from self._check_webhook(list(dict.fromkeys(scopes)))
            yield from self._check_fields(kind.fields_method, [need for need in needs if need not in synthetic])
        except ConnectorError as error:
            yield Finding("error", str(error), "what comes after it could not be checked")

    def _check_webhook(self, scopes: Sequence[tuple[str, ...]]) -> Iterator[Finding]:
        """`scopes`: of each tuple one is needed."""
        answer = self._portal.call("scope")
        granted = {str(scope) for scope in section(answer["result"]).values()}
        for wanted in scopes:
            yield _scope_finding(self._portal.name, wanted, granted)
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


def _scope_finding(name: str, wanted: tuple[str, ...], granted: set[str]) -> Finding:
    found = next((scope for scope in wanted if scope in granted), None)
    if found:
        return Finding("ok", f"{name}: the webhook works and has the scope {found}")
    return Finding("error", f"{name}: the webhook lacks the scope {' or '.join(wanted)}", "tick it in the webhook")


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
