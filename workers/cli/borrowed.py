"""A Redis for commands that call outside systems while nothing else runs: the rate budgets are kept there."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from redis import Redis

from workers import compose
from workers.app import settings
from workers.embedded import EmbeddedRedis, running_url


@contextmanager
def borrowed_redis() -> Iterator[Redis]:
    """A client of the running Redis, or of an embedded one that lasts as long as the block."""
    is_absent = settings().is_redis_embedded and running_url(settings().var) is None
    with EmbeddedRedis(settings().var) if is_absent else nullcontext():
        yield compose.connect_redis(compose.redis_url(settings()))
