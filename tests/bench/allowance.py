"""How much of a portal's allowance N worker processes use together, and how often the portal must refuse."""

import multiprocessing
import tempfile
import threading
import time
from pathlib import Path

from connectors.base import Secret
from connectors.bitrix24 import Bitrix24
from connectors.bitrix24_config import Bitrix24Config
from connectors.errors import Throttled
from tests.harbour import Sandbox
from workers.compose import connect_redis
from workers.embedded import EmbeddedRedis

WARM_UP = 5.0
MEASURED = 30.0
PER_SECOND = 2.0
THREADS = 8
"""Of each process; all of them always want to call."""


def hammer(webhook_url, redis_url, seconds):
    """Call as fast as the shared budget allows; runs in a process of its own."""
    connector = Bitrix24(Bitrix24Config(webhook_url=Secret(webhook_url)), connect_redis(redis_url))
    ends = time.monotonic() + seconds

    def work():
        while time.monotonic() < ends:
            try:
                connector.probe()
            except Throttled as throttled:
                time.sleep(min(throttled.wait or 1.0, 1.0))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def share_used(processes):
    """Calls made as a share of the allowance in the measured time, and how many the portal refused."""
    with tempfile.TemporaryDirectory() as name, EmbeddedRedis(Path(name) / "var") as redis:
        sandbox = Sandbox(Path(name))
        try:
            arguments = (sandbox.addresses["bitrix24"], redis.url, WARM_UP + MEASURED)
            spawn = multiprocessing.get_context("spawn")
            workers = [spawn.Process(target=hammer, args=arguments) for _ in range(processes)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            entries = sandbox.journal()
        finally:
            sandbox.stop()
    last = max(entry["at"] for entry in entries)
    counted = [entry for entry in entries if last - MEASURED < entry["at"] <= last]
    refused = sum(entry["status"] >= 400 for entry in entries)
    return len(counted) / (PER_SECOND * MEASURED), refused
