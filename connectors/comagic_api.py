"""Calls to CoMagic's Data API: JSON-RPC over POST, the token in the body, points counted (facts/comagic.md §1-§3).

A request holds the token and people's data, so no message shows more of it than the method's name.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from connectors.answer import Answer, Garbage, Lost
from connectors.base import Secret
from connectors.breaker import Breaker
from connectors.comagic_answer import THROTTLED_WAIT, WRONG_ADDRESS, Fault, SessionOver, envelope, limits_of
from connectors.comagic_session import Permanent, Sessions, Tokens
from connectors.errors import ConnectorError, Refused, Throttled, Transient
from connectors.http import Http
from connectors.points import Points

if TYPE_CHECKING:
    from redis import Redis

    from connectors.comagic_config import CoMagicConfig

HEADERS = {"Content-Type": "application/json; charset=UTF-8"}
Rows = Sequence[Mapping[str, Any]]


class Api:
    """One account, called with one token or by one user."""

    def __init__(self, config: "CoMagicConfig", redis: "Redis", *, sleep: Callable[[float], None]) -> None:
        self.name = f"CoMagic {config.host}"
        self._config = config
        deadline = config.deadline.total_seconds()
        self.points = Points(
            redis,
            config.account,
            minute=config.minute_limit,
            day=config.day_limit,
            longest_call=deadline,
            sleep=sleep,
        )
        self.http = Http(
            self.name,
            connect=config.connect_timeout,
            read=config.read_timeout,
            deadline=config.deadline,
            budget=self.points,
            breaker=Breaker(redis, config.account, probe_lease=deadline + 20),
            sleep=sleep,
        )
        self._tokens: Tokens = (
            Permanent(config.token)
            if config.token is not None
            else Sessions(redis, config.account, self._login, longest_login=deadline, sleep=sleep)
        )

    def read(self, method: str, params: Mapping[str, Any] | None = None, *, weight: int = 1) -> list[Any]:
        """The list that `method` finds. Raises Transient, Throttled, Refused."""
        data = self._call(method, params or {}, repeatable=True, weight=weight).get("data")
        if isinstance(data, list):
            return data
        raise self._unusable(method)

    def write(self, method: str, params: Mapping[str, Any], *, rows: Rows = ()) -> None:
        """Raises any ConnectorError, InDoubt if it was sent and no answer read; a Rejected may name one of `rows`."""
        self._call(method, params, repeatable=False, rows=rows)

    def _call(
        self, method: str, params: Mapping[str, Any], *, repeatable: bool, weight: int = 1, rows: Rows = ()
    ) -> Mapping[str, Any]:
        """The whole `result`."""
        own = {} if self._config.user_id is None else {"user_id": self._config.user_id}
        send = partial(self._send, method, repeatable=repeatable, weight=weight, rows=rows)
        over = ""
        for _ in range(2):
            token = self._tokens.current()
            try:
                return send({"access_token": token, **own, **params})
            except SessionOver as error:
                over = str(error)
            if not self._tokens.discard(token):
                break
        raise Refused(over)

    def _send(
        self, method: str, params: Mapping[str, Any], *, repeatable: bool, weight: int = 1, rows: Rows = ()
    ) -> Mapping[str, Any]:
        try:
            return self.http.call(
                "POST",
                self._config.base_url,
                name=method,
                payload={"jsonrpc": "2.0", "id": str(uuid4()), "method": method, "params": params},
                repeatable=repeatable,
                weight=weight,
                headers=HEADERS,
                read=partial(self._read, method, rows),
            )
        finally:
            self.points.forget()

    def _login(self) -> tuple[Secret, float | None]:
        params = {"login": self._config.login, "password": self._config.password}
        data = self._send("login.user", params, repeatable=True).get("data")
        shown = data if isinstance(data, dict) else {}
        token, ends = shown.get("access_token"), shown.get("expire_at", shown.get("expire"))
        if not isinstance(token, str) or not token:
            raise self._unusable("login.user")
        return Secret(token), float(ends) if isinstance(ends, int | float) else None

    def _unusable(self, method: str) -> Transient:
        return Transient(f"{self.name} {method}: the answer lacks its data")

    def _read(self, method: str, rows: Rows, answer: Answer) -> Mapping[str, Any]:
        body = envelope(answer)
        if body is None:
            raise self._foreign(method, answer)
        if "error" in body:
            fault = Fault.of(body["error"])
            self.points.settle(is_charged=False, limits=fault.limits)
            raise self._failure(method, fault, rows)
        result: Mapping[str, Any] = body["result"]
        self.points.settle(is_charged=True, limits=limits_of(result))
        return result

    def _foreign(self, method: str, answer: Answer) -> ConnectorError | Lost:
        """What is not JSON-RPC was said by somebody on the way."""
        if answer.is_redirect:
            return Refused(f"{self.name}: redirects to {answer.moved_to}: change base_url")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._throttled(f"{self.name} {method}: {answer.describe()}", answer.retry_after or THROTTLED_WAIT)
        if answer.status in WRONG_ADDRESS:
            return Refused(f"{self.name} {method}: {answer.describe()}: check base_url")
        return Garbage(answer.describe(), wait=answer.retry_after)

    def _failure(self, method: str, fault: Fault, rows: Rows) -> ConnectorError | Lost:
        name, meaning = f"{self.name} {method}", fault.meaning
        if meaning is Lost:
            return Lost(fault.reason)
        if meaning is Throttled:
            return self._exhausted(name, fault)
        if issubclass(meaning, Refused):
            return meaning(": ".join(filter(None, [name, fault.reason, fault.advice])))
        return fault.rejection(name, rows)

    def _exhausted(self, name: str, fault: Fault) -> Throttled:
        """The points are gone, and the vendor tells until when, or only of which window they are."""
        message, told = f"{name}: {fault.reason}", fault.limits.wait
        if told is not None:
            return Throttled(message, wait=told)
        return self._throttled(message, self._till_midnight() if fault.limit_type == "day" else THROTTLED_WAIT)

    def _throttled(self, message: str, wait: float) -> Throttled:
        self.points.penalise(wait)
        return Throttled(message, wait=wait)

    def _till_midnight(self) -> float:
        zone = self._config.timezone
        now = datetime.now(zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), zone)
        return midnight.timestamp() - now.timestamp()
