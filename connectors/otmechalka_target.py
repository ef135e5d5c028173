"""One kind of entity of an otmechalka school: what is sent, and what each answer means (facts/otmechalka.md §2, §9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.answer import Answer, Garbage, Lost, meaning_of_status
from connectors.base import Found, WriteClass
from connectors.budget import Budget
from connectors.complaint import Complaint
from connectors.errors import ConnectorError, LimitReached, ParentMissing, Refused, Rejected, Throttled, Transient
from connectors.http import Http

if TYPE_CHECKING:
    from connectors.otmechalka_config import OtmechalkaConfig

THROTTLED_WAIT = 5.0
LIMIT_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
WRONG_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Of a call that names no record these say that we speak to something else, or in another manner than it expects."""
INTRO = "Отмечалка не приняла"


@dataclass(frozen=True)
class Entity:
    """A kind of entity: its place in the API, the field that holds our key, and the fields' names for people."""

    path: str
    key: str
    labels: Mapping[str, str]
    updates: bool = True
    """Whether the API has a call that changes one."""
    parent: str | None = None
    """The field that names an entity which must be there first."""


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
    ),
    "tickets": Entity(
        path="tickets",
        key="origin_id",
        labels={
            "origin_id": "внешний код",
            "client_origin_id": "клиент",
            "ticket_type": "тип абонемента",
            "price_initial": "стоимость до скидки",
            "discount": "скидка",
            "price_final": "стоимость со скидкой",
            "selling_date": "дата продажи",
            "selling_branchoffice": "филиал продажи",
            "employee": "сотрудник",
            "payment_method": "способ оплаты",
        },
        updates=False,
        parent="client_origin_id",
    ),
}


class Duplicate(Rejected):
    """The target says that an entity with our key exists already."""


class OtmechalkaTarget:
    """One kind of entity of a school."""

    write_class = WriteClass.CREATE_AND_FIND

    def __init__(self, config: "OtmechalkaConfig", entity: Entity, http: Http, budget: Budget) -> None:
        self.settle = config.settle
        self.updates = entity.updates
        self._config, self._entity, self._http, self._budget = config, entity, http, budget

    def find(self, key: str) -> Found | None:
        return self._call("GET", "find", key)

    def create(self, payload: Mapping[str, Any]) -> str:
        """As `TargetEntity`. What exists already is our own earlier write, for the key is unique.

        It is updated, or left as it is where nothing can be updated.
        """
        key = str(payload[self._entity.key])
        try:
            created = self._call("POST", "create", key, payload)
        except Duplicate as duplicate:
            held = self.update(key, payload) if self.updates else self._held(key)
            if held is None:
                raise duplicate from None
            return held
        assert created  # noqa: S101 - no answer to a creation is read as an absence
        return created.id

    def match(self, payload: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - nothing but our key tells who is who
        return None

    def update(self, id_: str, payload: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - it goes by our key
        if not self.updates:
            raise Refused(f"otmechalka {self._config.host}: the API has no call that changes {self._entity.path}")
        updated = self._call(self._config.update_method, "update", str(payload["origin_id"]), payload)
        return updated.id if updated else None

    def _held(self, key: str) -> str | None:
        found = self.find(key)
        return found.id if found else None

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
        meaning = self._meaning(verb, answer, complaint)
        if meaning is Lost:
            return Lost(reason, wait=answer.retry_after)
        if issubclass(meaning, Throttled):
            self._budget.penalise(answer.retry_after or THROTTLED_WAIT)
        if issubclass(meaning, Transient):
            return meaning(message, wait=answer.retry_after)
        if issubclass(meaning, Rejected):
            return meaning(message, told=self._told(complaint, answer.status))
        return meaning(message)

    def _meaning(self, verb: str, answer: Answer, complaint: Complaint) -> type[ConnectorError | Lost]:
        if answer.status in LIMIT_STATUSES and complaint.mentions(self._config.limit_words):
            return LimitReached
        if verb == "create" and self._is_duplicate(answer, complaint):
            return Duplicate
        if verb == "create" and self._lacks_parent(answer, complaint):
            return ParentMissing
        return Refused if answer.status in WRONG_ADDRESS else meaning_of_status(answer.status)

    def _is_duplicate(self, answer: Answer, complaint: Complaint) -> bool:
        is_about_key = answer.status == HTTPStatus.BAD_REQUEST and self._entity.key in complaint.fields
        return answer.status in self._config.duplicate_statuses or is_about_key

    def _lacks_parent(self, answer: Answer, complaint: Complaint) -> bool:
        if self._entity.parent is None:
            return False
        if answer.status == HTTPStatus.NOT_FOUND:
            return self._is_absence(answer)
        return answer.status == HTTPStatus.BAD_REQUEST and self._entity.parent in complaint.fields

    def _told(self, complaint: Complaint, status: int) -> str:
        return complaint.told(
            INTRO, self._entity.labels, secrets=[self._config.token], otherwise=f"ошибка {status} без объяснения"
        )
