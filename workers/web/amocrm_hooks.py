"""`POST /hooks/amocrm/<connection>/<secret>`: amoCRM tells what changed; we look at once instead of at the next poll.

A good answer says that Redis keeps the hint; 503, that it does not, and amoCRM sends it again. What there is nothing to
keep of, or what finds too many hints waiting already, is answered well too: repeated it would fare no better, amoCRM
switches a webhook off that mostly gets bad answers, and polling finds it. Nothing is asked of any outside system here.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from redis import RedisError

from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_hooks import News, is_from, read_news
from tasks import look
from tasks.runtime import Runtime
from workers.settings import Settings

log = logging.getLogger("parom.web")

LARGEST_BODY = 1024 * 1024
"""Bytes: entities with long texts, of which each Russian letter takes six. Only who knows the secret is read."""


def blueprint(settings: Settings, runtime: Runtime) -> Blueprint:
    """The receiver, for the connections that have a `webhook_token`."""
    made = Blueprint("amocrm", __name__)
    known = accounts(settings)

    @made.post("/hooks/amocrm/<connection>/<secret>")
    def receive(connection: str, secret: str) -> ResponseReturnValue:
        config = known.get(connection)
        # An unknown connection, a wrong secret and a stranger's account look the same from outside.
        if not is_from(config.webhook_token if config else None, secret) or config is None:
            abort(HTTPStatus.FORBIDDEN)
        request.max_content_length = LARGEST_BODY
        news = read_news(request.get_data(cache=False))
        if not news.is_of(config.account_id):
            log.warning("a webhook of another amoCRM account", extra={"connection": connection})
            abort(HTTPStatus.FORBIDDEN)
        try:
            _pass_on(runtime, connection, news)
        except RedisError as error:
            log.warning("a webhook is not kept: %s", type(error).__name__, extra={"connection": connection})
            return jsonify(error="not kept, send it again"), HTTPStatus.SERVICE_UNAVAILABLE
        return "", HTTPStatus.NO_CONTENT

    return made


def accounts(settings: Settings) -> Mapping[str, AmoCrmConfig]:
    """By connection, the accounts that may call us."""
    configs = {name: connection.config for name, connection in settings.connections.items()}
    return {
        name: config for name, config in configs.items() if isinstance(config, AmoCrmConfig) and config.webhook_token
    }


def _pass_on(runtime: Runtime, connection: str, news: News) -> None:
    """Raises RedisError. What was kept by then is kept twice when amoCRM repeats it, which is the same as once."""
    for flow in runtime.flows.values():
        ids = news.ids.get(flow.kind.source_entity) if flow.source_name == connection else None
        if ids and look.hint(runtime.redis, flow.name, ids):
            runtime.publisher.look(flow.name)
