"""What holds for a whole amoCRM account: whether its lists can be filtered (facts/amocrm.md §5).

Filtering is a feature that accounts have or have not. Where it is missing a filter is ignored without a word, and all
entities come back: so an answer that shows what was not asked for ends our trust in that filter, whatever the account
says of itself.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from connectors.amocrm_api import Api

Filter = Literal["changes", "ids", "fields"]
REMEMBERED_FOR = 1800.0
"""Seconds."""
QUERY = (("with", "is_api_filter_enabled,datetime_settings"),)


class Account:
    """Asked once, and then remembered by the process for a while."""

    def __init__(self, api: Api, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._lock = threading.Lock()
        self._has_filters = False
        self._ends: float | None = None
        self._distrusted: dict[Filter, float] = {}

    def shown(self) -> tuple[Mapping[str, Any], float]:
        """What the account says of itself, and by how many seconds its clock is ahead of ours."""
        asked = time.time()
        reply = self._api.get("account", QUERY)
        if not isinstance(reply.body, dict) or not isinstance(reply.body.get("id"), int):
            raise self._api.unusable("the account does not tell its id")
        return reply.body, reply.began.timestamp() - asked

    def has(self, name: Filter) -> bool:
        """Whether lists can be filtered so. Raises as a read does."""
        with self._lock:
            now = self._clock()
            if self._ends is None or now >= self._ends:
                body, _ = self.shown()
                self._has_filters, self._ends = body.get("is_api_filter_enabled") is True, now + REMEMBERED_FOR
            return self._has_filters and now >= self._distrusted.get(name, now)

    def distrust(self, name: Filter) -> None:
        """It was ignored."""
        with self._lock:
            self._distrusted[name] = self._clock() + REMEMBERED_FOR
