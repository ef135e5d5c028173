"""Level S of RELIABILITY §3.1: a quarter of the schedules of `make simulation`, and a harness that is seen to fail."""

import logging
import tempfile
from pathlib import Path

import pytest

from tests.chaos.mutations import MUTATIONS
from tests.chaos.simulation import Simulation, as_it_was
from tests.chaos.simulation_siblings import StillLedger

pytestmark = pytest.mark.timeout(600)  # nothing in here waits; how long it takes is the machine's affair

WORLDS = range(1, 6)
SMALL = 120
"""Schedules of a world in which a mutation is looked for."""


@pytest.fixture(scope="module")
def ledger():
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        ledger = StillLedger(Path(folder))
        yield ledger
        ledger.close()


@pytest.fixture(autouse=True)
def silent():
    """Millions of log lines would take longer than what they tell of."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def stories(world):
    return [world.story(violation) for violation in world.judged()]


@pytest.mark.parametrize("seed", WORLDS)
def test_nothing_is_lost_doubled_or_reordered(ledger, seed):
    broken = stories(Simulation(ledger, seed))
    assert not broken, "\n\n".join(broken)


def test_the_same_seed_is_the_same_run(ledger):
    journals = []
    for _ in range(2):
        world = Simulation(ledger, 0, schedules=SMALL)
        world.judged()
        journals.append(world.journal)
    assert journals[0] == journals[1]


BREAKS = {
    "fencing": ("duplicated", "reordered"),
    "find": ("duplicated",),
    "cursor": ("lost",),
    "doubt": ("duplicated",),
    "sweeper": ("lost",),
    "echo": ("work never ends", "a second run wrote"),
}
"""What must be seen to happen without a mechanism; twins are not in these worlds."""


@pytest.mark.parametrize("name", BREAKS)
def test_without_a_mechanism_the_promise_is_broken(ledger, name):
    with as_it_was():
        MUTATIONS[name]()
        worlds = (Simulation(ledger, seed, schedules=SMALL) for seed in range(1, 13))
        assert any(wanted in violation for world in worlds for violation in world.judged() for wanted in BREAKS[name])
