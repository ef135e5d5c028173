"""amoCRM and Kommo: contacts, companies and leads to read and to write, and events for their leads (facts/amocrm.md).

Auth: a long-lived token, or OAuth2 with refresh tokens that work once (connectors/amocrm_tokens.py). Limits: 7 calls a
second per integration and 50 per account; whoever disregards them is shut out until the support lets him in. Quirks,
pinned by tests/unit/test_connector_amocrm*.py: 204 means empty; 429 comes as HTML or JSON; 403 as HTML is that ban, as
JSON a missing right; filters may be ignored; a write replaces all values of a field that has several; `updated_at` has
seconds only; fields that are empty are not shown at all.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.amocrm_account import Account
from connectors.amocrm_api import Api
from connectors.amocrm_check import Check
from connectors.amocrm_claims import Claims
from connectors.amocrm_clients import Companies, Contacts
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_entities import Entities
from connectors.amocrm_events import Events
from connectors.amocrm_leads import Leads
from connectors.amocrm_listing import Listing
from connectors.amocrm_source import AmoCrmSource
from connectors.base import FieldNeed, Finding, Health, SourceEntity, TargetEntity, Vault

if TYPE_CHECKING:
    from redis import Redis

CALLS_PER_RECORD = 1
"""A new one takes two or three, a changed one shares its calls with many."""
ENTITIES = ("contacts", "companies", "leads")


class AmoCrm:
    """An account. `vault` keeps the tokens of OAuth2; a long-lived token needs none."""

    def __init__(
        self,
        config: AmoCrmConfig,
        redis: "Redis",
        *,
        sleep: Callable[[float], None] = time.sleep,
        vault: Vault | None = None,
    ) -> None:
        self._api = Api(config, redis, vault=vault, sleep=sleep)
        account = self._account = Account(self._api)
        kinds = {kind: Entities(self._api, account, kind) for kind in ENTITIES}
        self._sources: Mapping[str, SourceEntity] = {
            kind: AmoCrmSource(kind, kinds, Listing(self._api, account, kinds[kind]), config) for kind in ENTITIES
        }
        claims = Claims(redis, config.account, settle=config.settle)
        self._targets: Mapping[str, TargetEntity] = {
            "contacts": Contacts(kinds["contacts"], config, claims),
            "companies": Companies(kinds["companies"], config, claims),
            "leads": Leads(kinds["leads"], config, claims, self._api),
            "events": Events(self._api, kinds["leads"], config),
        }
        self._check = Check(self._api, account, kinds, config)

    def source(self, entity: str) -> SourceEntity:
        return self._sources[entity]

    def target(self, entity: str) -> TargetEntity:
        return self._targets[entity]

    def headroom(self) -> int:
        return self._api.http.headroom(CALLS_PER_RECORD)

    def health(self) -> Health:
        return self._api.http.health()

    def probe(self) -> None:
        self._account.shown()

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """The account, its clock and filters, the token's end, our fields, stages, users, and everything in `needs`."""
        if entity not in self._targets:
            raise KeyError(entity)
        yield from self._check.run(entity, needs)
