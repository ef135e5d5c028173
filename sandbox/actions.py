"""What an armed fault does to a request: one function per action, its keywords are its parameters."""

import inspect
import json as json_text
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sandbox import delivery
from sandbox.system import System
from sandbox.wire import JSON_TYPE, Response, html_response, json_response

DEFAULT_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"

Remake = Callable[[System, Response], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """`is_handled`: the system sees the request (a write is committed); `remake` then replaces what it answered."""

    before_s: float = 0.0
    after_s: float = 0.0
    is_handled: bool = True
    is_answered: bool = True
    remake: Remake | None = None
    deliver: delivery.Delivery = delivery.whole

    def applied(self, system: System, response: Response) -> Response:
        """What is sent instead of `response`; what happened to the request stays on the trace."""
        return response if self.remake is None else replace(self.remake(system, response), trace=response.trace)


NO_FAULT = Effect()


def _latency(*, before_s: float = 0.0, after_s: float = 0.0) -> Effect:
    return Effect(before_s=before_s, after_s=after_s)


def _status(
    *,
    status: int,
    json: Any = None,
    html: str | None = None,
    headers: dict[str, str] | None = None,
    commit: bool = False,
) -> Effect:
    extra = tuple((headers or {}).items())

    def remake(_system: System, _response: Response) -> Response:
        if json is not None:
            return json_response(status, json, headers=extra)
        return html_response(status, DEFAULT_PAGE if html is None else html, headers=extra)

    return Effect(is_handled=commit, remake=remake)


def _html(*, html: str = DEFAULT_PAGE, commit: bool = False) -> Effect:
    return _status(status=200, html=html, commit=commit)


def _error(
    *, code: str = "ERROR_UNEXPECTED_ANSWER", text: str = "Internal error", status: int = 200, commit: bool = False
) -> Effect:
    return Effect(is_handled=commit, remake=lambda system, _: json_response(status, system.failure(code, text)))


def _truncated(*, share: float = 0.5, commit: bool = True) -> Effect:
    def remake(_system: System, response: Response) -> Response:
        body = response.body or b'{"result": {"ID": "1"}}'
        return replace(response, status=response.status or 200, body=body[: int(len(body) * share)])

    return Effect(is_handled=commit, remake=remake)


def _wrong_type(*, value: Any = (), commit: bool = True) -> Effect:
    return Effect(is_handled=commit, remake=lambda _system, _response: json_response(200, value))


def _reset_before() -> Effect:
    return Effect(is_handled=False, is_answered=False, deliver=delivery.reset)


def _reset_after() -> Effect:
    return Effect(is_answered=False, deliver=delivery.reset)


def _hang(*, commit: bool = True) -> Effect:
    return Effect(is_handled=commit, is_answered=False, deliver=delivery.hang)


def _slow(*, bytes_per_s: float = 10.0) -> Effect:
    return Effect(deliver=delivery.slow(bytes_per_s))


def _cut(*, share: float = 0.5) -> Effect:
    return Effect(deliver=delivery.cut(share))


def _huge(*, size: int = 50_000_000) -> Effect:
    return Effect(deliver=delivery.huge(size))


def _redirect(*, location: str, status: int = 302) -> Effect:
    return _status(status=status, html="", headers={"Location": location})


def _revoke() -> Effect:
    return Effect(is_handled=False, remake=lambda system, _: system.revoked())


def _throttle(*, retry_after_s: int = 1) -> Effect:
    return Effect(is_handled=False, remake=lambda system, _: system.throttled(retry_after_s))


def _repeat_rows(*, unless_has: str | None = None) -> Effect:
    """Pages whose rows moved between two reads: every list of rows reversed, then its first half once more.

    A row is an object with an "ID", and what a row holds (its phones) stays as it is, as do `next` and `total`. A page
    may so come to 75 rows, more than Bitrix24's 50. Lists whose rows have the field `unless_has` stay as they are:
    "OWNER_TYPE" spares the product rows of deals, which are a deal's content and no page.
    """

    def remake(_system: System, response: Response) -> Response:
        if response.content_type != JSON_TYPE:
            return response
        repeated = _with_rows_repeated(json_text.loads(response.body), unless_has)
        return replace(response, body=json_text.dumps(repeated).encode())

    return Effect(remake=remake)


def _with_rows_repeated(value: Any, unless_has: str | None) -> Any:
    if isinstance(value, dict) and "ID" not in value:
        return {name: _with_rows_repeated(item, unless_has) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    if not value or not all(isinstance(item, dict) and "ID" in item for item in value):
        return [_with_rows_repeated(item, unless_has) for item in value]
    if any(unless_has in row for row in value):
        return value
    turned = value[::-1]
    return turned + turned[: (len(turned) + 1) // 2]


ACTIONS: dict[str, Callable[..., Effect]] = {
    "latency": _latency,
    "status": _status,
    "html": _html,
    "error": _error,
    "truncated": _truncated,
    "wrong_type": _wrong_type,
    "reset_before": _reset_before,
    "reset_after": _reset_after,
    "hang": _hang,
    "slow": _slow,
    "cut": _cut,
    "huge": _huge,
    "redirect": _redirect,
    "revoke": _revoke,
    "throttle": _throttle,
    "repeat_rows": _repeat_rows,
}
# These, and whatever is left to chance, happen until somebody disarms them.
UNTIL_DISARMED = {"revoke"}


def effect_of(action: str, params: dict[str, Any]) -> Effect:
    """Raises ValueError for an unknown action or parameter."""
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action}; there are {', '.join(ACTIONS)}")
    try:
        return ACTIONS[action](**params)
    except TypeError as error:
        accepted = ", ".join(inspect.signature(ACTIONS[action]).parameters)
        raise ValueError(f"{action} takes only: {accepted or 'nothing'} ({error})") from error
