"""Every request that 1C makes: path, what it may hold, who may make it, what it does, what `data` then is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.web.onec_public import binding, handlers
from workers.web.onec_public.bases import Bases, Shown
from workers.web.onec_public.handlers import Handler
from workers.web.onec_public.schemas import (
    Binding,
    CompanyOrOrder,
    Contact,
    Event,
    FieldMap,
    Order,
    Package,
    Request,
)

AMO_ID: Mapping[str, Any] = {"type": "integer", "minimum": 1}
NOTHING: Mapping[str, Any] = {"type": "null"}
VERSION: Mapping[str, Any] = {
    "type": "object",
    "required": ["version"],
    "properties": {"version": {"type": "integer", "minimum": 1}},
}
HANDLERS: Mapping[str, Any] = {
    "type": "object",
    "required": ["version", "handlers"],
    "properties": {**VERSION["properties"], "handlers": {"type": ["object", "array"]}},
}


@dataclass(frozen=True)
class Operation:
    """One `POST` of 1C."""

    path: str
    summary: str
    schema: type[Request]
    run: Handler
    data: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    audience: Callable[[Bases, Shown], Bases] = Bases.open_to
    security: tuple[str, ...] = ("token", "password")
    deprecated: bool = False


OPERATIONS = (
    Operation("/sync/base", "2.2 Bind a base to its address and user", Binding, binding.bind),
    Operation("/sync/clients_contacts", "2.3 A person → a contact", Contact, handlers.contact, AMO_ID),
    Operation("/sync/clients_companies", "2.4 A legal person → a company", CompanyOrOrder, handlers.company, AMO_ID),
    Operation("/sync/leads", "2.5 An order → a lead", Order, handlers.order, AMO_ID),
    Operation("/sync/orders", "2.5 An order → a lead", Order, handlers.order, AMO_ID, deprecated=True),
    Operation("/sync/process_event", "2.6 What happened to an order", Event, handlers.event, AMO_ID),
    *(
        Operation(f"/sync/{path}_save_fields", f"2.7 Which fields of {entity} are wanted", FieldMap, save)
        for path, entity, save in (
            (name, entity, handlers.fields_of(entity))
            for name, entity in (
                ("clients_contacts", "contacts"),
                ("clients_companies", "companies"),
                ("leads", "leads"),
            )
        )
    ),
    Operation(
        "/update_handlers/get_actual_version",
        "2.8 The newest version of the handlers",
        Request,
        handlers.actual_version,
        VERSION,
    ),
    Operation(
        "/update_handlers/get_actual_handlers",
        "2.9 The newest handlers",
        Request,
        handlers.actual_handlers,
        HANDLERS,
    ),
    Operation(
        "/update_handlers/set_handlers",
        "2.10 Publish handlers",
        Package,
        handlers.set_handlers,
        VERSION,
        audience=Bases.published_by,
        security=("publisher",),
    ),
)
