"""The school's clients and tickets and what each method does to them; the caller holds the lock."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.chronicle import Change, Verb, Who
from sandbox.clock import Clock
from sandbox.otmechalka.forms import CLIENT, TICKET, FormField, price_mistakes, validated
from sandbox.otmechalka.reference import groups_of
from sandbox.otmechalka.refusal import Refusal
from sandbox.otmechalka.switches import Switches

FIRST_ID = 12_456
ABSENT: dict[str, tuple[int, Any]] = {
    "404": (HTTPStatus.NOT_FOUND, {"detail": "Не найдено."}),
    "null": (HTTPStatus.OK, None),
    "empty": (HTTPStatus.OK, {}),
    "null_id": (HTTPStatus.OK, {"id": None}),
}


@dataclass(slots=True)
class Stored:
    """A client or a ticket; `born` is when it was created, for the lag until it can be read."""

    values: dict[str, Any]
    born: float


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `clients` or `tickets`, the id of the path, the JSON body."""

    entity: str
    origin_id: str
    body: dict[str, Any]


Record = Callable[[Who, Sequence[Change]], None]


class Store:
    """Both entities by origin_id. Methods return status and body, and raise Refusal; `record` is told every commit."""

    def __init__(self, clock: Clock, record: Record) -> None:
        self.entities: dict[str, dict[str, Stored]] = {"clients": {}, "tickets": {}}
        self.switches = Switches()
        self._clock = clock
        self._record = record
        self._ids = itertools.count(FIRST_ID)
        self._active = 0

    def archive(self, origin_id: str, *, is_archived: bool) -> dict[str, Any]:
        """What a person does in the school's interface; raises KeyError."""
        client = self.entities["clients"][origin_id]
        self._active += client.values["is_archived"] - is_archived
        client.values = client.values | {"is_archived": is_archived}
        self._commit("clients", client, verb="updated", who="person")
        return client.values

    def get(self, call: Call) -> tuple[int, Any]:
        stored = self.entities[call.entity].get(call.origin_id)
        if stored is None or self._clock.elapsed() - stored.born < self.switches.read_lag_s:
            return ABSENT[self.switches.absent]
        return HTTPStatus.OK, self._shown(stored)

    def create_client(self, call: Call) -> tuple[int, Any]:
        client = self._validated(CLIENT, call.body)
        self._refuse_duplicate("clients", client["origin_id"])
        if self._active >= self.switches.client_limit:
            text = "Превышено максимальное число активных посетителей (limit)."
            raise Refusal(self.switches.limit_status, {"code": "limit", "detail": text})
        self._active += 1
        client |= {"is_archived": False, "groups": groups_of(client["branchoffices"], client["courses"])}
        return self._created("clients", client)

    def update_client(self, call: Call) -> tuple[int, Any]:
        stored = self.entities["clients"].get(call.origin_id)
        if stored is None:
            raise Refusal(*ABSENT["404"])
        if stored.values["is_archived"] and self.switches.archived_update == "refused":
            raise Refusal(HTTPStatus.BAD_REQUEST, {"detail": "Посетитель находится в архиве."})
        client = self._validated(CLIENT, {"origin_id": call.origin_id, **call.body})
        if client["origin_id"] != call.origin_id:
            raise Refusal(HTTPStatus.BAD_REQUEST, {"origin_id": ["Нельзя изменить."]})
        kept = stored.values
        if self.switches.omitted_optional == "cleared":
            kept = {name: value for name, value in kept.items() if name not in CLIENT}
        stored.values = kept | client | {"groups": groups_of(client["branchoffices"], client["courses"])}
        self._commit("clients", stored, verb="updated", who="api")
        return HTTPStatus.OK, self._shown(stored)

    def create_ticket(self, call: Call) -> tuple[int, Any]:
        ticket = self._validated(TICKET, call.body)
        if self.switches.price_check and (mistakes := price_mistakes(ticket)):
            raise Refusal(HTTPStatus.BAD_REQUEST, mistakes)
        if ticket["client_origin_id"] not in self.entities["clients"]:
            raise Refusal(self.switches.unknown_client_status, {"client_origin_id": ["Посетитель не найден."]})
        self._refuse_duplicate("tickets", ticket["origin_id"])
        return self._created("tickets", ticket | {"is_paid": True})

    def _validated(self, form: dict[str, FormField], body: dict[str, Any]) -> dict[str, Any]:
        accepted, mistakes = validated(form, body, ids_only=self.switches.ids_only)
        if mistakes:
            raise Refusal(HTTPStatus.BAD_REQUEST, mistakes)
        return accepted

    def _refuse_duplicate(self, entity: str, origin_id: str) -> None:
        if self.switches.unique_origin_id and origin_id in self.entities[entity]:
            text = f"Объект с origin_id {origin_id} уже существует."
            raise Refusal(self.switches.duplicate_status, {"origin_id": [text]})

    def _created(self, entity: str, values: dict[str, Any]) -> tuple[int, Any]:
        stored = Stored({"id": next(self._ids), **values}, self._clock.elapsed())
        self.entities[entity][values["origin_id"]] = stored
        self._commit(entity, stored, verb="created", who="api")
        return self.switches.created_status, self._shown(stored)

    def _commit(self, entity: str, stored: Stored, *, verb: Verb, who: Who) -> None:
        self._record(who, [Change(entity, stored.values["origin_id"], verb, stored.values)])

    def _shown(self, stored: Stored) -> dict[str, Any]:
        if self.switches.archived_shown:
            return stored.values
        return {name: value for name, value in stored.values.items() if name != "is_archived"}
