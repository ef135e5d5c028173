"""JSON-RPC as the vendor speaks it (facts/comagic.md §1): one call per request, no array, no notification."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.comagic.refusal import Refusal
from sandbox.comagic.switches import Switches

MASK = "***"
_SECRETS = ("access_token", "password")


@dataclass(frozen=True, slots=True)
class Envelope:
    method: str
    params: dict[str, Any]


def parsed(body: bytes) -> Any:
    """Raises Refusal for what is not JSON."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal("parse_error") from error


def opened(sent: Any, switches: Switches) -> Envelope:
    """Raises Refusal for any other shape than that of one call."""
    if isinstance(sent, list):
        raise Refusal(switches.batch_mnemonic)
    if not isinstance(sent, dict) or sent.get("jsonrpc") != "2.0":
        raise Refusal("invalid_request")
    if "id" not in sent:
        raise Refusal("notifications_not_supported")
    if request_id(sent) is None or not isinstance(sent.get("method"), str) or not isinstance(sent.get("params"), dict):
        raise Refusal("invalid_request")
    return Envelope(sent["method"], sent["params"])


def request_id(sent: Any) -> str | int | float | None:
    """None where there is none to echo."""
    given = sent.get("id") if isinstance(sent, dict) else None
    return given if isinstance(given, str | int | float) and not isinstance(given, bool) else None


def masked(params: dict[str, Any]) -> dict[str, Any]:
    """For the journal, which shows no secrets."""
    return {name: MASK if name in _SECRETS else value for name, value in params.items()}


def _refuse_constant(text: str) -> NoReturn:
    """NaN and Infinity, which only Python takes for JSON."""
    raise ValueError(text)
