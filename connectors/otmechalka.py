"""otmechalka: clients and season tickets, by the ids of Bitrix24's contacts and deals (facts/otmechalka.md).

Auth: a token in a header. Limits: unknown, 2 calls a second assumed; 5,000 active clients. The vendor has published no
API, so every assumption about the wire is a key of the configuration. Quirks, pinned by tests/contract/
test_connectors.py and tests/unit/test_connector_otmechalka.py: an entity that exists answers 409, or 400 about
origin_id, and is then updated, or found if it is a ticket, for no call changes one; an update of an unknown one answers
404; a ticket of an unknown client answers 400 or 404; a slash ends every path; errors look as Django's do.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from connectors.base import FieldNeed, Finding, Health, Secret, SourceEntity
from connectors.breaker import Breaker
from connectors.budget import Budget, Rate
from connectors.errors import ConnectorError
from connectors.http import Http
from connectors.otmechalka_target import ENTITIES, OtmechalkaTarget

if TYPE_CHECKING:
    from redis import Redis

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[^?#\s]*)?")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
PRINTABLE = re.compile(r"[!-~]+")
CALLS_PER_RECORD = 2
"""Find, then create or update."""


@dataclass(frozen=True)
class OtmechalkaConfig:
    """`[connections.*]` with `system = "otmechalka"`. What the vendor has not told is a key here (facts §9)."""

    base_url: str = field(metadata={"help": "the school's address, without /api/: https://SCHOOL"})
    token: Secret = field(metadata={"help": "the API token"})
    auth_header: str = field(default="Authorization", metadata={"help": "the header that carries the token"})
    auth_scheme: str = field(default="Token", metadata={"help": "the word before the token; empty for none"})
    requests_per_second: float = field(
        default=2.0, metadata={"help": "calls a second that the server is asked to bear", "min": 0.01}
    )
    burst: int = field(default=2, metadata={"help": "calls at once", "min": 1})
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=30), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=35), metadata={"help": "for a call with all its repeats"})
    settle: timedelta = field(
        default=timedelta(seconds=60), metadata={"help": "how long a write whose answer was lost may stay unseen"}
    )
    update_method: Literal["POST", "PUT", "PATCH"] = field(
        default="POST", metadata={"help": "the HTTP method that updates"}
    )
    absent_as_empty_200: bool = field(
        default=False, metadata={"help": "null, {} or an id of null with 200 means: no such client"}
    )
    absent_as_any_404: bool = field(default=False, metadata={"help": "a 404 without JSON, too, means: no such client"})
    duplicate_statuses: tuple[int, ...] = field(
        default=(409,), metadata={"help": "statuses of a creation that say: it exists"}
    )
    limit_words: tuple[str, ...] = field(
        default=("limit", "лимит"), metadata={"help": "words of an error that say: no more clients"}
    )
    sentinel_origin_id: str = field(
        default="0", metadata={"help": "an id that no client has; reading it shows if the API works"}
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not BASE_URL.fullmatch(self.base_url):
            yield "base_url", "must look like https://SCHOOL"
        if not PRINTABLE.fullmatch(self.token):
            yield "token", "must be of printable Latin characters without spaces"
        if not HEADER_NAME.fullmatch(self.auth_header):
            yield "auth_header", "must be the name of an HTTP header"
        if not PRINTABLE.fullmatch(self.auth_scheme or "-"):
            yield "auth_scheme", "must be one Latin word, or empty"
        if self.settle < self.deadline:
            yield "settle", "must not be shorter than deadline: a write may still be on its way until then"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.lower()

    @property
    def account(self) -> str:
        return f"otmechalka:{self.host}"


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
