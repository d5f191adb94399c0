"""Threads that make ahead and take behind: order, errors, an end, and who goes first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from skill_tools.workers.augmentation.threads import Pump, Sink


def _failing_after(items: int) -> Iterator[int]:
    yield from range(items)
    raise OSError("the disk is gone")


def test_what_is_made_ahead_comes_in_order_and_then_what_went_wrong() -> None:
    """An error of the thread is raised where its items are taken, after those made before it."""
    taken: list[int] = []
    with (
        closing(Pump(lambda: _failing_after(20), ahead=3, name="make")) as pump,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        taken.extend(pump.items())
    assert taken == list(range(20))


def test_closing_ends_a_thread_that_waits_for_room() -> None:
    """Nobody takes any more: the thread, whose items have no end, is gone all the same."""
    pump = Pump(lambda: iter(count()), ahead=1, name="endless")
    assert next(pump.items()) == 0
    pump.close()
    assert "endless" not in {thread.name for thread in threading.enumerate()}


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities of their own")
def test_threads_that_feed_an_encoder_go_after_it_but_not_last_of_all() -> None:
    """Beside busy programs the very last would hardly go at all, and everything waits for them."""
    with closing(Pump(lambda: iter([_niceness()]), ahead=1, name="feed")) as pump:
        feeds = next(pump.items())
    found: list[int] = []
    with closing(Sink[int](lambda _: found.append(_niceness()), behind=1, name="encode")) as sink:
        sink.put(0)
        sink.finish()
    assert found[0] < feeds < 19


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system doesn't bind processes to cores")
def test_only_cores_that_the_process_may_use_are_counted() -> None:
    """A worker bound to one core of many, as in a container, doesn't reckon with the others."""
    code = (
        "import os; from skill_tools.workers.augmentation.threads import cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cores())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "1"
