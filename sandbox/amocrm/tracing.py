"""What the journal is told of a request: its route, its rows by id, and nothing that is secret."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from sandbox.amocrm.call import Route
from sandbox.bitrix24.php import parse_query
from sandbox.wire import Request, Trace

_UNSAID = {"code", "client_secret", "refresh_token"}


def masked(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return {name: "***" if name in _UNSAID else value for name, value in body.items()} if isinstance(body, dict) else {}


def traced(route: Route, parts: tuple[str, ...], request: Request) -> Trace:
    """Every element of an array is a command of its own, so that the journal can be asked for an entity."""
    entity = route.entity or next(iter(parts), "")
    template = route.template.replace("{entity}", parts[0] if parts else "")
    numbers = [part for part in parts if part.isdecimal()]
    like = partial(Trace, method=f"{route.http_method} /api/v4/{template}", kind=route.kind, entity=entity)
    if route.kind == "read":
        return like(key=next(reversed(numbers), ""), params=parse_query(request.query))
    try:
        body = json.loads(request.body)
    except ValueError:
        return like()
    if not isinstance(body, list):
        return like(key=next(reversed(numbers), ""), params=body)
    commands = tuple(like(key=_id_in(element), params=element) for element in body)
    return like(key=commands[0].key if len(commands) == 1 else "", commands=commands)


def _id_in(element: Any) -> str:
    return str(element.get("id") or "") if isinstance(element, dict) else ""


def done(trace: Trace, keys: dict[int, str], *, is_whole: bool = False) -> Trace:
    """With the ids of what was written; `is_whole` unless only some of the elements were."""
    if trace.kind != "write":
        return trace
    commands = tuple(
        replace(command, key=keys.get(index) or command.key, is_committed=bool(keys.get(index)))
        for index, command in enumerate(trace.commands)
    )
    key = next(iter(keys.values()), trace.key) if len(commands) <= 1 else ""
    return replace(trace, key=key, commands=commands, is_committed=is_whole or bool(keys))
