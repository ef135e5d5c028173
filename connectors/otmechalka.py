"""otmechalka: clients to find, create and update by the Bitrix24 contact's id (facts/otmechalka.md).

Auth: a token in a header. Limits: unknown, 2 calls a second assumed; 5,000 active clients. The vendor has published no
API, so every assumption about the wire is a key of the configuration. Quirks, pinned by tests/contract/
test_connectors.py and tests/unit/test_connector_otmechalka.py: a client that exists answers 409, or 400 about
origin_id, and is then updated; an update of an unknown one answers 404; a slash ends every path; errors look as
Django's do.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from connectors.answer import Answer, Garbage, Lost, meaning_of_status
from connectors.base import FieldNeed, Finding, Found, Secret, SourceEntity, WriteClass
from connectors.breaker import Breaker
from connectors.budget import Budget, Rate
from connectors.complaint import Complaint
from connectors.errors import ConnectorError, LimitReached, Refused, Rejected, Throttled, Transient
from connectors.http import Http

if TYPE_CHECKING:
    from redis import Redis

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[^?#\s]*)?")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
PRINTABLE = re.compile(r"[!-~]+")
THROTTLED_WAIT = 5.0
CALLS_PER_RECORD = 2
"""Find, then create or update."""
LIMIT_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
WRONG_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Of a call that names no record these say that we speak to something else, or in another manner than it expects."""
INTRO = "Отмечалка не приняла"


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

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def account(self) -> str:
        return f"otmechalka:{self.host}"


@dataclass(frozen=True)
class Entity:
    """A kind of entity: its place in the API, the field that holds our key, and the fields' names for people."""

    path: str
    key: str
    labels: Mapping[str, str]


ENTITIES = {
    "clients": Entity(
        path="clients",
        key="origin_id",
        labels={
            "origin_id": "внешний код",
            "last_name": "фамилия ученика",
            "first_name": "имя ученика",
            "phone": "телефон",
            "email": "e-mail",
            "courses": "направления",
            "branchoffices": "филиалы",
            "birthdate": "дата рождения",
            "gender": "пол",
            "additional_data": "дополнительные данные",
        },
    )
}


class Duplicate(Rejected):
    """The target says that an entity with our key exists already."""


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

    def target(self, entity: str) -> "OtmechalkaTarget":
        return self._targets[entity]

    def headroom(self) -> int:
        return self._http.headroom(CALLS_PER_RECORD)

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


class OtmechalkaTarget:
    """One kind of entity of a school."""

    write_class = WriteClass.CREATE_AND_FIND

    def __init__(self, config: OtmechalkaConfig, entity: Entity, http: Http, budget: Budget) -> None:
        self.settle = config.settle
        self._config, self._entity, self._http, self._budget = config, entity, http, budget

    def find(self, key: str) -> Found | None:
        return self._call("GET", "find", key)

    def create(self, payload: Mapping[str, Any]) -> str:
        """As `TargetEntity`. What exists already is updated: the key is unique, so it is our own earlier write."""
        key = str(payload[self._entity.key])
        try:
            created = self._call("POST", "create", key, payload)
        except Duplicate as duplicate:
            created = self._call(self._config.update_method, "update", key, payload)
            if created is None:
                raise duplicate from None
        assert created  # noqa: S101 - no answer to a creation is read as an absence
        return created.id

    def update(self, key: str, payload: Mapping[str, Any]) -> str | None:
        updated = self._call(self._config.update_method, "update", key, payload)
        return updated.id if updated else None

    def _call(self, method: str, verb: str, key: str, payload: Mapping[str, Any] | None = None) -> Found | None:
        place = "" if verb == "create" else f"{quote(key, safe='')}/"
        return self._http.call(
            method,
            f"{self._config.base_url.rstrip('/')}/api/{self._entity.path}/{place}",
            name=f"{verb} {self._entity.path}",
            payload=payload,
            repeatable=verb == "find",
            read=partial(self._read, verb, key),
        )

    def _read(self, verb: str, key: str, answer: Answer) -> Found | None:
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return self._found(verb, key, answer)
        if answer.status == HTTPStatus.NOT_FOUND and verb != "create" and self._is_absence(answer):
            return None
        raise self._error(verb, answer)

    def _is_absence(self, answer: Answer) -> bool:
        """Without JSON a 404 is what a wrong address or a server being updated shows: no word about the key."""
        if self._config.absent_as_any_404:
            return True
        is_json = "json" in answer.headers.get("Content-Type", "")
        if is_json:
            answer.json()
        return is_json

    def _found(self, verb: str, key: str, answer: Answer) -> Found | None:
        body = answer.json()
        if self._config.absent_as_empty_200 and verb != "create" and body in (None, {}, {"id": None}):
            return None
        found = body if isinstance(body, dict) else {}
        id_ = str(found.get("id"))
        is_ours = str(found.get(self._entity.key, key)) == key
        if not (id_.isascii() and id_.isdecimal() and is_ours):
            raise Garbage(answer.describe())
        return Found(id_, found)

    def _error(self, verb: str, answer: Answer) -> ConnectorError | Lost:
        if answer.is_redirect:
            return Refused(f"otmechalka {self._config.host}: redirects to {answer.moved_to}: change base_url")
        complaint = Complaint.of(answer)
        known = sorted(complaint.fields & self._entity.labels.keys())
        reason = " ".join([answer.describe(), *(["about", ", ".join(known)] if known else [])])
        message = f"otmechalka {self._config.host} {verb} {self._entity.path}: {reason}"
        meaning = self._meaning(verb, answer.status, complaint)
        if meaning is Lost:
            return Lost(reason, wait=answer.retry_after)
        if issubclass(meaning, Throttled):
            self._budget.penalise(answer.retry_after or THROTTLED_WAIT)
        if issubclass(meaning, Transient):
            return meaning(message, wait=answer.retry_after)
        if issubclass(meaning, Rejected):
            return meaning(message, told=self._told(complaint, answer.status))
        return meaning(message)

    def _meaning(self, verb: str, status: int, complaint: Complaint) -> type[ConnectorError | Lost]:
        if status in LIMIT_STATUSES and complaint.mentions(self._config.limit_words):
            return LimitReached
        if verb == "create":
            is_about_key = status == HTTPStatus.BAD_REQUEST and self._entity.key in complaint.fields
            if status in self._config.duplicate_statuses or is_about_key:
                return Duplicate
        return Refused if status in WRONG_ADDRESS else meaning_of_status(status)

    def _told(self, complaint: Complaint, status: int) -> str:
        return complaint.told(
            INTRO, self._entity.labels, secrets=[self._config.token], otherwise=f"ошибка {status} без объяснения"
        )
