"""CoMagic and UIS: contact cards and deals' histories, by the ids of 1C's Interests (facts/comagic.md).

Auth: a token, or a session's token, in the body; calls from addresses that the account does not list are refused.
Limits: points per minute and per day, told by the answers; a call costs one, however many rows it carries, and a failed
one none. Quirks, pinned by tests/unit/test_connector_comagic.py: errors answer 200 and are known by their mnemonic; a
call of many rows is taken as a whole or not at all; an upload creates or updates; times have no offset and are the
account's; what was accepted is worked off later.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from connectors.base import FieldNeed, Finding, Health, SourceEntity, TargetEntity
from connectors.comagic_answer import Duplicate
from connectors.comagic_api import Api
from connectors.comagic_config import CoMagicConfig
from connectors.comagic_target import Contacts, Deals
from connectors.errors import ConnectorError, Throttled
from connectors.points import EVEN_IF_NONE_LEFT

if TYPE_CHECKING:
    from redis import Redis

RECORDS_PER_CALL = 10
"""A guess on the low side: creations and uploads share their calls, updates of contacts do not."""
MOST_FUNNELS = 10_000
STAGE_OF, FIELD = "stage of ", "user_field"
"""Types of `FieldNeed`: a stage, followed by its funnel's ext_id, and a custom field of deals."""
SEEN_AS = "ID обращения"
UNCHECKED = "what comes after it could not be checked"


class CoMagic:
    """An account. Its entities can be written; none is read as a source."""

    def __init__(self, config: CoMagicConfig, redis: "Redis", *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._api = Api(config, redis, sleep=sleep)
        self._targets: Mapping[str, TargetEntity] = {
            "contacts": Contacts(self._api, config),
            "deals": Deals(self._api, config),
        }

    def source(self, entity: str) -> SourceEntity:
        raise KeyError(entity)

    def target(self, entity: str) -> TargetEntity:
        return self._targets[entity]

    def headroom(self) -> int:
        """As `Connector`; 0 until the points that are used up are there again."""
        with suppress(Throttled):
            if self._api.points.headroom() < 1:
                return 0
        calls = self._api.http.headroom(calls_per_record=1)
        return calls if calls == 1 else calls * RECORDS_PER_CALL

    def health(self) -> Health:
        return self._api.http.health()

    def probe(self) -> None:
        """Asks for a funnel: unlike the account itself, it is shown only if contacts and deals may be written."""
        self._api.read("get.sales_funnel", {"limit": 1})

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """The token, the account's time zone, its component, the points, and what the flow needs there.

        Costs two points, and two more for needs. Creates a missing custom field: nothing else would ever do it.
        """
        self._targets[entity]
        name = self._api.name
        if self._config.base_url.startswith("http://"):
            yield Finding("warning", f"{name}: people's data and the token travel unencrypted", "use https://")
        try:
            yield self._zone_finding(self._api.read("get.account", weight=EVEN_IF_NONE_LEFT))
            self._api.read("get.sales_funnel", {"limit": 1}, weight=EVEN_IF_NONE_LEFT)
            yield Finding("ok", f"{name}: the component for contacts and deals is there")
            yield self._points_finding()
            for kind, codes in _by_kind(needs).items():
                yield from self._field_findings(codes) if kind == FIELD else self._funnel_findings(kind, codes)
        except ConnectorError as error:
            yield Finding("error", str(error), UNCHECKED)

    def _funnel_findings(self, funnel: str, stages: Collection[str]) -> Iterator[Finding]:
        """Whether the account has the funnel of this ext_id, and in it the stages. Costs a point."""
        name = self._api.name
        funnels = self._api.read("get.sales_funnel", {"limit": MOST_FUNNELS}, weight=EVEN_IF_NONE_LEFT)
        found = next((item for item in funnels if _text(item, "ext_id") == funnel), None)
        if found is None:
            yield Finding("error", f"{name}: there is no funnel {funnel}", "create it, or correct its ext_id")
            return
        known = {_text(stage, "stage_ext_id") for stage in found.get("stages") or ()}
        lost = sorted(set(stages) - known)
        for stage in lost:
            yield Finding("error", f"{name}: funnel {funnel} has no stage {stage}", "create it, or correct its ext_id")
        if not lost:
            yield Finding("ok", f"{name}: funnel {funnel} has every stage")

    def _field_findings(self, codes: Collection[str]) -> Iterator[Finding]:
        """Create the deals' own fields that are not there yet. Costs up to two points for one field."""
        name = self._api.name
        known = {_text(item, "ext_id") for item in self._api.read("get.deal_user_fields", weight=EVEN_IF_NONE_LEFT)}
        for code in codes:
            if code in known:
                yield Finding("ok", f"{name}: deals have the field {code}")
                continue
            try:
                self._api.write("create.deal_user_field", {"ext_id": code, "name": SEEN_AS, "data_type": "string"})
            except Duplicate:
                yield Finding("ok", f"{name}: deals have the field {code}")
            except ConnectorError as error:
                yield Finding("error", str(error), f"create a text field {code} for deals in the cabinet")
            else:
                yield Finding("ok", f"{name}: deals have the field {code} now")

    def _zone_finding(self, accounts: Sequence[Any]) -> Finding:
        name, ours = self._api.name, self._config.timezone.key
        theirs = _text(accounts[0], "timezone") if accounts else ""
        if theirs == ours:
            return Finding("ok", f"{name}: the API answers, accepts the token, and its time zone is {ours}")
        text = f"{name}: the account's time zone is {theirs or 'not told'}, configured is {ours}"
        return Finding(
            "error" if theirs else "warning", text, "set timezone to the account's, or deals get wrong times"
        )

    def _points_finding(self) -> Finding:
        minute, day = self._api.points.left()
        shown = f"{minute.left} of {minute.limit} points are left this minute, {day.left} of {day.limit} today"
        if day.left:
            return Finding("ok", f"{self._api.name}: {shown}")
        hours = day.reset / 3600
        return Finding(
            "warning", f"{self._api.name}: {shown}", f"deliveries go on in {hours:.1f} h, or buy more points"
        )


def _by_kind(needs: Sequence[FieldNeed]) -> dict[str, list[str]]:
    """Codes of custom fields under FIELD, codes of stages under the ext_id of their funnel."""
    found: dict[str, list[str]] = {}
    for need in needs:
        (kind,) = need.types
        found.setdefault(FIELD if kind == FIELD else kind.removeprefix(STAGE_OF), []).append(need.code)
    return found


def _text(item: Any, key: str) -> str:
    return str(item.get(key) or "") if isinstance(item, dict) else ""
