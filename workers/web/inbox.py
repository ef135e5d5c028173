"""`POST /inbox/<flow>`: a source that can call us sends what changed; it is in the ledger before we answer.

JSON: one item, a list of them, or {"items": […]}. The answer names each item's fate. What a flow is sent also reaches
the flows that need it first. Nothing is asked of any outside system here.
"""

import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from connectors.base import Malformed, Row
from tasks import dispatch
from tasks.flow import Flow
from tasks.ledger import intake
from tasks.ledger.seen import Seen
from tasks.runtime import Runtime
from workers.settings import FlowSettings, Settings

log = logging.getLogger("parom.web")

MOST_ITEMS = 1000


def blueprint(settings: Settings, runtime: Runtime) -> Blueprint:
    """The receiver, for the flows that have an `inbox_token`."""
    made = Blueprint("inbox", __name__)
    pushed = pushed_flows(settings)

    @made.post("/inbox/<name>")
    def receive(name: str) -> ResponseReturnValue:
        flow = pushed.get(name)
        if not flow or not _is_allowed(flow.inbox_token):
            abort(HTTPStatus.FORBIDDEN)  # an unknown flow and a wrong token look the same from outside
        try:
            items = _items()
        except (ValueError, RecursionError) as error:
            return jsonify(error=str(error)), HTTPStatus.BAD_REQUEST
        try:
            fates = _take(runtime, runtime.flows[name], items, patience=flow.inbox_patience)
        except SQLAlchemyError:
            log.exception("inbox: nothing was stored", extra={"flow": name})
            return jsonify(error="not stored, send it again"), HTTPStatus.SERVICE_UNAVAILABLE
        is_whole = all(fate["status"] != "malformed" for fate in fates)
        return jsonify(items=fates), HTTPStatus.OK if is_whole else HTTPStatus.UNPROCESSABLE_ENTITY

    return made


def pushed_flows(settings: Settings) -> Mapping[str, FlowSettings]:
    """By name, the flows that somebody may push to."""
    return {flow.name: flow for flow in settings.flows.values() if flow.enabled and flow.inbox_token}


def _is_allowed(token: str | None) -> bool:
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(shown.encode(), (token or "").encode()) and bool(token)


def _items() -> Sequence[Any]:
    """Raises ValueError with what the sender should know."""
    body = request.get_json(force=True, silent=True)
    if body is None:
        raise ValueError("the body is not JSON")
    items = body["items"] if isinstance(body, dict) and "items" in body else body
    listed = items if isinstance(items, list) else [items]
    if len(listed) > MOST_ITEMS:
        raise ValueError(f"more than {MOST_ITEMS} items: send them in several requests")
    return listed


def _take(runtime: Runtime, flow: Flow, items: Sequence[Any], *, patience: timedelta) -> list[dict[str, str]]:
    read = [_read(flow, item) for item in items]
    rows = [row for row in read if isinstance(row, Row) and row.created >= flow.since]
    family = list(_family(runtime, flow))
    asked_at = runtime.ledger.clock()
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        for member in family:
            seen = [_patient(member.seen(row), patience) for row in rows]
            intake.take(connection, member.name, seen, now=now, asked_at=asked_at)
    for member in family:
        dispatch.dispatch(runtime, member.name)
    return [_fate(flow, item, row) for item, row in zip(items, read, strict=True)]


def _patient(seen: Seen, patience: timedelta) -> Seen:
    """An event may have been sent before, or beside, an earlier one."""
    return replace(seen, event=replace(seen.event, ripens_in=patience)) if seen.event else seen


def _read(flow: Flow, item: Any) -> Row | Malformed:
    try:
        return flow.source.received(item)
    except Malformed as error:
        return error


def _family(runtime: Runtime, flow: Flow) -> Iterator[Flow]:
    """The flow and whoever brings what it needs from the same entities, parents first."""
    for parent in (runtime.flows[name] for name in flow.parent_flows.values()):
        if (parent.source_name, parent.kind.source_entity) == (flow.source_name, flow.kind.source_entity):
            yield from _family(runtime, parent)
    yield flow


def _fate(flow: Flow, item: Any, row: Row | Malformed) -> dict[str, str]:
    named = {"id": str(item["id"])[:64]} if isinstance(item, Mapping) and isinstance(item.get("id"), str | int) else {}
    if isinstance(row, Malformed):
        return {**named, "status": "malformed", "error": str(row)}
    return {**named, "status": "accepted" if row.created >= flow.since else "ignored: older than the flow's since"}
