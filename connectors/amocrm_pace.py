"""Several budgets that a call must find a place in: amoCRM counts an integration's calls, and all of an account."""

import threading

from connectors.budget import PATIENCE, Level, Pacing

LONGEST_BACKOFF = 300.0


class Together:
    """As `Pacing`, over all `budgets`. A place in one is spent, and no more than that, if the next has none.

    What a thread's call comes to is told by the same thread. Calls that left together are refused together: of all that
    left before a pause, only the first refusal makes the next pause longer.
    """

    def __init__(self, *budgets: Pacing) -> None:
        self._budgets = budgets
        self._lock, self._threads = threading.Lock(), threading.local()
        self._pauses = self._refusals = 0

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:
        for budget in self._budgets:
            budget.reserve(weight, patience)
        self._threads.pauses = self._pauses

    def refused(self, wait: float | None) -> float:
        """The vendor refused a call for its rate: nobody calls for these seconds, by default longer each time."""
        with self._lock:
            if self._is_news():
                self._refusals += 1
                self._pauses += 1
            wait = wait or min(2.0 ** max(0, self._refusals - 1), LONGEST_BACKOFF)
        self.penalise(wait)
        return wait

    def accepted(self) -> None:
        """The vendor did not refuse a call for its rate."""
        with self._lock:
            if self._is_news():
                self._refusals = 0

    def penalise(self, seconds: float) -> None:
        for budget in self._budgets:
            budget.penalise(seconds)

    def level(self) -> Level:
        levels = [budget.level() for budget in self._budgets]
        return Level(used=max(level.used for level in levels), wait=max(level.wait for level in levels))

    def headroom(self) -> int:
        return min(budget.headroom() for budget in self._budgets)

    def _is_news(self) -> bool:
        """Whether this thread's call left after the last pause."""
        is_news: bool = self._threads.pauses == self._pauses
        return is_news
