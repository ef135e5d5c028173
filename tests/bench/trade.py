"""`make trade N=1000`: so many counterparties of 1C, half as many orders, twice as many events, and people in amoCRM
who enter theirs; workers and the web process are killed, Redis is emptied, answers are dropped.

Everything is real, and the verdict is taken from the stores of both sides alone. The vendor's pace is off: what is
measured is ours.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.harbour import open_harbour
from tests.trade import SIDES, Fire, Trade, Volume
from workers.cli.verify_both import disagreements

WORKERS = 2
KILLS = 8
DROPPED = 0.02
"""The share of answers that never arrive."""
PATIENCE = 3600.0
SHOWN = 20


def run(count, *, seed=1):
    """Carry it all and print what it cost. Exits with 1 if the sides differ."""
    volume = Volume(count, count // 2, 2 * count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        harbour = open_harbour(
            folder,
            f"sqlite:///{folder}/parom.db",
            trade=True,
            every="10s",
            deadline="10s",
            settle="10s",
            lease="15s",
        )
        try:
            if not _run(harbour, volume, seed):
                sys.exit("the sides differ")
        finally:
            harbour.stop()


def _run(harbour, volume, seed):
    harbour.sandbox.post("/switches/onec_handlers", repeats="same")
    harbour.sandbox.post("/switches/amocrm", search_lag_s=2.0)
    trade = Trade(harbour).bind()
    volume.enter(harbour.sandbox, seed)
    began = time.monotonic()
    harbour.start_working(workers=WORKERS)
    fire = Fire(trade, share=DROPPED, seed=seed)
    fire.burn(volume, kills=KILLS, patience=PATIENCE)
    print(
        f"{KILLS} kills, {fire.rounds} rounds of 1C in {time.monotonic() - began:.0f} s: {dict(fire.tally)}", flush=True
    )
    trade.rest(patience=PATIENCE)
    print(f"{volume}: at rest after {time.monotonic() - began:.0f} s", flush=True)
    return _judge(harbour)


def _judge(harbour):
    calls = [entry for entry in harbour.sandbox.journal() if entry["system"] in SIDES]
    for system in SIDES:
        own = [entry for entry in calls if entry["system"] == system]
        lost = sum(not entry["status"] for entry in own)
        kinds = dict(Counter(entry["kind"] for entry in own))
        print(f"{system}: {len(own)} calls ({kinds}), {lost} answers dropped", flush=True)
    stored = {
        entity: len(harbour.sandbox.rows("amocrm", entity)) for entity in ("contacts", "companies", "leads", "notes")
    }
    found = disagreements(harbour.sandbox)
    print(f"in amoCRM {stored}; {len(found)} disagreements", *found[:SHOWN], sep="\n", flush=True)
    return not found


if __name__ == "__main__":
    run(int(sys.argv[1]))
