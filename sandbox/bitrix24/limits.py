"""The two limits of a portal (facts/bitrix24.md §2): a leaky bucket per client address, execution time per method."""

import threading
from collections import deque
from collections.abc import Callable

from sandbox.bitrix24.errors import method_blocked, too_many_requests
from sandbox.bitrix24.switches import Switches

# Profile → (requests drained per second, threshold).
PROFILES = {"standard": (2, 50), "enterprise": (5, 250)}
BASKET_S = 60
WINDOW_S = 600


class RequestBuckets:
    """One counter per client address: every request adds one, every full second takes Y away, above X comes a 503."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[int, float]] = {}

    def admit(self, client_ip: str, switches: Switches) -> None:
        """Raises Refusal when the bucket would overflow."""
        if switches.rate_profile == "off":
            return
        drain, threshold = PROFILES[switches.rate_profile]
        with self._lock:
            now = self._elapsed()
            level, since = self._levels.get(client_ip, (0, now))
            seconds = int(now - since)
            level, since = max(0, level - drain * seconds), since + seconds
            is_full = level >= threshold
            if not is_full or switches.rejected_requests_count:
                level += 1
            self._levels[client_ip] = (level, since)
        if is_full:
            raise too_many_requests()


class OperatingBaskets:
    """Execution time per method in one-minute baskets over ten minutes; checked before a call, charged after it."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._baskets: dict[str, deque[list[float]]] = {}

    def admit(self, method: str, switches: Switches) -> None:
        """Raises Refusal while the method has used up its time."""
        if switches.operating_limit_s and self.used(method)[0] >= switches.operating_limit_s:
            raise method_blocked()

    def charge(self, method: str, seconds: float) -> None:
        with self._lock:
            now = self._elapsed()
            baskets = self._baskets.setdefault(method, deque())
            if baskets and now - baskets[-1][0] < BASKET_S:
                baskets[-1][1] += seconds
            else:
                baskets.append([now, seconds])

    def used(self, method: str) -> tuple[float, float]:
        """Seconds used within the window, and seconds until the oldest basket expires."""
        with self._lock:
            now = self._elapsed()
            baskets = self._baskets.get(method, deque())
            while baskets and now - baskets[0][0] >= WINDOW_S:
                baskets.popleft()
            if not baskets:
                return 0.0, WINDOW_S
            return sum(seconds for _, seconds in baskets), baskets[0][0] + WINDOW_S - now
