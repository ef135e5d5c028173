"""Points that a vendor counts: shared, learnt from answers, never taken twice. A vendor in the test keeps the count."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors.budget import PATIENCE
from connectors.errors import Throttled
from connectors.points import EVEN_IF_NONE_LEFT, Count, Limits, Points

START = datetime(2026, 1, 1, tzinfo=UTC)
SILENT = Limits()


class Vendor:
    """Counts what it serves, in windows that begin with their first point."""

    def __init__(self, minute=60, day=3000):
        self.limits = {60: minute, 86400: day}
        self.used, self.ends = dict.fromkeys(self.limits, 0), dict.fromkeys(self.limits, 0.0)
        self.refused = 0
        self.lock = threading.Lock()

    def serve(self, *, good=True, now=None):
        """Whether it was charged, and what the answer tells."""
        now = time.time() if now is None else now
        with self.lock:
            for length in self.limits:
                if self.ends[length] <= now:
                    self.used[length], self.ends[length] = 0, now + length
            is_full = any(self.used[length] >= limit for length, limit in self.limits.items())
            self.refused += is_full
            if good and not is_full:
                for length in self.limits:
                    self.used[length] += 1
            told = [
                Count(limit, limit - self.used[length], int(self.ends[length] - now))
                for length, limit in self.limits.items()
            ]
            return good and not is_full, Limits(*told)


@pytest.fixture
def clock():
    """A frozen clock; fakeredis' TIME shows it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def fresh_redis():
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def points_of(clock, redis=None, *, minute=60, day=3000):
    return Points(redis or fresh_redis(), "crm", minute=minute, day=day, longest_call=10, sleep=clock.shift)


def told(minute_left=60, day_left=3000, *, minute_reset=60, day_reset=86400, minute=60, day=3000):
    return Limits(Count(minute, minute_left, minute_reset), Count(day, day_left, day_reset))


def call(points, limits=SILENT, *, good=True, patience=0.0):
    points.reserve(patience=patience)
    points.settle(is_charged=good, limits=limits)


def left(points):
    return [count.left for count in points.left()]


def test_what_an_answer_tells_is_what_is_left(clock):
    points = points_of(clock)
    call(points, told(187, 2400, minute=200, day=3500, minute_reset=30, day_reset=7000))
    minute, day = points.left()
    assert (minute.limit, minute.left, day.limit, day.left) == (200, 187, 3500, 2400)
    assert 30 <= minute.reset <= 31
    assert 7000 <= day.reset <= 7001
    assert points.headroom() == 187


def test_an_error_tells_too_and_gives_its_point_back(clock):
    points = points_of(clock)
    call(points, told(59, 2999))
    call(points, good=False)
    assert left(points) == [59, 2999]
    call(points, told(40, 2000), good=False)
    assert left(points) == [40, 2000]


def test_a_vendor_who_does_not_tell_leaves_the_configured_limits(clock):
    points = points_of(clock, minute=3, day=5)
    for expected in ([2, 4], [1, 3], [0, 2]):
        call(points)
        assert left(points) == expected
    with pytest.raises(Throttled, match="minute's points are used up") as caught:
        call(points)
    assert 59 <= caught.value.wait <= 60
    clock.shift(61)
    call(points)
    assert left(points) == [2, 1]


def test_while_nobody_knows_one_call_at_a_time_asks(clock):
    redis = fresh_redis()
    one, other = (points_of(clock, redis) for _ in range(2))
    one.reserve()
    with pytest.raises(Throttled):
        other.reserve(patience=0)
    one.settle(is_charged=True, limits=told(5, 2999))
    other.reserve(patience=0)
    other.settle(is_charged=True, limits=told(4, 2998))
    assert left(one) == [4, 2998]


@pytest.mark.parametrize("ending", [lambda points: points.forget(), lambda points: None], ids=["lost", "never ends"])
def test_one_who_asked_in_vain_blocks_nobody_for_longer_than_its_call(clock, ending):
    redis = fresh_redis()
    one, other = (points_of(clock, redis) for _ in range(2))
    one.reserve()
    ending(one)
    clock.shift(10 + PATIENCE)
    other.reserve(patience=0)


def test_a_lost_answer_lets_the_next_one_ask_at_once(clock):
    points = points_of(clock)
    for _ in range(3):
        points.reserve(patience=0)
        points.forget()
    assert left(points) == [57, 2997], "they may have been charged"
    call(points, told(59, 2999))
    assert left(points) == [56, 2996], "they may still be on their way to the vendor"
    clock.shift(16)
    call(points, told(58, 2998, minute_reset=44))
    assert left(points) == [58, 2998], "by now they have arrived or never will"


def test_the_answer_of_a_call_does_not_count_those_that_were_under_way_beside_it(clock):
    redis = fresh_redis()
    workers = [points_of(clock, redis) for _ in range(4)]
    call(workers[0], told(10, 100))
    for worker in workers[1:]:
        worker.reserve(patience=0)
    workers[0].reserve(patience=0)
    workers[0].settle(is_charged=True, limits=told(9, 99))
    assert left(workers[0]) == [6, 96]
    for number, worker in enumerate(workers[1:]):
        worker.settle(is_charged=True, limits=told(8 - number, 98 - number))
    clock.shift(1)
    call(workers[0], told(5, 95, minute_reset=59))
    assert left(workers[0]) == [5, 95]


def test_answers_that_come_in_another_order_are_no_reason_to_take_more(clock):
    redis = fresh_redis()
    slow, quick = (points_of(clock, redis) for _ in range(2))
    call(slow, told(60, 3000), good=False)
    slow.reserve(patience=0)
    for number in range(58):
        call(quick, told(58 - number, 2998 - number))
    slow.settle(is_charged=True, limits=told(59, 2999))
    assert left(quick)[0] <= 1


def test_a_late_answer_of_the_minute_before_does_not_end_this_one(clock):
    redis = fresh_redis()
    slow, quick = (points_of(clock, redis) for _ in range(2))
    call(quick, told(50, 2000, minute_reset=3))
    slow.reserve(patience=0)
    clock.shift(5)
    call(quick, told(59, 1998, minute_reset=58))
    slow.settle(is_charged=True, limits=told(49, 1999, minute_reset=3))
    clock.shift(8)
    minute, _ = points_of(clock, redis).left()
    assert minute.left <= 49
    assert 49 <= minute.reset <= 52


def test_a_call_that_leaves_at_the_end_of_a_minute_may_count_in_the_next(clock):
    points = points_of(clock)
    call(points, told(50, 2000, minute_reset=3))
    points.reserve(patience=0)
    clock.shift(5)
    assert left(points) == [59, 1999]


def test_the_minute_is_waited_for_if_it_ends_soon(clock):
    points = points_of(clock)
    call(points, told(0, 2999, minute_reset=3))
    began = time.time()
    points.reserve()
    assert 3 <= time.time() - began <= 4.1
    points.forget()
    call(points, told(0, 2998, minute_reset=30))
    with pytest.raises(Throttled) as caught:
        points.reserve()
    assert 30 <= caught.value.wait <= 31
    assert points.headroom() == 0
    clock.shift(27)
    assert points.headroom() == 60, "by the time that a record gets there the minute has begun anew"


def test_a_day_that_is_used_up_is_over_for_everybody_until_it_resets(clock):
    redis = fresh_redis()
    one, other = (points_of(clock, redis) for _ in range(2))
    call(one, told(30, 0, day_reset=7200))
    for points in (one, other):
        with pytest.raises(Throttled, match="day's points are used up") as caught:
            points.reserve()
        assert 7200 <= caught.value.wait <= 7201
        assert points.headroom() == 0
        assert points.level().used == 1.0
        assert 7200 <= points.level().wait <= 7201
    clock.shift(7202)
    assert other.headroom() == 60
    other.reserve(patience=0)


def test_a_call_that_is_not_held_back_learns_that_points_were_bought(clock):
    points = points_of(clock)
    call(points, told(30, 0, day_reset=7200))
    points.reserve(EVEN_IF_NONE_LEFT, patience=0)
    assert left(points) == [29, 0]
    points.settle(is_charged=True, limits=told(29, 999, day=4000, day_reset=7200))
    assert points.headroom() == 29


def test_what_is_given_back_never_makes_up_for_what_is_owed(clock):
    points = points_of(clock)
    call(points, told(0, 0, day_reset=7200))
    for _ in range(2):
        points.reserve(EVEN_IF_NONE_LEFT)
        points.settle(is_charged=True, limits=SILENT)
    points.reserve(EVEN_IF_NONE_LEFT)
    points.settle(is_charged=False, limits=SILENT)
    assert left(points) == [0, 0]
    with pytest.raises(Throttled):
        points.reserve()


def test_a_vendor_who_wants_to_be_left_alone_is(clock):
    redis = fresh_redis()
    one, other = (points_of(clock, redis) for _ in range(2))
    call(one, told(59, 2999))
    one.penalise(40)
    with pytest.raises(Throttled, match="left alone") as caught:
        other.reserve()
    assert caught.value.wait == pytest.approx(40)
    assert (other.headroom(), other.level().wait) == (0, pytest.approx(40))
    clock.shift(41)
    other.reserve(patience=0)


def test_after_a_flush_the_next_answer_corrects_the_first_assumption(clock):
    redis = fresh_redis()
    points = points_of(clock, redis)
    call(points, told(4, 70))
    points.reserve()
    redis.flushall()
    points.settle(is_charged=True, limits=told(3, 69))
    assert left(points) == [60, 3000], "what it tells was not compared with the calls that the flush has forgotten"
    call(points, told(2, 68))
    assert left(points) == [2, 68]


def test_a_clock_set_back_blocks_nobody_for_ever(clock):
    points = points_of(clock)
    call(points, told(0, 0))
    clock.move_to(START - timedelta(days=400))
    points.reserve(patience=0)


def test_without_redis_no_call_goes_out(clock):
    class Away(fakeredis.FakeRedis):
        def evalsha(self, *_args, **_kwargs):
            raise RedisConnectionError

    points = points_of(clock, Away())
    for ask in (points.reserve, points.level, points.headroom, points.left):
        with pytest.raises(Throttled) as refusal:
            ask()
        assert refusal.value.wait > 0
    points.penalise(5)
    points.forget()


def test_redis_may_go_while_a_call_is_under_way(clock):
    redis = fresh_redis()
    points = points_of(clock, redis)
    points.reserve()
    redis.connection_pool.connection_kwargs["server"].connected = False
    points.settle(is_charged=True, limits=told(1, 1))
    redis.connection_pool.connection_kwargs["server"].connected = True
    assert left(points) == [59, 2999]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        {},
        [],
        "x",
        {"minute_limit": 60, "minute_remaining": 5},
        {"minute_limit": 60, "minute_remaining": -1, "minute_reset": 5},
        {"minute_limit": 60, "minute_remaining": "5", "minute_reset": 5},
        {"minute_limit": 60, "minute_remaining": True, "minute_reset": 5},
        {"minute_limit": 60, "minute_remaining": float("inf"), "minute_reset": float("nan")},
    ],
    ids=str,
)
def test_limits_that_are_not_told_tell_nothing(shown):
    assert Limits.of(shown) == Limits()


def test_limits_are_read_by_their_names():
    shown = {"minute_limit": 60, "minute_remaining": 0, "minute_reset": 17, "day_limit": 9, "day_remaining": 8}
    assert Limits.of(shown) == Limits(minute=Count(60, 0, 17.0))
    assert Limits.of(shown).wait == 17
    assert Limits.of(shown | {"day_remaining": 0, "day_reset": 400}).wait == 400
    assert Limits.of({}).wait is None


def test_eight_threads_of_two_processes_never_take_more_than_is_left():
    vendor, redis = Vendor(minute=300, day=120), fresh_redis()
    workers = [Points(redis, "crm", minute=60, day=3000, longest_call=10) for _ in range(2)]
    served = []

    def work(number):
        points = workers[number % 2]
        while True:
            try:
                points.reserve()
            except Throttled as error:
                if error.wait > PATIENCE:
                    return
                continue
            time.sleep(0.0005 * (number % 4))
            charged, limits = vendor.serve(good=len(served) % 5 != 0)
            served.append(charged)
            time.sleep(0.0007 * ((number + 1) % 3))
            if len(served) % 7:
                points.settle(is_charged=charged, limits=limits if number % 3 else SILENT)
            else:
                points.settle(is_charged=charged, limits=limits)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert vendor.refused == 0
    assert vendor.used[86400] >= 110, "and little is left unused"


@settings(max_examples=120, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3),  # the worker
            st.sampled_from(["leave", "serve", "answer", "lose"]),
            st.booleans(),  # whether the vendor takes it
            st.sampled_from([0, 0, 0.3, 1, 4, 9, 30]),  # seconds until then
            st.booleans(),  # whether the answer tells
        ),
        max_size=120,
    ),
    minute=st.integers(1, 6),
)
def test_whatever_the_order_of_leaving_serving_and_answering_the_vendor_never_has_to_refuse(steps, minute):
    """A call lives at most 10 s; the vendor's first answer tells, as every answer to a success does."""
    vendor = Vendor(minute=minute, day=40)
    with time_machine.travel(START, tick=False) as clock:
        redis = fresh_redis()
        workers = [Points(redis, "crm", minute=60, day=3000, longest_call=10, sleep=clock.shift) for _ in range(4)]
        call(workers[0], vendor.serve()[1])
        calls = [None] * 4
        for number, step, good, pause, tells in steps:
            clock.shift(pause)
            for other, mine in enumerate(calls):
                if mine and time.time() - mine["since"] > 10:
                    workers[other].forget()
                    calls[other] = None
            mine = calls[number]
            if step == "leave" and mine is None:
                with suppress(Throttled):
                    workers[number].reserve(patience=0)
                    calls[number] = {"since": time.time(), "answer": None}
            elif step == "serve" and mine and mine["answer"] is None:
                mine["answer"] = vendor.serve(good=good)
            elif step == "answer" and mine and mine["answer"]:
                charged, limits = mine["answer"]
                workers[number].settle(is_charged=charged, limits=limits if charged or tells else SILENT)
                calls[number] = None
            elif step == "lose" and mine and mine["answer"] is not None:
                workers[number].forget()
                calls[number] = None
    assert vendor.refused == 0


def test_the_pace_makes_what_is_left_of_the_minute_last(clock):
    points = points_of(clock)
    assert points.pace() == pytest.approx(1.0)
