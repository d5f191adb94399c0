"""Threads that make items ahead of whoever takes them, and threads that take items behind whoever gives them.

Codecs and OpenCV let go of Python's lock, so a thread a task keeps all cores busy; the queues between them
are short, so memory stays where it is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

import cv2

T = TypeVar("T")

_LOOK_UP_S = 0.1
_NICE = 10


class Timer:
    """Processor seconds of our own threads, by part of the work; what codecs do in theirs is not in it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """Count what the block takes of its thread's processor time."""
        begun = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - begun
            with self._lock:
                self.seconds[part] = self.seconds.get(part, 0.0) + spent


def cores() -> int:
    """Return how many processors this process may use, by its binding and its container's quota."""
    return cv2.getNumberOfCPUs()


def give_way() -> None:
    """Let threads of usual priority go before this one, where the system has priorities for threads.

    An encoder's threads wait for each other, so each that is held up holds up all: they are the ones to go
    first, and all else fits into the gaps that they leave. Some 10 % of a variant's time were seen to hang
    on that with two cores. It isn't put last of all: beside two busy programs of the same session a variant
    took 52 s at a nice value of 19 and 10 s at this one, while it takes 4 s at either alone.
    """
    if sys.platform == "linux":  # elsewhere a thread's number would be taken for a process's
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class Pump(Generic[T]):
    """Runs an iterator in a thread of its own, at most `ahead` items before they are asked for."""

    def __init__(self, make: Callable[[], Iterator[T]], *, ahead: int, name: str) -> None:
        """Start the thread, which gives way to others."""
        self._make = make
        self._queue: Queue[T | BaseException | None] = Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def items(self) -> Iterator[T]:
        """Yield the items in their order; raise here what went wrong there."""
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        give_way()
        try:
            for item in self._make():
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self._put(error)

    def _put(self, item: T | BaseException | None) -> bool:
        while not self._stop.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=_LOOK_UP_S)
                return True
        return False


class Sink(Generic[T]):
    """Hands items to a function in a thread of its own, at most `behind` of them waiting."""

    def __init__(self, take: Callable[[T], None], *, behind: int, name: str, gives_way: bool = False) -> None:
        """Start the thread, which gives way to the others on request."""
        self._take, self._gives_way = take, gives_way
        self._queue: Queue[T | None] = Queue(behind)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T | None) -> None:
        """Pass an item on; raise here what went wrong there."""
        while True:
            if self._error is not None:
                raise self._error
            with suppress(Full):
                self._queue.put(item, timeout=_LOOK_UP_S)
                return

    def finish(self) -> None:
        """Wait until every item is taken."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop the thread and wait for it, whether or not every item was taken."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        if self._gives_way:
            give_way()
        try:
            while not self._stop.is_set():
                with suppress(Empty):
                    item = self._queue.get(timeout=_LOOK_UP_S)
                    if item is None:
                        return
                    self._take(item)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are put
            self._error = error
