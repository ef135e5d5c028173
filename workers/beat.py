"""Beat's scheduler: sends no tick that nobody takes, so that a beat without workers does not fill Redis."""

from typing import Any

from celery.beat import Scheduler
from redis import RedisError

from workers import compose
from workers.app import settings

QUEUE = "parom"
MOST_WAITING = 100


class PatientScheduler(Scheduler):  # type: ignore[misc]
    """As Celery's own, in memory; two of them do no harm."""

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """Send the tick, unless a good number of them wait already."""
        return None if self._is_full() else super().apply_async(*args, **kwargs)

    def _is_full(self) -> bool:
        try:
            return int(self._redis().llen(QUEUE)) > MOST_WAITING
        except RedisError:
            return False  # sending will fail as well, and beat tries again

    def _redis(self) -> Any:
        if not hasattr(self, "_client"):
            self._client = compose.connect_redis(compose.redis_url(settings()))
        return self._client
