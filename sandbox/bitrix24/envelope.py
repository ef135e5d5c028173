"""How a call arrives and how an answer is wrapped (facts/bitrix24.md §1, §3.1)."""

import json
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from sandbox.bitrix24.errors import Refusal
from sandbox.bitrix24.listing import Result
from sandbox.bitrix24.moments import printed
from sandbox.bitrix24.php import parse_query
from sandbox.wire import Request


def parameters(request: Request) -> dict[str, Any]:
    """Query string and body merged, the body winning, top-level names in lower case. Raises Refusal for broken JSON."""
    merged = parse_query(request.query)
    if request.body:
        merged |= _body(request)
    return lowered(merged)


def lowered(params: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in params.items()}


def _body(request: Request) -> dict[str, Any]:
    text = request.body.decode(errors="replace")
    if "json" not in request.headers.get("content-type", "") and not text.startswith("{"):
        return parse_query(text)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_REQUEST", "Invalid JSON") from error
    return value if isinstance(value, dict) else {}


def enveloped(result: Result, time: dict[str, Any]) -> dict[str, Any]:
    envelope = {"result": result.value}
    if result.next is not None:
        envelope["next"] = result.next
    if result.total is not None:
        envelope["total"] = result.total
    return envelope | {"time": time}


def time_block(
    started: datetime, finished: datetime, *, offset: str, operating: tuple[float, float] | None
) -> dict[str, Any]:
    """`operating` is the method's time used and the seconds until some of it is given back; None leaves it out."""
    start, finish = started.timestamp(), finished.timestamp()
    block = {
        "start": start,
        "finish": finish,
        "duration": finish - start,
        "processing": finish - start,
        "date_start": printed(started, offset),
        "date_finish": printed(finished, offset),
    }
    if operating is not None:
        used, left_s = operating
        block["operating_reset_at"] = int((finished + timedelta(seconds=left_s)).timestamp())
        block["operating"] = used
    return block
