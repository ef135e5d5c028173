"""The coalescer: few calls for many threads, and to each its own result."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.coalesce import Coalescer
from connectors.errors import Rejected, Throttled, Transient


class Vendor:
    """Doubles numbers, up to `limit` in a call; refuses a call that holds a bad one. Answers when `gate` is open."""

    def __init__(self, bad=()):
        self.calls, self.bad, self.gate = [], set(bad), threading.Event()
        self.gate.set()
        self.begun, self.running, self.at_once = threading.Semaphore(0), 0, 0

    def __call__(self, items):
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        self.calls.append(list(items))
        self.begun.release()
        self.gate.wait(20)
        self.running -= 1
        if self.bad & set(items):
            raise Rejected("one of them is wrong", told="одна из них неверна")
        return [item * 2 for item in items]


def queued(coalescer, number):
    """Wait until so many items are waiting for the next call."""
    while len(coalescer._queue) < number:
        threading.Event().wait(0.001)


def test_an_idle_coalescer_sends_at_once_and_keeps_the_order():
    vendor = Vendor()
    assert Coalescer(vendor).submit([3, 1, 2]) == [6, 2, 4]
    assert vendor.calls == [[3, 1, 2]]
    assert Coalescer(vendor).submit([]) == []
    assert len(vendor.calls) == 1


def test_those_who_come_while_a_call_is_in_flight_leave_together():
    vendor = Vendor()
    coalescer = Coalescer(vendor, limit=50)
    vendor.gate.clear()
    with ThreadPoolExecutor(200) as pool:
        first = pool.submit(coalescer.submit, [0])
        vendor.begun.acquire()
        others = [pool.submit(coalescer.submit, [number]) for number in range(1, 200)]
        queued(coalescer, 199)
        vendor.gate.set()
        results = [future.result(20) for future in [first, *others]]
    assert results == [[number * 2] for number in range(200)]
    assert [len(call) for call in vendor.calls] == [1, 50, 50, 50, 49]
    assert vendor.at_once == 1


def test_one_caller_with_many_items_is_served_in_several_calls():
    vendor = Vendor()
    assert Coalescer(vendor, limit=4).submit(range(10)) == [number * 2 for number in range(10)]
    assert [len(call) for call in vendor.calls] == [4, 4, 2]


def test_a_failed_call_reaches_everybody_in_it_and_nobody_else():
    failures = iter([Transient("down"), Throttled("too fast", wait=7)])

    def send(items):
        error = next(failures, None)
        if error:
            raise error
        return items

    coalescer = Coalescer(send, limit=2)
    assert [str(result) for result in coalescer.submit("abcdef")] == [
        *("down", "down", "too fast", "too fast"),
        *("e", "f"),
    ]


@pytest.mark.parametrize("bad", [{7}, {0, 31}, set(range(32))])
def test_an_all_or_nothing_rejection_is_halved_until_only_the_culprits_fail(bad):
    vendor = Vendor(bad)
    results = Coalescer(vendor, limit=50).submit(range(32))
    assert {number for number, result in enumerate(results) if isinstance(result, Rejected)} == bad
    assert all(result == number * 2 for number, result in enumerate(results) if number not in bad)


def test_an_error_within_a_halved_call_stays_with_its_half():
    def send(items):
        if len(items) == 4:
            raise Rejected("somebody", told="кто-то")
        if "a" in items:
            raise Transient("down")
        return items

    results = Coalescer(send).submit("abcd")
    assert [str(result) for result in results] == ["down", "down", "c", "d"]


def test_results_of_single_items_may_be_errors():
    error = Transient("this one")
    assert Coalescer(lambda items: [error if item == 2 else item for item in items]).submit([1, 2, 3]) == [1, error, 3]


@pytest.mark.parametrize("send", [lambda _: 1 / 0, lambda items: items[1:]], ids=["raises", "too few results"])
def test_a_bug_in_the_sender_wakes_every_caller(send):
    coalescer = Coalescer(send, limit=3)
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(coalescer.submit, [number]) for number in range(20)]
        errors = [future.exception(20) for future in futures]
    assert {type(error) for error in errors} <= {ZeroDivisionError, ValueError}


def test_an_interrupted_leader_leaves_nobody_waiting():
    vendor = Vendor()
    interrupts = iter([KeyboardInterrupt])

    def send(items):
        result = vendor(items)
        for interrupt in interrupts:
            raise interrupt
        return result

    coalescer = Coalescer(send)
    vendor.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(coalescer.submit, [1])
        vendor.begun.acquire()
        follower = pool.submit(coalescer.submit, [2])
        queued(coalescer, 1)
        vendor.gate.set()
        assert isinstance(leader.exception(20), KeyboardInterrupt)
        assert follower.result(20) == [4]


def test_under_load_every_item_is_sent_once_and_answered_to_its_caller():
    vendor = Vendor(bad=range(0, 4000, 97))
    coalescer = Coalescer(vendor, limit=20)

    def work(first):
        for number in range(first, first + 20):
            (result,) = coalescer.submit([number])
            assert isinstance(result, Rejected) if number % 97 == 0 else result == number * 2

    with ThreadPoolExecutor(200) as pool:
        list(pool.map(work, range(0, 4000, 20)))
    answered = Counter(item for call in vendor.calls if not vendor.bad & set(call) for item in call)
    assert answered == Counter(number for number in range(4000) if number % 97)
    assert vendor.at_once == 1


def test_after_a_call_the_next_one_waits_until_it_is_full():
    vendor = Vendor()
    coalescer = Coalescer(vendor, limit=3, pause=lambda: 60.0)
    assert coalescer.submit([1]) == [2]  # the first goes at once
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(coalescer.submit, [number]) for number in (2, 3)]
        queued(coalescer, 2)
        assert vendor.calls == [[1]]
        waiting.append(pool.submit(coalescer.submit, [4]))
        assert sorted(each.result(20)[0] for each in waiting) == [4, 6, 8]
    assert [len(call) for call in vendor.calls] == [1, 3]


def test_after_the_pause_the_next_call_takes_what_there_is():
    vendor = Vendor()
    coalescer = Coalescer(vendor, limit=50, pause=lambda: 0.05)
    coalescer.submit([1])
    assert coalescer.submit([2]) == [4]
    assert vendor.calls == [[1], [2]]
