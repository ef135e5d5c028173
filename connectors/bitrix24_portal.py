"""Calls to a Bitrix24 portal: how they are paced, and what its answers mean (facts/bitrix24.md §2, §3).

Every method called from here may be repeated safely: it reads, or writes absolute values.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.answer import Answer, Garbage, Lost, meaning_of_status
from connectors.breaker import Breaker
from connectors.budget import Budget, Rate
from connectors.errors import ConnectorError, Refused, Rejected, Throttled, Transient
from connectors.http import Http

if TYPE_CHECKING:
    from redis import Redis

    from connectors.bitrix24_config import Bitrix24Config

RATE_PENALTY = 5.0
"""Seconds of silence after a 503: the vendor's bucket is full, and drains as fast as we would fill it again."""
OPERATION_PENALTY = 60.0
BUSY_SHARE = 0.9
"""The share of a method's running time after which we stop by ourselves until some of it is given back."""
LONGEST_ID = 18
UNBOUND = Rate(1000.0, 1000)
"""Never binds: a method's own budget exists to be penalised."""


class Gone(Rejected):
    """The entity is not there, or not any more."""


# The vendor's codes, upper-cased. What is Rejected in a batch's command is Refused when it ends a whole call.
ERROR_MEANING: Mapping[str, type[ConnectorError | Lost]] = {
    "QUERY_LIMIT_EXCEEDED": Throttled,
    "OPERATION_TIME_LIMIT": Throttled,
    "INTERNAL_SERVER_ERROR": Lost,
    "ERROR_UNEXPECTED_ANSWER": Lost,
    "NOT_FOUND": Gone,
    "CRM_FIELD_ERROR_VALUE_NOT_VALID": Rejected,
    "INVALID_ARG_VALUE": Rejected,
    "OVERLOAD_LIMIT": Refused,
    "PORTAL_DELETED": Refused,
    "PAYMENT_REQUIRED": Refused,
    "ACCESS_DENIED": Refused,
    "USER_ACCESS_ERROR": Refused,
    "ALLOWED_ONLY_INTRANET_USER": Refused,
    "NO_AUTH_FOUND": Refused,
    "INVALID_CREDENTIALS": Refused,
    "INSUFFICIENT_SCOPE": Refused,
    "AUTHORIZATION_ERROR": Refused,
    "WRONG_AUTH_TYPE": Refused,
    "EXPIRED_TOKEN": Refused,
    "INVALID_TOKEN": Refused,
    "APPLICATION_NOT_FOUND": Refused,
    "ERROR_OAUTH": Refused,
    "METHOD_CONFIRM_WAITING": Refused,
    "METHOD_CONFIRM_DENIED": Refused,
    "INVALID_REQUEST": Refused,
    "ERROR_METHOD_NOT_FOUND": Refused,
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": Refused,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": Refused,
}

# Classic CRM methods give no code, or ERROR_CORE, and say it in words: part of them, meaning, what the manager is told.
WORDS_MEANING: Sequence[tuple[str, type[ConnectorError | Lost], str]] = (
    ("method not found", Refused, ""),
    ("not found", Gone, "запись не найдена, возможно, её удалили"),
    ("не найден", Gone, "запись не найдена, возможно, её удалили"),
    ("access denied", Rejected, "нет прав на эту запись"),
    ("доступ запрещ", Rejected, "нет прав на эту запись"),
    ("id is not defined", Rejected, "неверный ID"),
    ("invalid address", Rejected, "неверный e-mail"),
    ("disk resource exhausted", Refused, ""),
    ("failed to get list", Lost, ""),
)


@dataclass(frozen=True)
class _Meaning:
    """What an error object of the portal says: what to raise, the reason for the log, and the manager's words."""

    kind: type[ConnectorError | Lost]
    code: str
    reason: str
    told: str


class Portal:
    """One portal, called through one webhook."""

    def __init__(self, config: "Bitrix24Config", redis: "Redis", *, sleep: Callable[[float], None]) -> None:
        self.name = f"Bitrix24 {config.host}"
        self._config = config
        self._redis = redis
        self._running_times: dict[str, Budget] = {}
        self._budget = Budget(redis, config.account, (config.rate,), sleep=sleep)
        self.http = Http(
            self.name,
            connect=config.connect_timeout,
            read=config.read_timeout,
            deadline=config.deadline,
            budget=self._budget,
            breaker=Breaker(redis, config.account, probe_lease=config.deadline.total_seconds() + 20),
            sleep=sleep,
        )

    def held(self, method: str) -> Throttled | None:
        """Why `method` must not be called now, by this webhook and whichever worker, for the time that it ran."""
        try:
            self._running_time(method).reserve(patience=1)
        except Throttled as error:
            return error
        return None

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The whole answer, an object with a `result`. Raises Transient, Throttled or Refused."""
        if held := self.held(method):
            raise held
        return self.http.call(
            "POST",
            f"{self._config.webhook_url.rstrip('/')}/{method}",
            name=method,
            payload=params or {},
            repeatable=True,
            read=partial(self._read, method),
        )

    def unusable(self, method: str, what: str) -> Transient:
        return Transient(f"{self.name} {method}: {what}")

    def server_time(self, method: str, answer: Mapping[str, Any]) -> datetime:
        """The portal's clock when it began to answer, with its offset."""
        times = answer.get("time")
        shown = moment(times.get("date_start")) if isinstance(times, dict) else None
        if shown is None:
            raise self.unusable(method, "the answer does not tell its time")
        return shown

    def command_error(self, method: str, body: Any) -> ConnectorError:
        """What the error of one command in a batch means, for its record alone."""
        meaning = _meaning(body, status=HTTPStatus.BAD_REQUEST)
        if issubclass(meaning.kind, Rejected):
            return meaning.kind(f"{self.name} {method}: {meaning.reason}", told=f"Битрикс24 не принял: {meaning.told}")
        error = self._error(method, meaning, wait=None)
        return self.unusable(method, meaning.reason) if isinstance(error, Lost) else error

    def _read(self, method: str, answer: Answer) -> Mapping[str, Any]:
        if answer.is_redirect:
            # Followed, a redirect turns our POST into a GET without its body.
            raise Refused(f"{self.name}: the portal moved to {answer.moved_to}: change webhook_url")
        body = _object(answer)
        if answer.is_error or "error" in body:
            raise self._error(method, _meaning(body, status=answer.status), wait=answer.retry_after)
        if "result" not in body:
            raise Garbage(answer.describe())
        self.heed_running_time(method, body.get("time"))
        return body

    def _error(self, method: str, meaning: _Meaning, *, wait: float | None) -> ConnectorError | Lost:
        message = f"{self.name} {method}: {meaning.reason}"
        if meaning.kind is Lost:
            return Lost(meaning.reason, wait=wait)
        if meaning.kind is Throttled:
            return self._throttled(method, meaning, message, wait)
        return Transient(message, wait=wait) if meaning.kind is Transient else Refused(message)

    def _throttled(self, method: str, meaning: _Meaning, message: str, wait: float | None) -> Throttled:
        if meaning.code == "OPERATION_TIME_LIMIT":
            budget, wait = self._running_time(method), wait or OPERATION_PENALTY
        else:
            budget, wait = self._budget, wait or RATE_PENALTY
        budget.penalise(wait)
        return Throttled(message, wait=wait)

    def _running_time(self, method: str) -> Budget:
        """The pause of one method: the vendor blocks a method that ran too long for one webhook, and no other."""
        if method not in self._running_times:
            self._running_times[method] = Budget(self._redis, f"{self._config.webhook}:{method}", (UNBOUND,))
        return self._running_times[method]

    def heed_running_time(self, method: str, times: Any) -> None:
        """Stop in time: `times` is what an answer tells of the method's running time, if it does.

        A batch is charged to itself or to its commands, so whoever sends one heeds the times of both (§2.2).
        """
        shown = times if isinstance(times, dict) else {}
        if _number(shown.get("operating")) < self._config.operating_limit.total_seconds() * BUSY_SHARE:
            return
        resets, now = _number(shown.get("operating_reset_at")), _number(shown.get("finish"))
        wait = resets - now if resets and now else OPERATION_PENALTY
        self._running_time(method).penalise(min(max(wait, 1.0), OPERATION_PENALTY * 10))


def _meaning(body: Any, *, status: int) -> _Meaning:
    """By the code, then by the words, then by the HTTP status."""
    error = body if isinstance(body, dict) else {}
    code = str(error.get("error", "")).upper()
    words = str(error.get("error_description", "")).lower()
    known = next(
        (row for row in WORDS_MEANING if row[0] in words), ("", meaning_of_status(status), "неизвестная ошибка")
    )
    # The vendor's own words may quote a person's data: only those that we know are shown.
    shown = code if re.fullmatch(r"[A-Z0-9_]{1,60}", code) else known[0] or "an unknown error"
    return _Meaning(ERROR_MEANING.get(code, known[1]), code, f"{shown} (HTTP {status})", known[2])


def _object(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; of an error's page in HTML, an empty one."""
    try:
        body = answer.json()
    except Garbage:
        if not answer.is_error:
            raise
        body = {}
    return body if isinstance(body, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def section(value: Any) -> Mapping[str, Any]:
    """A part of a batch's answer by command key: PHP writes a map as a list when it is empty or counts from 0."""
    if isinstance(value, list):
        return {str(number): item for number, item in enumerate(value)}
    return value if isinstance(value, dict) else {}


def moment(value: Any) -> datetime | None:
    """An aware time, or None if `value` does not tell one."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return parsed if parsed.tzinfo else None


def is_id(text: str) -> bool:
    """Whether `text` can be an id of the portal: a decimal number of a sane length."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID
