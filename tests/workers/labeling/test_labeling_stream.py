"""Threads before and behind the work: order, failures, abandonment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skill_tools.workers.labeling.stream import Behind, ahead


def failing_after(count: int) -> Iterator[int]:
    """Give `count` numbers, then fail."""
    yield from range(count)
    raise ValueError("the source broke")


def test_ahead_keeps_the_order() -> None:
    """Items come as they were made."""
    with ahead(range(50), depth=3) as items:
        assert list(items) == list(range(50))


def test_ahead_hands_failures_over() -> None:
    """What the source raises is raised where items are taken, after the items before it."""
    taken = []
    with pytest.raises(ValueError, match="the source broke"), ahead(failing_after(3), depth=1) as items:
        taken.extend(items)
    with ahead(failing_after(3), depth=1) as items:
        assert [next(items), next(items), next(items)] == [0, 1, 2]


def test_ahead_can_be_left_early() -> None:
    """Leaving an endless source ends its thread."""

    def endless() -> Iterator[int]:
        while True:
            yield 1

    with ahead(endless(), depth=2) as items:
        assert next(items) == 1


def test_behind_works_everything_off() -> None:
    """All items were worked on when the block has ended."""
    done: list[int] = []
    with Behind[int](done.extend, depth=2) as line:
        for item in range(20):
            line.put(item)
    assert done == list(range(20))


def test_behind_raises_what_the_work_raised() -> None:
    """A failure in the thread reaches whoever hands items over, even when nobody takes them any more."""

    def work(items: Iterator[int]) -> None:
        next(items)
        raise ValueError("the disk is full")

    def hand_over() -> None:
        with Behind[int](work, depth=1) as line:
            for item in range(100):
                line.put(item)

    with pytest.raises(ValueError, match="the disk is full"):
        hand_over()


def test_behind_lets_work_know_that_it_is_abandoned() -> None:
    """When the block fails, the work's own context managers see an exception too."""
    ended: list[str] = []

    def work(items: Iterator[int]) -> None:
        try:
            for _ in items:
                pass
            ended.append("whole")
        except BaseException:
            ended.append("abandoned")
            raise

    def fail_midway() -> None:
        with Behind[int](work, depth=1) as line:
            line.put(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail_midway()
    assert ended == ["abandoned"]
