"""Hints over Celery: how the engine's Publisher reaches workers. What cannot be sent now, a later tick sends."""

import logging
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis import Redis, RedisError

log = logging.getLogger("parom.hints")

SYNC_QUEUE = "parom.sync"


class CeleryPublisher:
    """Sends task names and ids; never a payload."""

    def __init__(self, app: Celery, redis: Redis) -> None:
        self._app = app
        self._redis = redis

    def sync(self, record_ids: Sequence[int]) -> None:
        self._send("parom.sync", [(record_id,) for record_id in record_ids])

    def poll(self, flow: str) -> None:
        self._send("parom.poll", [(flow,)])

    def look(self, flow: str) -> None:
        self._send("parom.look", [(flow,)])

    def note(self, flow: str) -> None:
        self._send("parom.note", [(flow,)])

    def waiting(self) -> int | None:
        try:
            return int(self._redis.llen(SYNC_QUEUE))
        except RedisError:
            return None

    def _send(self, task: str, calls: Sequence[tuple[Any, ...]]) -> None:
        if not calls:
            return
        try:
            with self._app.producer_pool.acquire(block=True, timeout=5) as producer:
                for args in calls:
                    self._app.send_task(task, args, producer=producer, retry=False)
        except (KombuError, RedisError, OSError) as error:
            log.warning("hints not sent: %s", type(error).__name__)
