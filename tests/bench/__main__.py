"""`make bench`: the figures of DESIGN §10 that the present flows can show, measured with everything real."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from tests.bench import noop
from tests.bench.allowance import share_used
from tests.harbour import kill, open_harbour, wait_until

SEEDED = 1021
"""Of which about 1,000 are young enough to be carried."""
NOOPS = 3000
UNLIMITED = "requests_per_second = 10000.0\nburst = 10000"


def main():
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores\n")
    row("figure", "measured", "goal")
    calls_per_thousand()
    calls_per_thousand_deals()
    delivered = delivered_per_second()
    bare = bare_tasks_per_second()
    for processes in (1, 4, 16):
        share, refused = share_used(processes)
        row(f"portal's allowance used by {processes} processes; refused", f"{share:.0%}; {refused}", "≥ 95 %; 0")
    row("delivered records a second, vendors without limits", f"{delivered:.0f}")
    row("bare no-op Celery tasks a second", f"{bare:.0f}")
    row("delivered as a share of bare tasks", f"{delivered / bare:.0%}", "≥ 50 %")


def row(what, figure, goal=""):
    print(f"{what:<62} {figure:>10}   {goal}", flush=True)


@contextmanager
def harbour(**values):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = open_harbour(folder, f"sqlite:///{folder}/parom.db", start_redis=False, every="60s", **values)
        try:
            yield opened
        finally:
            opened.stop()


def drain(opened):
    """One `parom up --drain`; returns the journal entries that it made."""
    before = len(opened.sandbox.journal())
    ended = opened.run("up", "--drain", patience=600)
    assert ended.returncode == 0, ended.stderr
    return opened.sandbox.journal()[before:]


def per_thousand(calls, entities):
    return f"{len(calls) * 1000 / entities:.1f}"


def of(system, entries):
    return [entry for entry in entries if entry["system"] == system]


def calls_per_thousand():
    """Calls to Bitrix24 for a backlog, for the echoes of our notes, and for nothing new."""
    with harbour(contacts=SEEDED) as opened:
        calls = of("bitrix24", drain(opened))
        lists = sum(entry["method"] == "crm.contact.list" for entry in calls)
        carried = sum(row["DATE_CREATE"] >= "2020-12-22" for row in opened.sandbox.contacts().values())
        row(f"Bitrix24 calls per 1,000 contacts under backlog ({carried})", per_thousand(calls, carried), "≤ 42")
        row("  lists + batches of notes + others", f"{lists} + {len(calls) - lists}")
        row("  refused by the portal", sum(entry["status"] >= 400 for entry in calls), "0")
        echoes = drain(opened)
        row("poll that sees our own notes come back: calls to the target", len(of("otmechalka", echoes)), "0")
        opened.sandbox.post("/clock", advance_s=300)
        drain(opened)
        opened.sandbox.post("/clock", advance_s=300)
        row("poll that finds nothing new: calls", len(drain(opened)), "1")


def calls_per_thousand_deals():
    """Calls to Bitrix24 for won deals under backlog: lists, product rows, sellers, notes."""
    with harbour(contacts=50, deals=1130, tickets=True) as opened:
        calls = of("bitrix24", drain(opened))
        commands = Counter(command["method"] for entry in calls for command in entry["commands"])
        deals = commands["crm.deal.productrows.get"]
        others = sum(entry["method"] == "crm.contact.list" for entry in calls) + 1  # the contacts and their notes
        row(f"Bitrix24 calls per 1,000 won deals under backlog ({deals})", per_thousand(calls[others:], deals), "≤ 65")
        row("  of them lists", sum(entry["method"] == "crm.deal.list" for entry in calls))
        row("  refused by the portal", sum(entry["status"] >= 400 for entry in calls), "0")


def delivered_per_second():
    """Clients created a second while the backlog lasts, with nothing but this machine in the way."""
    with harbour(contacts=3000, crm=UNLIMITED, flow="window = 128") as opened:
        opened.sandbox.post("/switches/bitrix24", rate_profile="off")
        calls = of("otmechalka", drain(opened))
        return len(set(opened.sandbox.creations())) / (calls[-1]["at"] - calls[0]["at"])


def bare_tasks_per_second():
    """What this machine's Celery does with tasks that do nothing, on the same server and pool."""
    with harbour() as opened:
        opened.redis.start()
        url = opened.redis.url
        noop.app.conf.broker_url = url
        command = [sys.executable, "-m", "celery", "-A", "tests.bench.noop", "-b", url, "worker", "-P", "threads"]
        worker = subprocess.Popen([*command, "-c", "128"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            redis = Redis.from_url(url)
            noop.noop.delay()
            wait_until(lambda: redis.llen("noop") == 0, "the bare worker answers")
            began = time.monotonic()
            with noop.app.producer_pool.acquire(block=True) as producer:
                for _ in range(NOOPS):
                    noop.noop.apply_async(producer=producer)
            wait_until(lambda: redis.llen("noop") == 0, "the bare tasks are done")
            return NOOPS / (time.monotonic() - began)
        finally:
            kill(worker)


if __name__ == "__main__":  # processes that are spawned import this module
    main()
