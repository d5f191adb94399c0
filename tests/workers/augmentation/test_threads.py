"""Threads that make ahead and take behind: order, errors, an end, relief, and who goes first."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from skill_tools.workers.augmentation.threads import Courtesy, Duty, Pump, Sink

from .conftest import told_by

PATIENCE_S = 30.0


def _failing_after(items: int) -> Iterator[int]:
    yield from range(items)
    raise OSError("the disk is gone")


def test_what_is_made_ahead_comes_in_order_and_then_what_went_wrong() -> None:
    """An error of the thread is raised where its items are taken, after those made before it."""
    taken: list[int] = []
    with (
        closing(Pump(_failing_after(20), ahead=3, name="make")) as pump,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        taken.extend(pump.items())
    assert taken == list(range(20))


def test_closing_ends_a_thread_that_waits_for_room() -> None:
    """Nobody takes any more: the thread, whose items have no end, is gone all the same."""
    pump = Pump(count(), ahead=1, name="endless")
    assert next(pump.items()) == 0
    pump.close()
    assert "endless" not in {thread.name for thread in threading.enumerate()}


def test_whoever_waits_for_an_item_when_there_will_be_no_more_finds_the_end() -> None:
    """Closed by another thread, a pump leaves nobody waiting for what is never made."""
    going_on = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        going_on.wait()
        yield 2

    pump, taken = Pump(slow(), ahead=1, name="slow"), queue.Queue[int]()
    taker = threading.Thread(target=lambda: deque(map(taken.put, pump.items()), maxlen=0), daemon=True)
    taker.start()
    assert taken.get(timeout=PATIENCE_S) == 1
    closer = threading.Thread(target=pump.close)
    closer.start()
    pump._stop.wait(PATIENCE_S)
    going_on.set()
    closer.join(PATIENCE_S)
    taker.join(PATIENCE_S)
    assert not taker.is_alive()
    assert taken.empty()


def test_what_is_taken_behind_comes_in_order_and_what_goes_wrong_is_told() -> None:
    """An error of the thread is raised where items are put, however full the queue is."""
    taken: list[int] = []

    def take(item: int) -> None:
        taken.append(item)
        if item == 5:
            raise ValueError("no room for the fifth")

    with closing(Sink(take, behind=2, name="take")) as sink, pytest.raises(ValueError, match="the fifth"):
        deque(map(sink.put, count()), maxlen=0)
    assert taken == list(range(6))


def test_relieved_threads_go_on_where_the_others_were() -> None:
    """Relieved after every few items, makers and takers leave out none, double none and keep the order."""
    taken: list[int] = []
    with (
        closing(Pump(_failing_after(200), ahead=3, name="make")) as pump,
        closing(Sink(taken.append, behind=3, name="take")) as sink,
    ):
        with pytest.raises(OSError, match="the disk is gone"):
            deque(map(sink.put, _relieving((pump, sink), pump.items())), maxlen=0)
        sink.finish()
    assert taken == list(range(200))


def _relieving(duties: tuple[Duty, ...], items: Iterator[int]) -> Iterator[int]:
    for item in items:
        yield item
        if item % 7 == 0:
            for duty in duties:
                duty.relieve()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities of their own")
def test_threads_that_feed_an_encoder_go_last_until_it_starves() -> None:
    """Beside busy programs the very last would hardly go at all, and everything waits for them."""
    usual = os.sched_getscheduler(0)  # an AV1 encoder that root has run may have made it another than most
    may_take = threading.Event()

    def take(_: int) -> None:
        may_take.wait(10)

    with (
        closing(Sink[int](take, behind=1, name="encode")) as encoder,
        closing(Pump(_policies(), ahead=1, name="feed")) as feeder,
    ):
        courtesy = Courtesy([feeder], [encoder])
        made = feeder.items()

        def afterwards() -> int:
            courtesy.look_after()
            return [next(made) for _ in range(4)][-1]

        assert afterwards() == usual
        while not encoder.has_enough:
            encoder.put(0)
        assert afterwards() == os.SCHED_IDLE
        may_take.set()
        time.sleep(0.3)
        assert encoder.starved_s > 0.1
        assert afterwards() == usual
        encoder.put(0)
        encoder.put(0)
        assert afterwards() == usual, "whoever was in the way may still be there"


def _policies() -> Iterator[int]:
    while True:
        yield os.sched_getscheduler(0)


def test_an_encoder_that_waits_for_work_that_goes_on_does_not_starve() -> None:
    """What takes long in this process takes as long for a thread of any priority."""
    with closing(Sink[int](lambda _: None, behind=1, name="encode")) as encoder:
        begun, spent = time.perf_counter(), time.process_time()
        while time.process_time() - spent < 0.3:
            pass
        # Other programs may have had the cores meanwhile, which is what starving means.
        without_a_core = time.perf_counter() - begun - 0.3
        assert encoder.starved_s < without_a_core + 0.1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system doesn't bind processes to cores")
def test_only_cores_that_the_process_may_use_are_counted() -> None:
    """A worker bound to one core of many, as in a container, doesn't reckon with the others."""
    code = (
        "import os; from skill_tools.workers.augmentation.pipeline import cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cores())"
    )
    assert told_by(code) == "1"
