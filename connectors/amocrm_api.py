"""One request to amoCRM's API v4: who asks, how often, and what kind of end it comes to (facts/amocrm.md §1-§4).

Nothing but codes, counts and places is shown of a request or an answer: the rest is a secret, or people's data.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.amocrm_answer import Absent, Banned, Unauthorised, is_json, read, retry_after
from connectors.amocrm_pace import Together
from connectors.amocrm_tokens import Permanent, Revoked, Rotating, Tokens
from connectors.answer import Answer, Garbage, Lost
from connectors.base import Vault
from connectors.breaker import Breaker
from connectors.budget import Budget
from connectors.errors import ConnectorError, Refused, Rejected, Throttled, Transient
from connectors.http import Http

if TYPE_CHECKING:
    from redis import Redis

    from connectors.amocrm_config import AmoCrmConfig

BAN_PAUSE = 300.0
"""Seconds for which nobody calls after a ban: each further call makes it worse."""
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """`body` is None where there is nothing. `began` is the account's clock when we began to ask, aware."""

    body: Any | None
    began: datetime


class Api:
    """One account, as one integration."""

    def __init__(
        self, config: "AmoCrmConfig", redis: "Redis", *, vault: Vault | None, sleep: Callable[[float], None]
    ) -> None:
        self.name = f"amoCRM {config.host}"
        self.config = config
        deadline = config.deadline.total_seconds()
        self._pace = Together(
            Budget(redis, config.integration, (config.rate,), sleep=sleep),
            Budget(redis, config.account, (config.account_rate,), sleep=sleep),
        )
        self.http = Http(
            self.name,
            connect=config.connect_timeout,
            read=config.read_timeout,
            deadline=config.deadline,
            budget=self._pace,
            breaker=Breaker(redis, config.integration, probe_lease=deadline + 20),
            sleep=sleep,
        )
        self._tokens = self._access(vault)

    def get(self, path: str, query: Query = ()) -> Reply:
        """Raises Transient, Throttled, Refused; Absent where `path` names an entity that is not there."""
        try:
            return self.call("GET", path, query=query, repeatable=True)
        except Absent:
            raise
        except Rejected as error:
            # A question holds nothing of a record: asked for every record, it would be refused alike.
            reason = str(error)
        raise Refused(reason)

    def call(self, method: str, path: str, *, repeatable: bool, query: Query = (), payload: Any = None) -> Reply:
        """What the API answers to `path`, below /api/v4/. Raises any ConnectorError, by `amocrm_answer`'s tables.

        A call that is refused for its token was not carried out, and is sent again once, with another token.
        """
        send = partial(self._send, method, path, repeatable=repeatable, query=query, payload=payload)
        token = self._tokens.current()
        try:
            return send(token)
        except Unauthorised:
            token = self._tokens.instead_of(token)
        return send(token)

    def unusable(self, what: str) -> Transient:
        return Transient(f"{self.name}: {what}")

    def _send(self, method: str, path: str, token: str, *, repeatable: bool, query: Query, payload: Any) -> Reply:
        began, asked = datetime.now(UTC), time.monotonic()
        call = f"{method} {_nameless(path)}"
        answer, body = self.http.call(
            method,
            f"{self.config.root}/api/v4/{path}{'?' if query else ''}{urlencode(query)}",
            name=call,
            payload=payload,
            repeatable=repeatable,
            headers={"Authorization": f"Bearer {token}"},
            read=partial(self._read, call),
        )
        elapsed = timedelta(seconds=time.monotonic() - asked)
        shown = _http_date(answer.headers.get("Date", ""))
        return Reply(body, shown - elapsed if shown else began)

    def _read(self, call: str, answer: Answer) -> tuple[Answer, Any | None]:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorised(f"{self.name} {call}: the access token is not accepted")
        with self._heeding(call, answer):
            return answer, read(self.name, call, answer)

    @contextmanager
    def _heeding(self, call: str, answer: Answer) -> Iterator[None]:
        """What every worker must know of an answer: that the account wants to be left alone."""
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = self._pace.refused(retry_after(answer))
            raise Throttled(f"{self.name} {call}: {answer.describe()}", wait=wait)
        self._pace.accepted()
        try:
            yield
        except Banned:
            self._pace.penalise(BAN_PAUSE)
            raise

    def _access(self, vault: Vault | None) -> Tokens:
        if self.config.token is not None:
            return Permanent(self.config.token, self.name)
        if vault is None:
            raise ValueError("OAuth2 needs a vault for its tokens")
        return Rotating(self.config, vault, self._grant, name=self.name)

    def _grant(self, payload: Mapping[str, str]) -> Mapping[str, Any]:
        """One exchange. Raises Revoked if the credential is worth nothing any more, InDoubt if it may be spent."""
        return self.http.call(
            "POST",
            f"{self.config.root}/oauth2/access_token",
            name="POST oauth2/access_token",
            payload=payload,
            repeatable=False,
            read=self._read_grant,
        )

    def _read_grant(self, answer: Answer) -> Mapping[str, Any]:
        call = "POST oauth2/access_token"
        with self._heeding(call, answer):
            return self._granted(call, answer)

    def _granted(self, call: str, answer: Answer) -> Mapping[str, Any]:
        error: ConnectorError | Lost
        try:
            body = read(self.name, call, answer)
        except (Banned, Lost, Transient):
            raise
        except ConnectorError as refusal:
            error = refusal
        else:
            shown = body if isinstance(body, dict) else {}
            if all(isinstance(shown.get(key), str) and shown[key] for key in ("access_token", "refresh_token")):
                return shown
            raise Garbage(answer.describe())
        if is_json(answer) and answer.status != HTTPStatus.PAYMENT_REQUIRED:
            raise Revoked(f"{self.name} {call}: {answer.describe()}")
        raise error if isinstance(error, Refused) else Refused(str(error))


def _nameless(path: str) -> str:
    """The path as messages show it: with no ids, so that equal failures read alike."""
    return "/".join("…" if part.isdecimal() else part for part in path.split("/"))


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return None
