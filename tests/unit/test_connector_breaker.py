"""The circuit breaker: opens on unavailability, lets one probe through, and never stands in the way without Redis."""

import threading
from datetime import UTC, datetime

import fakeredis
import pytest
import time_machine
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors.breaker import Breaker, BreakerOpen, BreakerState, NoBreaker
from connectors.errors import Transient


@pytest.fixture
def clock():
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def redis():
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def breaker(redis):
    return Breaker(redis, "crm", failures=3, window=60, pause=30, longest_pause=100, probe_lease=20)


def fail(breaker, times):
    for _ in range(times):
        breaker.before_call()
        breaker.failed()


def test_it_opens_after_so_many_failures_for_every_worker(clock, redis, breaker):
    fail(breaker, 2)
    assert breaker.state() == BreakerState("closed")
    fail(breaker, 1)
    other = Breaker(redis, "crm", longest_pause=100)
    with pytest.raises(BreakerOpen) as refusal:
        other.before_call()
    assert refusal.value.wait == 30
    assert isinstance(refusal.value, Transient)
    assert other.state() == BreakerState("open", 30.0)
    assert Breaker(redis, "another").before_call() is False


def test_a_success_starts_the_count_anew(clock, breaker):
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state().name == "closed"


def test_a_success_forgets_the_failures_of_other_workers(clock, redis, breaker):
    other = Breaker(redis, "crm")
    other.before_call()
    other.succeeded()
    fail(breaker, 2)
    other.before_call()
    other.succeeded()
    fail(breaker, 2)
    assert breaker.state().name == "closed"


def test_failures_that_lie_apart_do_not_add_up(clock, breaker):
    fail(breaker, 2)
    clock.shift(61)
    fail(breaker, 2)
    assert breaker.state().name == "closed"


def test_after_the_pause_there_is_exactly_one_probe(clock, breaker):
    fail(breaker, 3)
    clock.shift(30)
    assert breaker.state() == BreakerState("half-open", 0.0)
    verdicts = []

    def ask():
        try:
            verdicts.append(breaker.before_call())
        except BreakerOpen as error:
            verdicts.append(error.wait)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [True] + [5.0] * 19
    breaker.succeeded()
    assert breaker.before_call() is False
    assert breaker.state() == BreakerState("closed")


def test_each_failed_probe_doubles_the_pause_up_to_the_longest(clock, breaker):
    fail(breaker, 3)
    for pause in (30, 60, 100, 100):
        assert breaker.state() == BreakerState("open", pause)
        clock.shift(pause)
        fail(breaker, 1)
    breaker.succeeded()
    fail(breaker, 3)
    assert breaker.state().seconds == 30


def test_stragglers_that_fail_while_it_is_open_change_nothing(clock, breaker):
    fail(breaker, 3)
    clock.shift(10)
    breaker.failed()
    assert breaker.state() == BreakerState("open", 20.0)


def test_a_probe_that_was_not_made_leaves_its_place(clock, breaker):
    fail(breaker, 3)
    clock.shift(30)
    assert breaker.before_call()
    breaker.abandoned()
    assert breaker.before_call()


def test_a_probe_that_died_is_replaced_when_its_lease_ends(clock, breaker):
    fail(breaker, 3)
    clock.shift(30)
    assert breaker.before_call()
    assert breaker.state() == BreakerState("half-open", 20.0)
    clock.shift(20)
    assert breaker.before_call()


def test_a_clock_set_back_does_not_keep_it_open(clock, breaker):
    fail(breaker, 3)
    clock.shift(-3600)
    assert breaker.before_call()


def test_without_redis_it_is_closed():
    class Away(fakeredis.FakeRedis):
        def execute_command(self, *_args, **_kwargs):
            raise RedisConnectionError

    breaker = Breaker(Away(), "crm")
    fail(breaker, 10)
    breaker.succeeded()
    breaker.abandoned()
    assert breaker.before_call() is False
    assert breaker.state() == BreakerState("closed") == NoBreaker().state()
