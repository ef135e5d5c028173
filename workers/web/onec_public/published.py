"""What the published OpenAPI says of the requests; it is exactly what they take and answer."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from apiflask import APIBlueprint, Schema
from flask import Response

from workers.web.onec_public.schemas import Ping, Request

if TYPE_CHECKING:
    from workers.web.onec_public.operations import Operation

View = Callable[..., Response]

SECURITY_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "the base's token"},
    "password": {"type": "http", "scheme": "basic", "description": "the base's login and password"},
    "publisher": {"type": "http", "scheme": "basic", "description": "whoever publishes handlers"},
    "operator": {"type": "http", "scheme": "bearer", "description": "the operators' token"},
}
REFUSALS: Mapping[HTTPStatus, str] = {
    HTTPStatus.ACCEPTED: "stored and not delivered yet: repeat the request to get the id",
    HTTPStatus.BAD_REQUEST: "not of the agreed shape",
    HTTPStatus.UNAUTHORIZED: "unknown base or wrong credentials",
    HTTPStatus.NOT_FOUND: "not configured here",
    HTTPStatus.CONFLICT: "contradicts what is known, or waits for an operator",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "larger than 256 KB",
    HTTPStatus.UNPROCESSABLE_ENTITY: "of the agreed shape, and wrong in what it says",
    HTTPStatus.TOO_MANY_REQUESTS: "too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "our mistake",
    HTTPStatus.SERVICE_UNAVAILABLE: "not available, send it again",
}
DESCRIPTION = """\
What 1C asks of Parom (protocol "1c_public"). Every answer is `{"success", "data", "error"}`; an
error is `"CODE: text"`. A base whose 1C reads answers with status 200 only gets every answer with it (`errors_as_200`).
The content type of a request does not matter, its body must be JSON in UTF-8.
"""
ERROR_CODES = "ACCEPTED|BAD_REQUEST|CONFLICT|INTERNAL|NOT_FOUND|RATE_LIMIT|UNAUTHORIZED|UPSTREAM_TEMPORARY"


def documented(made: APIBlueprint, operation: "Operation", view: View) -> View:
    """The view, with what the page says of it."""
    return describe(
        made,
        view,
        schema=operation.schema,
        summary=operation.summary,
        data=operation.data,
        security=operation.security,
        deprecated=operation.deprecated,
    )


def check_active(made: APIBlueprint, view: View) -> View:
    security = ("token", "password")
    summary = "2.1 Whether the account is one of the base's"
    shown = describe(made, view, summary=summary, data={"type": "boolean"}, security=security)
    made.input(Ping, location="query", validation=False)(shown)
    return shown


def describe(
    made: APIBlueprint,
    view: View,
    *,
    summary: str,
    data: Mapping[str, Any],
    security: Iterable[str],
    schema: type[Schema] | None = None,
    deprecated: bool = False,
) -> View:
    shown: View = made.doc(
        summary=summary,
        responses=_responses(data),
        security=list(security),
        deprecated=deprecated,
    )(view)
    if schema:
        # For the page alone: what comes is read by `body.py`, and not by the framework.
        made.input(schema, validation=False)(shown)
    return shown


def complete(spec: dict[str, Any] | str) -> dict[str, Any]:
    """The published document with what schemas of single keys cannot say."""
    assert isinstance(spec, dict)  # noqa: S101 - YAML is not asked for
    schemas = spec["components"].setdefault("schemas", {})
    for kind in _kinds(Request):
        if kind.__name__ in schemas:
            schemas[kind.__name__] |= kind.rules
    for shown in schemas.values():
        for key in shown.get("properties", {}).values():
            key.pop("default", None)
    schemas["Refusal"] = _envelope({"type": "null"}, success=False)
    for path in spec["paths"].values():
        for operation in path.values():
            if body := operation.get("requestBody"):
                body["required"] = True
    return spec


def _kinds(kind: type[Request]) -> Iterable[type[Request]]:
    yield kind
    for more in kind.__subclasses__():
        yield from _kinds(more)


def _responses(data: Mapping[str, Any]) -> dict[int | str, Any]:
    success = {"description": "success", "content": _json(_envelope(data, success=True))}
    refusal = _json({"$ref": "#/components/schemas/Refusal"})
    refused: dict[int | str, Any] = {
        int(status): {"description": text, "content": refusal} for status, text in REFUSALS.items()
    }
    return {int(HTTPStatus.OK): success, **refused}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _envelope(data: Mapping[str, Any], *, success: bool) -> dict[str, Any]:
    error = {"type": "null"} if success else {"type": "string", "pattern": f"^({ERROR_CODES}): "}
    return {
        "type": "object",
        "required": ["success", "data", "error"],
        "additionalProperties": False,
        "properties": {"success": {"const": success}, "data": data, "error": error},
    }
