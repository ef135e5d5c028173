"""`POST /api/onec/<connection>/<request>`: operators ask a 1C base something (brief 001 §1.1, 1.4, 1.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response, request
from marshmallow import EXCLUDE, fields, validate

from connectors.base import Malformed, Secret
from connectors.errors import Refused, Rejected, Throttled
from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_calls import ENTITY_NAMES
from workers.web.onec_public import published
from workers.web.onec_public.bases import connected, is_same, shown_by
from workers.web.onec_public.envelope import Code, Failure, stranger, success
from workers.web.onec_public.fields import AmoId, Label, SomeAmoId, Word
from workers.web.onec_public.means import Means
from workers.web.onec_public.routes import View, answer_failures, body, load

MOST_ROWS = 200


class Question(Schema):
    """What asks for nothing in particular."""

    class Meta:
        unknown = EXCLUDE


class OrdersQuestion(Question):
    """Brief 1.1."""

    id = SomeAmoId("the lead's id in amoCRM", required=True)


class TableRow(Question):
    """A field of amoCRM, in its own words."""

    amo_name = Label("what the field is called in amoCRM", required=True)
    amo_id = SomeAmoId("its id there", required=True)
    entity_name = Word("whose field it is", *ENTITY_NAMES)


class TableQuestion(Question):
    """Brief 1.5, for several rows at once."""

    user_id = AmoId("a user of amoCRM")
    table = fields.List(
        fields.Nested(TableRow),
        required=True,
        validate=validate.Length(1, MOST_ROWS, error=f"must have 1 to {MOST_ROWS} rows"),
        error_messages={"required": "is required", "invalid": "must be a list"},
    )


@dataclass(frozen=True)
class Request:
    """One thing to ask a base."""

    name: str
    summary: str
    schema: type[Schema]
    ask: Callable[[OneCHandlers, Mapping[str, Any]], Any]
    data: Mapping[str, Any]


DOCUMENT = {"type": "object", "additionalProperties": {"type": "string"}}
REQUESTS = (
    Request(
        "get_orders",
        "1.1 The documents of a lead",
        OrdersQuestion,
        lambda base, asked: base.get_orders(asked["id"]),
        {"type": "array", "items": DOCUMENT},
    ),
    Request(
        "get_handlers_version",
        "1.4 Which handlers are installed",
        Question,
        lambda base, _: {"version": base.handlers_version()},
        {"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}},
    ),
    Request(
        "corr_table",
        "1.5 Tell which field of amoCRM is which",
        TableQuestion,
        lambda base, asked: {"sent": base.send_table(asked["table"], asked["user_id"])},
        {"type": "object", "required": ["sent"], "properties": {"sent": {"type": "integer", "minimum": 1}}},
    ),
)


def blueprint(means: Means, token: Secret | None) -> APIBlueprint:
    """Without a token nobody may ask."""
    made = APIBlueprint("operators", __name__, tag="operators")
    for each in REQUESTS:
        view = published.describe(
            made,
            _view(each, means, token),
            summary=each.summary,
            data=each.data,
            security=("operator",),
            schema=each.schema,
        )
        made.post(f"/api/onec/<connection>/{each.name}", endpoint=each.name)(view)
    answer_failures(made)
    return made


def _view(asked: Request, means: Means, token: Secret | None) -> View:
    def view(connection: str) -> Response:
        means.counters.address(request.remote_addr or "")
        if not is_same(shown_by(request).token, token):
            raise stranger()
        loaded = load(asked.schema, body(or_nothing=True))
        base = connected(means.runtime.flows, connection)
        if base is None:
            raise Failure(Code.NOT_FOUND, "no flow is connected to such a base")
        return success(_answer_of(base, asked, loaded))

    return view


def _answer_of(base: OneCHandlers, asked: Request, loaded: Mapping[str, Any]) -> Any:
    """Raises Failure with what the operator should know, and as the connector for what will pass."""
    try:
        return asked.ask(base, loaded)
    except Malformed as error:
        raise Failure(Code.BAD_REQUEST, str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY) from None
    except (Rejected, Refused) as error:
        raise Failure(Code.CONFLICT, str(error)) from None
    except Throttled as error:
        wait = {"Retry-After": str(max(1, round(error.wait or 1)))}
        raise Failure(Code.RATE_LIMIT, "the base is busy", headers=wait) from None
