"""The routes of 1C's requests: count, let in, read, find the base, act, answer. In this order."""

import logging
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint, Schema
from flask import Response, g, request
from marshmallow import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from connectors.errors import ConnectorError, Refused
from workers.web.onec_public import published
from workers.web.onec_public.bases import shown_by
from workers.web.onec_public.body import Unreadable, read_object
from workers.web.onec_public.envelope import Code, Failure, refusal, success
from workers.web.onec_public.means import Call, Means
from workers.web.onec_public.operations import OPERATIONS, Operation
from workers.web.onec_public.schemas import Ping, problem_of

log = logging.getLogger("parom.web")

FRAMES = 6

View = Callable[..., Response]


def blueprint(means: Means) -> APIBlueprint:
    """Everything that 1C asks of us."""
    made = APIBlueprint("onec", __name__, tag="1c_public")
    for operation in OPERATIONS:
        view = _view(operation, means)
        made.post(operation.path, endpoint=operation.path.replace("/", "-"))(
            published.documented(made, operation, view)
        )
    made.get("/sync/check_active")(published.check_active(made, _check_active(means)))
    answer_failures(made)
    return made


def answer_failures(made: APIBlueprint) -> None:
    """Whatever goes wrong is answered in the one shape."""
    made.register_error_handler(Failure, _refuse)
    made.register_error_handler(HTTPException, lambda error: _refuse(failure_of(error)))
    made.register_error_handler(SQLAlchemyError, _not_stored)
    made.register_error_handler(ConnectorError, _unavailable)
    made.register_error_handler(Exception, _mistake)


def failure_of(error: HTTPException) -> Failure:
    """What the web server refuses by itself, in our words."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    code = Code.NOT_FOUND if status is HTTPStatus.NOT_FOUND else Code.BAD_REQUEST
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    return Failure(code, status.phrase.lower(), status=status, headers=headers)


def load(schema: type[Schema], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises Failure, which names keys and shows no values."""
    try:
        loaded: Mapping[str, Any] = schema().load(given)
    except ValidationError as error:
        raise Failure(Code.BAD_REQUEST, problem_of(error)) from None
    return loaded


def body(*, or_nothing: bool = False) -> Mapping[str, Any]:
    """The request's JSON object; an empty one for no body, if that may be. Raises Failure."""
    sent = request.get_data(cache=False)
    request.stream.read(1)  # of a body that does not say how long it is, what is too much would be cut off unnoticed
    try:
        return read_object(sent or b"{}" if or_nothing else sent)
    except Unreadable as error:
        raise Failure(Code.BAD_REQUEST, str(error)) from None


def _view(operation: Operation, means: Means) -> View:
    def view() -> Response:
        means.counters.address(request.remote_addr or "")
        shown = shown_by(request)
        opened = operation.audience(means.bases, shown)
        g.always_200 = opened.always_200
        loaded = load(operation.schema, body())
        base = opened.named(loaded["key"], loaded["id_base"])
        g.always_200 = base.config.errors_as_200
        means.counters.base(base.name)
        return success(operation.run(Call(base, loaded, shown.login, means)))

    return view


def _check_active(means: Means) -> View:
    def check_active() -> Response:
        means.counters.address(request.remote_addr or "")
        opened = means.bases.open_to(shown_by(request))
        g.always_200 = opened.always_200
        key = load(Ping, request.args)["key"]
        return success(any(int(base.config.key) == key for base in opened.known))

    return check_active


def _refuse(failure: Failure) -> Response:
    if failure.status is HTTPStatus.UNAUTHORIZED:
        log.warning("a stranger was turned away", extra={"address": request.remote_addr, "path": request.path})
    return refusal(failure, always_200=g.get("always_200", False))


def _not_stored(error: SQLAlchemyError) -> Response:
    log.error("nothing was stored: %s", _where(error), extra={"path": request.path})
    return _refuse(Failure(Code.UPSTREAM_TEMPORARY, "not stored, send it again"))


def _unavailable(error: ConnectorError) -> Response:
    level = logging.ERROR if isinstance(error, Refused) else logging.WARNING
    log.log(level, "%s: %s", type(error).__name__, error, extra={"path": request.path})
    return _refuse(Failure(Code.UPSTREAM_TEMPORARY, "not available now, send it again"))


def _mistake(error: Exception) -> Response:
    log.error("a request failed: %s", _where(error), extra={"path": request.path, "alert": True})
    return _refuse(Failure(Code.INTERNAL, "our mistake; the operator is told"))


def _where(error: Exception) -> str:
    # Frames only: the message may hold what must not be kept.
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} in {frame.name}" for frame in frames]
    return " < ".join([type(error).__name__, *reversed(places)])
