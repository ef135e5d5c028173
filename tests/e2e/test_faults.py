"""What must survive: killed workers, flushed and restarted Redis, doubled processes, targets that answer badly."""

import psutil
import pytest

from tests.e2e.test_students import on_postgresql
from tests.harbour import assert_all_arrived, kill, wait_until


def work_is_under_way(harbour):
    return len(harbour.sandbox.clients()) >= 5


@on_postgresql
@pytest.mark.outside(contacts=100)
def test_a_worker_killed_in_mid_call_loses_and_doubles_nothing(harbour):
    harbour.sandbox.post("/faults", system="otmechalka", match="POST", times=20, action="latency", after_s=1)
    (first,) = harbour.start_working()
    wait_until(lambda: work_is_under_way(harbour), "writes are under way")
    kill(first)
    harbour.start("worker")
    wait_until(lambda: harbour.settled(90), "everything arrives")
    assert_all_arrived(harbour)


@pytest.mark.outside(contacts=150)
def test_a_flushed_redis_loses_and_doubles_nothing(harbour):
    harbour.start_working()
    wait_until(lambda: work_is_under_way(harbour), "writes are under way")
    from redis import Redis

    for _ in range(3):
        Redis.from_url(harbour.redis.url).flushall()
        harbour.sandbox.clients()
    wait_until(lambda: harbour.settled(135), "everything arrives")
    assert_all_arrived(harbour)


@pytest.mark.outside(contacts=150)
def test_a_restarted_redis_loses_and_doubles_nothing(harbour):
    harbour.start_working()
    wait_until(lambda: work_is_under_way(harbour), "writes are under way")
    harbour.redis.stop()
    harbour.redis.start()
    wait_until(lambda: harbour.settled(135), "everything arrives")
    assert_all_arrived(harbour)


@pytest.mark.outside(contacts=200)
def test_up_starts_again_whatever_of_its_tree_is_killed(harbour):
    harbour.redis.stop()
    harbour.start("up", "--drain")
    wait_until(lambda: work_is_under_way(harbour), "writes are under way")
    children = psutil.Process(harbour.processes[0].pid).children()
    assert len(children) == 3
    for child in children:
        child.kill()
    assert harbour.processes[0].wait(timeout=90) == 0, harbour.logs()
    assert_all_arrived(harbour)


@pytest.mark.outside(contacts=150)
def test_a_drain_that_is_interrupted_does_not_claim_success(harbour):
    harbour.redis.stop()
    drain = harbour.start("up", "--drain")
    wait_until(lambda: work_is_under_way(harbour), "writes are under way")
    drain.terminate()
    assert drain.wait(timeout=60) == 1


@on_postgresql
@pytest.mark.outside(contacts=150)
def test_two_workers_and_two_beats_do_everything_once(harbour):
    harbour.start_working(workers=2, beats=2)
    wait_until(lambda: harbour.settled(135), "everything arrives")
    assert_all_arrived(harbour)


# What a connector makes of each bad answer, the contract suite tells; here are those that a whole installation must
# outlive in ways of its own.
BAD_ANSWERS = {
    "HTML with 200": {"action": "html", "commit": True},
    "too many requests": {"action": "throttle"},
    "no answer after the write": {"action": "hang"},
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
@pytest.mark.parametrize("system", ["otmechalka", "bitrix24"])
@pytest.mark.outside(contacts=40, crm='deadline = "3s"')
def test_bad_answers_cost_nothing_but_time(harbour, system, answer):
    harbour.sandbox.post("/faults", system=system, match="", times=4, **answer)
    harbour.start_working()
    wait_until(lambda: harbour.settled(35), "everything arrives")
    assert_all_arrived(harbour)
