"""otmechalka: clients and season tickets, by the ids of Bitrix24's contacts and deals (facts/otmechalka.md).

Auth: a token in a header. Limits: unknown, 2 calls a second assumed; 5,000 active clients. The vendor has published no
API, so every assumption about the wire is a key of the configuration. Quirks, pinned by tests/contract/
test_connectors.py and tests/unit/test_connector_otmechalka.py: an entity that exists answers 409, or 400 about
origin_id, and is then updated, or found if it is a ticket, for no call changes one; an update of an unknown one answers
404; a ticket of an unknown client answers 400 or 404; a slash ends every path; errors look as Django's do.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from connectors.base import FieldNeed, Finding, Health, SourceEntity
from connectors.breaker import Breaker
from connectors.budget import Budget, Rate
from connectors.errors import ConnectorError
from connectors.http import Http
from connectors.otmechalka_config import OtmechalkaConfig
from connectors.otmechalka_target import ENTITIES, OtmechalkaTarget

if TYPE_CHECKING:
    from redis import Redis

CALLS_PER_RECORD = 2
"""Find, then create or update."""


class Otmechalka:
    """A school's account. Its entities can be written; none is read as a source."""

    def __init__(
        self, config: OtmechalkaConfig, redis: "Redis", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._config = config
        self._budget = Budget(redis, config.account, (Rate(config.requests_per_second, config.burst),), sleep=sleep)
        self._http = Http(
            f"otmechalka {config.host}",
            connect=config.connect_timeout,
            read=config.read_timeout,
            deadline=config.deadline,
            headers={config.auth_header: f"{config.auth_scheme} {config.token}".strip()},
            budget=self._budget,
            breaker=Breaker(redis, config.account, probe_lease=config.deadline.total_seconds() + 20),
            sleep=sleep,
        )
        self._targets = {
            name: OtmechalkaTarget(config, entity, self._http, self._budget) for name, entity in ENTITIES.items()
        }

    def source(self, entity: str) -> SourceEntity:
        raise KeyError(entity)

    def target(self, entity: str) -> OtmechalkaTarget:
        return self._targets[entity]

    def headroom(self) -> int:
        return self._http.headroom(CALLS_PER_RECORD)

    def health(self) -> Health:
        return self._http.health()

    def probe(self) -> None:
        """The API has no ping: we look for a client that nobody is."""
        self._targets["clients"].find(self._config.sentinel_origin_id)

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:  # noqa: ARG002 - needs are a source's
        """Whether the API answers to our token; it has no call that would tell more."""
        name = f"otmechalka {self._config.host}"
        if self._config.base_url.startswith("http://"):
            yield Finding("warning", f"{name}: people's data and the token travel unencrypted", "use https://")
        try:
            self._targets[entity].find(self._config.sentinel_origin_id)
        except ConnectorError as error:
            yield Finding("error", str(error), "check base_url, token, auth_header and auth_scheme")
        else:
            yield Finding("ok", f"{name}: the API answers and accepts the token")
