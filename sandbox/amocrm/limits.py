"""Two limits and a ban (facts/amocrm.md §3): 7 a second of the integration, 50 of the account; then 403."""

from collections import deque

from sandbox.amocrm.refusal import banned, too_fast
from sandbox.amocrm.switches import Switches
from sandbox.clock import Clock

WINDOW_S = 1.0


class Limits:
    """The caller holds the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[float] = deque()
        self._refused: deque[float] = deque()
        self.is_banned = False

    def admit(self, switches: Switches) -> None:
        """Raises Refusal; a ban is lifted by a person only."""
        if self.is_banned:
            raise banned()
        if switches.rate_profile == "off":
            return
        now = self._clock.elapsed()
        first = float(int(now)) if switches.rate_window == "fixed" else now - WINDOW_S
        while self._requests and (self._requests[0] < first or now - self._requests[0] >= WINDOW_S):
            self._requests.popleft()
        room = min(switches.integration_per_s, switches.account_per_s - switches.other_load_per_s)
        is_full = len(self._requests) >= room
        if not is_full or switches.rejected_requests_count:
            self._requests.append(now)
        if is_full:
            self._refuse(now, switches)

    def _refuse(self, now: float, switches: Switches) -> None:
        self._refused.append(now)
        while now - self._refused[0] >= switches.ban_window_s:
            self._refused.popleft()
        if len(self._refused) >= switches.ban_after:
            self.is_banned = True
            raise banned()
        raise too_fast(switches, switches.retry_after_s)

    def lift(self) -> None:
        self.is_banned = False
        self._refused.clear()
