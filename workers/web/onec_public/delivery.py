"""What 1C pushes, on its way to amoCRM: durable first, delivered at once if amoCRM answers in time."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from connectors.base import Malformed, Row
from tasks.flow import Flow
from tasks.inline import Outcome
from tasks.ledger import report
from tasks.ledger.tables import State
from tasks.runtime import Runtime
from workers import logs
from workers.web.onec_public.envelope import Code, Failure

LONGEST_REASON = 500
DELIVERED = (State.DONE, State.SKIPPED)
CLIENTS = ("clients_contacts", "clients_companies")
AMOCRM_CLIENTS = ("contacts", "companies")

Carry = Callable[..., Outcome]
"""As `tasks.inline.carry`."""


def flow_of(runtime: Runtime, connection: str, entity: str) -> Flow:
    """The flow that brings this entity of the base to amoCRM. Raises Failure if the operator configured none."""
    for flow in runtime.flows.values():
        if (flow.source_name, flow.kind.source_entity) == (connection, entity):
            return flow
    raise Failure(Code.NOT_FOUND, f"nothing is configured for {entity} of this base")


def is_counterparty(runtime: Runtime, connection: str, id_1c: str) -> bool:
    """Whether the base has called a counterparty so: one that it sent, or one that came to it from amoCRM."""
    flows = runtime.flows.values()
    came_by = [flow.name for flow in flows if flow.source_name == connection and flow.kind.source_entity in CLIENTS]
    went_by = [
        flow.name for flow in flows if flow.target_name == connection and flow.kind.target_entity in AMOCRM_CLIENTS
    ]
    return report.is_known(runtime.ledger, id_1c, came_by=came_by, went_by=went_by)


def push(runtime: Runtime, flow: Flow, item: Mapping[str, Any], *, carry: Carry, patience: timedelta) -> Outcome:
    """How one entity fared. Raises Failure for one that cannot be carried, SQLAlchemyError if it is not stored."""
    outcome = carry(runtime, flow.name, _row(flow, item), patience=patience)
    if outcome.state is State.REJECTED:
        raise _rejection(outcome)
    return outcome


def amo_id(outcome: Outcome) -> int:
    """The id in amoCRM. Raises Failure while there is none."""
    if outcome.state is State.PARKED:
        raise Failure(Code.CONFLICT, "stored and set aside: an operator has to look at it")
    if outcome.state not in DELIVERED or not (outcome.target_id or "").isdecimal():
        raise Failure(Code.ACCEPTED, "stored and not delivered yet; repeat this request to get the id")
    return int(str(outcome.target_id))


def _row(flow: Flow, item: Mapping[str, Any]) -> Row:
    try:
        return flow.source.received(item)
    except Malformed as error:
        raise Failure(Code.BAD_REQUEST, str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY) from None


def _rejection(outcome: Outcome) -> Failure:
    """Told as the managers are told: by field names, not by values."""
    reason = logs.escape(logs.mask(outcome.detail or "amoCRM does not take it"))[:LONGEST_REASON]
    if outcome.cause == "invalid":
        return Failure(Code.BAD_REQUEST, reason, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return Failure(Code.CONFLICT, reason)
