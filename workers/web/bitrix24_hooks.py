"""`POST /hooks/bitrix24/<connection>`: Bitrix24 tells what changed; we look at once instead of at the next poll.

The answer comes before anything is read: a slow handler is called less and less, and nothing is ever sent again.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from redis import RedisError

from connectors.bitrix24_config import Bitrix24Config
from connectors.bitrix24_events import Event, is_from, read_event
from tasks import look
from tasks.runtime import Runtime
from workers.settings import Settings

log = logging.getLogger("parom.web")


def blueprint(settings: Settings, runtime: Runtime) -> Blueprint:
    """The receiver, for the connections that have an `application_token`."""
    made = Blueprint("bitrix24", __name__)
    known = tokens(settings)

    @made.post("/hooks/bitrix24/<connection>")
    def receive(connection: str) -> ResponseReturnValue:
        # An unknown connection and a wrong token look the same from outside.
        if not is_from(known.get(connection, ""), request.form):
            abort(HTTPStatus.FORBIDDEN)
        event = read_event(request.form)
        if event:
            _pass_on(runtime, connection, event)
        return jsonify(ok=True)

    return made


def tokens(settings: Settings) -> Mapping[str, str]:
    """By connection, the token that proves its portal."""
    configs = {name: connection.config for name, connection in settings.connections.items()}
    return {
        name: config.application_token
        for name, config in configs.items()
        if isinstance(config, Bitrix24Config) and config.application_token
    }


def _pass_on(runtime: Runtime, connection: str, event: Event) -> None:
    for flow in runtime.flows.values():
        if flow.source_name == connection and flow.kind.source_entity == event.entity:
            try:
                if look.hint(runtime.redis, flow.name, [event.id]):
                    runtime.publisher.look(flow.name)
            except RedisError:
                log.warning("a hint is lost, the next poll finds what it named", extra={"flow": flow.name})
