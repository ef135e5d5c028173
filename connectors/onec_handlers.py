"""A 1C base that speaks the `1c_public` protocol: pushes its changes, takes amoCRM's (brief 001, facts/onec.md D).

Auth: Basic, with what the base registered. Limits: few calls at a time (A6). Quirks, pinned by
tests/unit/test_connector_onec_handlers*.py: a contact goes under `company`; errors come with status 200; the address is
a stranger's, so it is approved first and guarded ever after (connectors/outbound.py).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.base import FieldNeed, Finding, Health, Vault
from connectors.errors import ConnectorError
from connectors.onec_handlers_base import current, pending
from connectors.onec_handlers_calls import Handlers
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.onec_handlers_source import FIELDS, Pushed
from connectors.onec_handlers_target import Companies, Contacts, FieldMap, Orders, Target
from connectors.outbound import Resolve

if TYPE_CHECKING:
    from redis import Redis

APPROVE_HINT = "look at it and approve or reject it"


class OneCHandlers:
    """A base of one amoCRM account."""

    def __init__(
        self,
        config: OneCHandlersConfig,
        redis: "Redis",
        *,
        vault: Vault,
        field_map: FieldMap = lambda _: (),
        sleep: Callable[[float], None] = time.sleep,
        resolve: Resolve | None = None,
    ) -> None:
        self._config, self._vault = config, vault
        self._handlers = Handlers(config, redis, vault=vault, sleep=sleep, resolve=resolve)
        self._sources = {entity: Pushed(entity, config, self._handlers.links_host) for entity in FIELDS}
        self._targets: Mapping[str, Target] = {
            "contacts": Contacts(self._handlers, field_map),
            "companies": Companies(self._handlers, field_map),
            "orders": Orders(self._handlers, field_map),
        }

    def source(self, entity: str) -> Pushed:
        return self._sources[entity]

    def target(self, entity: str) -> Target:
        return self._targets[entity]

    def headroom(self) -> int:
        return self._handlers.http.headroom(calls_per_record=1)

    def health(self) -> Health:
        return self._handlers.http.health()

    def probe(self) -> None:
        self._handlers.probe()

    def get_orders(self, lead_id: int) -> list[dict[str, str]]:
        """The documents of a deal (brief §1.1), each of whose links leads into the base, or is empty.

        Raises Transient, Throttled, Refused, Rejected.
        """
        return self._handlers.get_orders(lead_id)

    def handlers_version(self) -> str:
        """Which handlers are installed in the base (brief §1.4). Raises as `get_orders`."""
        return self._handlers.version()

    def send_table(self, rows: Sequence[Mapping[str, Any]], user_id: int | None = None) -> int:
        """Tell the base which amoCRM field is which (brief §1.5); returns how many rows it took.

        Rows: `{"amo_name", "amo_id", "entity_name"}`. Raises Malformed, with nothing sent, and as `get_orders`.
        """
        return self._handlers.send_table(rows, user_id)

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """Whether the base has registered, is approved, answers; `needs` name fields of a row."""
        is_target = entity in self._targets
        if not is_target:
            self._sources[entity]
        config = self._config
        if config.token is None and config.login is None:
            hint = "give it a token as soon as its handlers can send one"
            yield self._finding("warning", "it is believed by its address alone (legacy_addresses)", hint)
        try:
            yield from self._check_base(is_target=is_target)
        except ConnectorError as error:
            level: Any = "error" if is_target else "warning"
            yield Finding(level, str(error), "what comes after it could not be checked")
        yield from (self._needed(entity, need) for need in needs)

    def _check_base(self, *, is_target: bool) -> Iterator[Finding]:
        base, waits = current(self._vault, self._config), pending(self._vault, self._config)
        if waits and base:
            yield self._finding("warning", f"wants to be called at {waits.address.authority}", APPROVE_HINT)
        if base is None:
            level = "error" if is_target else "warning"
            text = f"its address {waits.address.authority} is not approved" if waits else "has not registered yet"
            yield self._finding(level, text, APPROVE_HINT if waits else "start «Первичная синхронизация» in 1C")
            return
        if base.address.scheme == "http":
            yield self._finding("warning", "people's data and the password travel unencrypted", "use https://")
        if base.links_host is None and not self._config.links_host:
            yield self._finding("warning", "url_address names no host: links into the base are left out", "links_host")
        found = self._handlers.version()
        yield self._finding("ok", f"the base answers at {base.address.authority}, with handlers of version {found}")

    def _needed(self, entity: str, need: FieldNeed) -> Finding:
        if need.code in FIELDS.get(entity, ()) and not need.writable:
            return self._finding("ok", f"field {need.code} ({need.label})")
        return self._finding("error", f"field {need.code} ({need.label}) is none that 1C sends")

    def _finding(self, level: Any, text: str, hint: str = "") -> Finding:
        return Finding(level, f"{self._config.title}: {text}", hint)
