"""The web process: what 1C calls, receivers of webhooks, health, a page about the API.

Everything but health and that page asks for a key; errors say nothing of us.
"""

from http import HTTPStatus

from apiflask import APIFlask
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from redis import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from tasks.runtime import Runtime
from workers.settings import Settings
from workers.web import amocrm_hooks, bitrix24_hooks, inbox, reference
from workers.web.onec_public import api as onec_public

LARGEST_BODY = 256 * 1024
# Nothing is published that was not declared, and no error has a shape of the framework's own.
QUIET = dict.fromkeys(("VALIDATION_ERROR", "AUTH_ERROR", "404", "200"), False)


def create_app(settings: Settings, runtime: Runtime, parts: onec_public.Parts | None = None) -> Flask:
    """A WSGI app over the process's runtime; holds no state of its own."""
    app = APIFlask("parom", title="Parom", docs_path=None, json_errors=False, static_folder=str(reference.STATIC))
    app.config.update({f"AUTO_{name}_RESPONSE": wanted for name, wanted in QUIET.items()})
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY
    app.config["MAX_FORM_PARTS"] = 200
    app.register_blueprint(bitrix24_hooks.blueprint(settings, runtime))
    app.register_blueprint(amocrm_hooks.blueprint(settings, runtime))
    app.register_blueprint(inbox.blueprint(settings, runtime))
    app.register_blueprint(reference.blueprint())
    onec_public.register(app, settings, runtime, parts or onec_public.Parts())
    app.register_error_handler(HTTPException, _plainly)
    app.add_url_rule("/healthz", view_func=app.doc(hide=True)(_healthy))
    app.add_url_rule("/readyz", view_func=app.doc(hide=True)(lambda: _ready(runtime)))
    return app


def _plainly(error: HTTPException) -> ResponseReturnValue:
    if onec_public.is_ours(request.path):
        return onec_public.refused(error)
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return jsonify(error=HTTPStatus(status).phrase.lower()), status


def _healthy() -> ResponseReturnValue:
    """The process answers; nothing else is asked."""
    return jsonify(ok=True)


def _ready(runtime: Runtime) -> ResponseReturnValue:
    """Whether what the process needs answers too."""
    wrong = [name for name, check in (("redis", _ask_redis), ("ledger", _ask_ledger)) if not check(runtime)]
    return jsonify(ok=not wrong, away=wrong), HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK


def _ask_redis(runtime: Runtime) -> bool:
    try:
        return bool(runtime.redis.ping())
    except RedisError:
        return False


def _ask_ledger(runtime: Runtime) -> bool:
    try:
        with runtime.ledger.read() as connection:
            return connection.execute(select(1)).scalar() == 1
    except SQLAlchemyError:
        return False
