"""The work queue, on a clock of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from carelane.controller.reconcile.queue import Backoff, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def queue_on(clock: Clock, **figures: float) -> WorkQueue:
    return WorkQueue(Backoff(**{"base_s": 1.0, "cap_s": 8.0, "jitter": 0.0, "rate_per_s": 1e6, **figures}), clock=clock)


def test_a_name_waits_once_however_often_it_is_added() -> None:
    queue = queue_on(Clock())
    queue.add(["a", "b", "a"])
    queue.add(["a"])
    assert queue.take(0) == {"a", "b"}
    assert queue.take(0) == frozenset()


def test_a_name_added_while_worked_on_comes_again_only_afterwards() -> None:
    queue = queue_on(Clock())
    queue.add(["a"])
    queue.take(0)
    queue.add(["a"])
    assert queue.take(0) == frozenset()
    queue.done("a")
    assert queue.take(0) == {"a"}
    queue.done("a")
    assert queue.take(0) == frozenset()
    assert queue.depth() == 0


def test_failures_double_the_delay_up_to_the_cap_and_success_resets_it() -> None:
    clock = Clock()
    queue = queue_on(clock)
    queue.add(["a"])
    delays = []
    for number in range(1, 7):
        assert queue.take(0) == {"a"}
        failures, delay_s = queue.retry("a")
        assert failures == number
        delays.append(delay_s)
        clock.now += delay_s - 0.01
        assert queue.take(0) == frozenset()
        clock.now += 0.01
    assert [round(delay) for delay in delays] == [1, 2, 4, 8, 8, 8]
    queue.take(0)
    queue.done("a")
    queue.add(["a"])
    queue.take(0)
    assert queue.retry("a")[0] == 1


def test_news_cut_a_delay_short_and_idle_additions_do_not() -> None:
    clock = Clock()
    queue = queue_on(clock)
    queue.add(["a"])
    queue.take(0)
    queue.retry("a")
    queue.add_idle(["a", "b"])
    assert queue.take(0) == {"b"}
    queue.add_idle(["b"])
    queue.done("b")
    assert queue.take(0) == frozenset()
    queue.add(["a"])
    assert queue.take(0) == {"a"}
    queue.done("a")
    clock.now += 100
    assert queue.take(0) == frozenset(), "the delay that was cut short does not fire later"


def test_many_failures_at_once_are_spread_by_the_overall_rate() -> None:
    clock = Clock()
    queue = queue_on(clock, base_s=0.0, rate_per_s=10.0)
    queue.add([f"n{index}" for index in range(20)])
    for name in sorted(queue.take(0)):
        queue.retry(name)
    clock.now += 1.001
    assert len(queue.take(0)) == 10


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_jitter_only_shortens_and_never_past_its_share(failures: int, unit: float) -> None:
    backoff = Backoff(base_s=0.5, cap_s=30.0, jitter=0.25)
    full = min(30.0, 0.5 * 2.0 ** min(failures - 1, 60))
    assert 0.75 * full <= backoff.delay_s(failures, unit) <= full


@given(st.lists(st.tuples(st.sampled_from(["add", "idle", "take", "done", "retry", "wait"]), st.integers(0, 3))))
def test_no_name_is_ever_lost_or_worked_on_twice_at_once(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    queue = queue_on(clock)
    working: set[str] = set()
    owed: set[str] = set()
    for action, number in steps:
        name = f"n{number}"
        if action in ("add", "idle"):
            (queue.add if action == "add" else queue.add_idle)([name])
            if action == "add":
                owed.add(name)
        elif action == "take":
            batch = queue.take(0)
            assert working.isdisjoint(batch)
            working |= batch
            owed -= batch
        elif action in ("done", "retry") and name in working:
            working.discard(name)
            queue.done(name) if action == "done" else queue.retry(name)
            owed |= {name} if action == "retry" else set()
        else:
            clock.now += 1.0
    for name in list(working):
        queue.done(name)
    clock.now += 1000.0
    assert owed <= queue.take(0)


def test_workers_wake_up_for_work_and_for_the_end() -> None:
    queue = WorkQueue()
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(queue.take)
        queue.add(["a"])
        assert taken.result(10) == {"a"}
        queue.retry("a")
        assert pool.submit(queue.take).result(10) == {"a"}
        waiting = pool.submit(queue.take)
        threading.Timer(0.01, queue.close).start()
        assert waiting.result(10) == frozenset()
