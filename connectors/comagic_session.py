"""Where the token of a call comes from: a permanent one, or a session that all workers share (facts/comagic.md §2).

One worker at a time logs in; its token lies in Redis until a minute before it ends.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import RedisError

from connectors.base import Secret
from connectors.budget import PATIENCE, WAIT_WITHOUT_REDIS
from connectors.errors import Refused, Throttled

if TYPE_CHECKING:
    from redis import Redis

LIFETIME = 3600.0
"""Seconds; a login that tells something else has another clock than ours."""
MARGIN = 60.0
REFUSED_FOR = 30.0
"""Seconds without another attempt after a wrong password: an account may be locked for too many."""
_GLANCE = 0.2
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Tokens(Protocol):
    """What a caller needs."""

    def current(self) -> Secret:
        """The token to use. Raises any ConnectorError of a login."""

    def discard(self, token: Secret) -> bool:
        """The vendor does not know `token`: whether asking for the current one may bring another."""


@dataclass(frozen=True)
class Permanent:
    """A token that only people renew."""

    token: Secret

    def current(self) -> Secret:
        return self.token

    def discard(self, token: Secret) -> bool:  # noqa: ARG002 - there is no other
        return False


class Sessions:
    """Sessions of one user. `login` makes one: the token, and when it ends (Unix time), if that was told."""

    def __init__(
        self,
        redis: "Redis",
        account: str,
        login: Callable[[], tuple[Secret, float | None]],
        *,
        longest_login: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._redis, self._account, self._login, self._sleep = redis, account, login, sleep
        self._key, self._lock, self._refused = (f"parom:session:{{{account}}}{part}" for part in ("", ":lock", ":no"))
        self._lease = round((longest_login + PATIENCE) * 1000)
        self._free = redis.register_script(_FREE)

    def current(self) -> Secret:
        """As `Tokens`. Raises Throttled while another worker logs in for longer than PATIENCE, or Redis is away."""
        try:
            return self._current()
        except RedisError as error:
            reason = f"{self._account}: no session, Redis answers {type(error).__name__}"
        raise Throttled(reason, wait=WAIT_WITHOUT_REDIS)

    def discard(self, token: Secret) -> bool:
        """As `Tokens`. A token that somebody else has renewed already stays."""
        with suppress(RedisError):
            self._free(keys=[self._key], args=[str(token)])
        return True

    def _current(self) -> Secret:
        mine, waited = secrets.token_hex(8), 0.0
        while waited <= PATIENCE:
            if token := self._redis.get(self._key):
                return Secret(token.decode() if isinstance(token, bytes) else token)
            if self._redis.set(self._lock, mine, nx=True, px=self._lease):
                try:
                    return self._renew()
                finally:
                    self._free(keys=[self._lock], args=[mine])
            self._sleep(_GLANCE)
            waited += _GLANCE
        raise Throttled(f"{self._account}: another worker is logging in", wait=_GLANCE * 5)

    def _renew(self) -> Secret:
        # Whoever held the lock before us may have been faster than our look.
        if token := self._redis.get(self._key):
            return Secret(token.decode() if isinstance(token, bytes) else token)
        if self._redis.exists(self._refused):
            raise Refused(f"{self._account}: login or password were refused, tried again after {REFUSED_FOR:.0f} s")
        try:
            token, ends = self._login()
        except Refused:
            self._redis.set(self._refused, 1, px=round(REFUSED_FOR * 1000))
            raise
        lives = (ends or 0.0) - time.time()
        lives = lives if MARGIN < lives <= LIFETIME else LIFETIME
        self._redis.set(self._key, str(token), px=round((lives - MARGIN) * 1000))
        return token
