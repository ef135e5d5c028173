"""`make interests N=10000`: many Interests in random order, a vendor who counts calls, a kill and a FLUSHALL.

Everything is real, and the verdict is taken from the sandbox's own store: every history whole, in order, once.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import requests
from redis import Redis

from tests.harbour import INBOX_TOKEN, kill, open_harbour, wait_until

MINUTE_POINTS = 60
STAGES = ("5c0e0001", "5c0e0002", "5c0e0003", "5c0e0004", "5c0e0005")
BEGINS = datetime.fromisoformat("2026-03-02T10:00:00+03:00")
BATCH = 500
PATIENCE = "5m"
"""The stages of an Interest arrive within so long of one another."""
WORKERS = 2
FLOW = "window = 200"
THREADS = 620


def run(count, *, seed=1):
    """Carry `count` Interests with five stages each and print what it cost. Exits with 1 if anything is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        harbour = open_harbour(
            folder,
            f"sqlite:///{folder}/parom.db",
            interests=0,
            every="60s",
            flow=FLOW,
            threads=THREADS,
            inbox_patience=PATIENCE,
            deadline="20s",
            settle="20s",
            lease="30s",
        )
        try:
            if not _run(harbour, count, random.Random(seed)):
                sys.exit("not every history is whole, in order and once")
        finally:
            harbour.stop()


def _run(harbour, count, dice):
    harbour.sandbox.post("/switches/comagic", minute_limit=MINUTE_POINTS, day_limit=1_000_000)
    web = harbour.start_web()
    wait_until(lambda: harbour.ready(web), "the web process answers")
    items = [item for number in range(count) for item in _way(number)]
    dice.shuffle(items)
    began = time.monotonic()
    (first, *_) = harbour.start_working(workers=WORKERS)
    for start in range(0, len(items), BATCH):
        _push(web, items[start : start + BATCH])
    print(f"pushed {len(items)} stages of {count} Interests in {time.monotonic() - began:.0f} s", flush=True)
    wait_until(lambda: _rows(harbour) > len(items) // 4, "a quarter has arrived", patience=3600)
    kill(first)
    Redis.from_url(harbour.redis.url).flushall()
    harbour.start("worker")
    print(f"killed a worker and flushed Redis after {time.monotonic() - began:.0f} s", flush=True)
    wait_until(lambda: _is_settled(harbour, count, len(items)), "everything has arrived", patience=7200)
    print(f"settled after {time.monotonic() - began:.0f} s", flush=True)
    return _judge(harbour, count)


def _way(number):
    created = BEGINS + timedelta(minutes=number)
    for step, stage in enumerate(STAGES):
        yield {
            "id": f"{number:08x}-0000-4000-8000-000000000000",
            "name": f"Интерес {number}",
            "created_at": created.isoformat(),
            "stage": f"{stage}-1f6a-11ee-8a2b-0050569a0c11",
            "stage_changed_at": (created + timedelta(hours=step)).isoformat(),
            "modified_at": (created + timedelta(hours=step)).isoformat(),
            "phones": [f"+7 999 000-{number // 100 % 100:02}-{number % 100:02}"],
        }


def _push(web, items):
    headers = {"Authorization": f"Bearer {INBOX_TOKEN}"}
    answer = requests.post(f"{web}/inbox/interests", json={"items": items}, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert {fate["status"] for fate in answer.json()["items"]} == {"accepted"}


def _rows(harbour):
    return harbour.status("interests")["by_state"].get("done", 0)


def _is_settled(harbour, people, stages):
    time.sleep(1)
    waiting = [harbour.status(flow)["by_state"].get("waiting", 0) for flow in ("people", "interests")]
    return harbour.settled(people, "people") and harbour.settled(stages, "interests") and waiting == [0, 0]


def _judge(harbour, count):
    histories = harbour.sandbox.histories()
    missing = doubled = reordered = 0
    for number in range(count):
        rows = histories.get(f"{number:08x}-0000-4000-8000-000000000000", [])
        moments = [row["modified_stage_date_time"] for row in rows]
        missing += len(set(moments)) < len(STAGES)
        reordered += moments != sorted(moments)
        doubled += len({(row["stage_ext_id"], row["modified_stage_date_time"]) for row in rows}) > len(STAGES)
    cards = harbour.sandbox.get("/store/comagic/contacts")["rows"]
    calls = [entry for entry in harbour.sandbox.journal() if entry["system"] == "comagic"]
    charged = Counter(entry["method"] for entry in calls if not entry["error"])
    refused = sum(entry["error"] == "limit_exceeded" for entry in calls)
    points = charged.total()
    print(f"{len(cards)} cards, {len(histories)} deals; missing {missing}, twice {doubled}, out of order {reordered}")
    print(f"{points} points ({dict(charged)}), refused for points {refused}; rows a call {6 * count / points:.0f}")
    return not (missing or doubled or reordered or len(cards) != count or len(histories) != count)


if __name__ == "__main__":
    run(int(sys.argv[1]))
