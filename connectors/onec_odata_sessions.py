"""The 1C sessions of a process, kept from call to call: starting one is slow (facts/onec.md A6)."""

import math
import os
import threading

WITHOUT_SESSIONS = 600.0
"""Seconds for which a base that starts no session is called without one."""


class Sessions:
    """The idle 1C sessions of this process, at most as many as it had calls under way; the last used is taken first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[str] = []
        self._pid = os.getpid()
        self._starts_again = -math.inf

    def may_start(self, now: float) -> bool:
        """Whether the base, as far as is known, lets sessions be kept."""
        return now >= self._starts_again

    def cannot_start(self, now: float) -> None:
        self._starts_again = now + WITHOUT_SESSIONS

    def take(self) -> str | None:
        """The cookie of an idle session, which is the caller's until it is given back."""
        with self._lock:
            self._forget_the_parents()
            return self._idle.pop() if self._idle else None

    def give(self, cookie: str) -> None:
        with self._lock:
            self._forget_the_parents()
            self._idle.append(cookie)

    def _forget_the_parents(self) -> None:
        """A session serves one call at a time, so a forked process must not share its parent's."""
        if self._pid != os.getpid():
            self._idle, self._pid = [], os.getpid()
