"""Points (facts/comagic.md §3): a minute and a day, each opened by its first charged call; refusals cost nothing."""

import math
from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.comagic.refusal import limit_exceeded
from sandbox.comagic.switches import Switches

MINUTE_S, DAY_S = 60.0, 86_400.0


class Window:
    """Points used until `ends`, in the clock's elapsed seconds."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._used = 0
        self._ends = -math.inf

    def used(self) -> int:
        return self._used if self._elapsed() < self._ends else 0

    def left_s(self, length: float) -> float:
        """Seconds until the reset, all of `length` while no window is open."""
        left = self._ends - self._elapsed()
        return left if left > 0 else length

    def charge(self, points: int, length: float) -> None:
        if points:
            self._used, self._ends = self.used() + points, self._elapsed() + self.left_s(length)


class Points:
    """The caller holds the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute, self._day = Window(clock.elapsed), Window(clock.elapsed)

    def admit(self, points: int, switches: Switches) -> None:
        """Raises Refusal; when both are gone it names the day, which is the longer wait."""
        for name, window, limit in (
            ("day", self._day, switches.day_limit),
            ("minute", self._minute, switches.minute_limit),
        ):
            if points and window.used() + points > limit:
                raise limit_exceeded(name, limit, switches.limit_type)

    def charge(self, points: int, switches: Switches) -> None:
        self._minute.charge(points, MINUTE_S)
        self._day.charge(points, self._day_s(switches))

    def limits(self, switches: Switches) -> dict[str, int]:
        return {
            "day_limit": switches.day_limit,
            "day_remaining": max(0, switches.day_limit - self._day.used()),
            "day_reset": math.ceil(self._day.left_s(self._day_s(switches))),
            "minute_limit": switches.minute_limit,
            "minute_remaining": max(0, switches.minute_limit - self._minute.used()),
            "minute_reset": math.ceil(self._minute.left_s(MINUTE_S)),
        }

    def _day_s(self, switches: Switches) -> float:
        if switches.day_window == "first_call":
            return DAY_S
        zone = ZoneInfo(switches.timezone)
        now = self._clock.now().astimezone(zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), zone)
        return midnight.timestamp() - now.timestamp()
