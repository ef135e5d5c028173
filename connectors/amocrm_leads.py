"""Leads of an amoCRM account, which stand for orders: known by the order's number, linked with contact and company."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connectors.amocrm_api import Api
from connectors.amocrm_claims import Claims
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_entities import Entities
from connectors.amocrm_shapes import Shown, Wire, company_id, lists, main_contact_id, text_of
from connectors.amocrm_target import AmoCrmTarget, Payload, Trait

AT_BIRTH = ("pipeline_id", "status_id")
"""Written when a lead is created, if the payload names them; later people move it, or events do."""


class Leads(AmoCrmTarget):
    """Orders of 1C."""

    kind = "leads"

    def __init__(self, entities: Entities, config: AmoCrmConfig, claims: Claims, api: Api) -> None:
        super().__init__(entities, config, claims)
        self._api = api

    def update(self, id_: str, payload: Payload) -> str | None:
        """As `AmoCrmTarget`; then links the contact and the company of the order, if others or none are linked."""
        seen: list[Shown] = []

        def edited(wanted: Payload, shown: Shown) -> Wire:
            seen[:] = [shown]
            return self._edited(wanted, shown)

        updated = self._changed(int(id_), payload, edited)
        if updated is not None:
            for shown in seen:
                self._link(int(id_), shown, payload)
        return updated

    def _traits(self, payload: Payload) -> Iterator[Trait]:
        number = str(payload.get("order_number") or "").strip()
        if number:
            yield Trait("номер заказа", lambda: self._with_number(number))

    def _with_number(self, number: str) -> list[Shown]:
        field = self._entities.fields.get(self._config.number_field)
        return self._entities.holding(field, number, lambda shown: text_of(shown, str(field.id)) == number)

    def _held(self, shown: Shown) -> Wire:
        return super()._held(shown) | {
            "order_number": text_of(shown, self._config.number_field) or None,
            "price": shown.get("price"),
            "contact_id": main_contact_id(shown),
            "company_id": company_id(shown),
        }

    def _own(self, shown: Shown, payload: Payload) -> Iterator[tuple[str, Any]]:
        if payload.get("price") is not None:
            price = _whole(payload["price"])
            held = [shown.get("price_with_minor_units"), shown.get("price")]
            if next((_whole(each) for each in held if isinstance(each, int | float)), None) != price:
                yield "price", price

    def _custom(self, shown: Shown, payload: Payload) -> Iterator[Wire]:
        yield from super()._custom(shown, payload)
        yield from self._text(shown, self._config.number_field, payload.get("order_number"))

    def _edited(self, payload: Payload, shown: Shown) -> Wire:
        """As everywhere, but that a lead keeps the name by which people know it."""
        body = super()._edited(payload, shown)
        return {key: value for key, value in body.items() if key != "name"} if shown["id"] else body

    def _new(self, payload: Payload) -> Wire:
        body = super()._new(payload)
        body |= {name: payload[name] for name in AT_BIRTH if payload.get(name) is not None}
        linked: Wire = {}
        if payload.get("contact_id") is not None:
            linked["contacts"] = [{"id": payload["contact_id"], "is_main": True}]
        if payload.get("company_id") is not None:
            linked["companies"] = [{"id": payload["company_id"]}]
        return body | {"_embedded": linked} if linked else body

    def _link(self, id_: int, shown: Shown, payload: Payload) -> None:
        """A lead has one company, so another one is unlinked; contacts that people have added stay, after 1C's."""
        contact = payload.get("contact_id")
        company, wanted = company_id(shown), payload.get("company_id")
        rows: list[Wire] = []
        if contact is not None and contact != main_contact_id(shown):
            rows.append(_link(contact, "contacts", metadata={"is_main": True}))
        if wanted is not None and wanted != company:
            if company is not None:
                self._api.call("POST", f"leads/{id_}/unlink", repeatable=True, payload=[_link(company, "companies")])
            rows.append(_link(wanted, "companies"))
        if rows:
            reply = self._api.call("POST", f"leads/{id_}/link", repeatable=True, payload=rows)
            if not lists(reply.body, "links"):
                raise self._api.unusable("the new links are not shown")


def _whole(amount: Any) -> int:
    """Roubles: most accounts refuse kopecks, and those that people entered stay while the roubles are 1C's."""
    return int(Decimal(str(amount)).to_integral_value(ROUND_HALF_UP))


def _link(id_: int, kind: str, **more: Any) -> Wire:
    return {"to_entity_id": id_, "to_entity_type": kind, **more}
