"""What each request of 1C does (brief 001 §2). A handler returns the `data` of the answer, or raises Failure."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tasks import parents
from tasks.inline import Outcome
from tasks.ledger import field_maps, packages
from tasks.ledger.records import ParentKey
from workers.web.onec_public import delivery
from workers.web.onec_public.envelope import Code, Failure
from workers.web.onec_public.means import Call
from workers.web.onec_public.schemas import ORDER_FIELDS, is_order

log = logging.getLogger("parom.web")
audit = logging.getLogger("parom.audit")

Handler = Callable[[Call], Any]


def contact(call: Call) -> int:
    return delivery.amo_id(_pushed(call, "clients_contacts", call.row))


def company(call: Call) -> int:
    """A company; or an order, which the brief prints on the same path (facts/onec.md D3 #1)."""
    if not is_order(call.body):
        row = {name: value for name, value in call.row.items() if name not in ORDER_FIELDS}
        return delivery.amo_id(_pushed(call, "clients_companies", row))
    log.warning("an order came to the path of companies; send it to /sync/leads", extra={"base": call.base.name})
    return _order(call, {name: value for name, value in call.row.items() if name not in ("name", "inn")})


def order(call: Call) -> int:
    return _order(call, call.row)


def _order(call: Call, row: Mapping[str, Any]) -> int:
    if _is_flagged(call):
        raise Failure(Code.CONFLICT, "id_1c is that of a counterparty; an order must be named by its own")
    return delivery.amo_id(_pushed(call, "leads", row))


def event(call: Call) -> int:
    """The answer names the lead, whatever the event made of it."""
    _is_flagged(call)
    outcome = _pushed(call, "events", call.row)
    if outcome.state not in delivery.DELIVERED:
        return delivery.amo_id(outcome)
    return call.row["amo_id"] or _lead_of(call)


def _lead_of(call: Call) -> int:
    """The lead of the order that 1C alone names, found as the event itself found it."""
    flow = delivery.flow_of(call.runtime, call.base.name, "events")
    (parent,) = flow.kind.parents
    order = call.row["id_1c"]
    need = parents.Need(ParentKey(flow.parent_flows[parent.kind], order), parent)
    try:
        return int(parents.require(call.runtime, flow, order, need))
    except parents.Waiting:
        raise Failure(Code.ACCEPTED, "stored, its lead is not there now; repeat this request to get the id") from None


def _is_flagged(call: Call) -> bool:
    """Whether `id_1c` is a counterparty's, as the brief has it: its orders would all be one (facts/onec.md D3 #3)."""
    id_1c = call.row["id_1c"]
    if id_1c is None or not delivery.is_counterparty(call.runtime, call.base.name, id_1c):
        return False
    words = {"base": call.base.name, "alert": True}
    log.error("an order or its event has the id_1c of a counterparty: the handlers in 1C are wrong", extra=words)
    return True


def _pushed(call: Call, entity: str, row: Mapping[str, Any]) -> Outcome:
    flow = delivery.flow_of(call.runtime, call.base.name, entity)
    patience = call.base.config.patience
    return delivery.push(call.runtime, flow, row, carry=call.means.carry, patience=patience)


def fields_of(entity: str) -> Handler:
    """Keeps which fields of the entity the base wants; INN fields have companies only."""

    def save(call: Call) -> None:
        wanted = call.body["fields"]
        if entity != "companies":
            wanted = {name: value for name, value in wanted.items() if not name.startswith("inn_")}
        if field_maps.save(call.runtime.ledger, call.base.name, entity, wanted):
            log.info("the base wants other fields", extra={"base": call.base.name, "entity": entity})

    return save


def actual_version(call: Call) -> Mapping[str, Any]:
    return {"version": _package(call).version}


def actual_handlers(call: Call) -> Mapping[str, Any]:
    package = _package(call)
    return {"version": package.version, "handlers": package.handlers}


def set_handlers(call: Call) -> Mapping[str, Any]:
    """What is published here every 1C of the base will run, so it is written down who did it."""
    package, is_new = packages.publish(
        call.runtime.ledger, call.base.name, call.body["handlers"], by=call.login or "unknown"
    )
    if is_new:
        words = {"base": call.base.name, "version": package.version, "login": call.login, "alert": True}
        audit.warning("handlers for 1C were published", extra=words)
    return {"version": package.version}


def _package(call: Call) -> packages.Package:
    if not call.base.publishes:
        raise Failure(Code.NOT_FOUND, "handlers are not given out here")
    package = packages.latest(call.runtime.ledger, call.base.name)
    if package is None:
        raise Failure(Code.NOT_FOUND, "no handlers have been published")
    return package
