"""Threads that make items ahead of whoever takes them, and threads that take items behind whoever gives them.

Codecs and OpenCV let go of Python's lock, so a thread a task keeps all cores busy; the queues between them
are short, so memory stays where it is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_LOOK_UP_S = 0.1
_STUCK_S = 0.1
_WARY_S = 60.0


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


class Duty(ABC):
    """Work on items, done by a thread of its own, which another one may relieve after any item."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stop = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._gives_way = False
        self._start()

    def give_way(self) -> None:
        """Let all other threads and programs go first, from the next item on."""
        self._gives_way = True

    def relieve(self) -> None:
        """Have a thread with the caller's priority go on after the present item."""
        self._gives_way = False
        self._start()

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._join()

    def _start(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._run, args=(number,), name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        patient = False
        with self._one_at_a_time:
            while number == len(self._threads) - 1 and not self._stop.is_set():
                if self._gives_way and not patient:
                    _go_last()
                    patient = True
                if not self._one_item():
                    self._stop.set()

    @abstractmethod
    def _one_item(self) -> bool:
        """Work on the next item; tell whether there may be more."""


class Pump(Duty, Generic[T]):
    """Runs an iterator in a thread of its own, at most `ahead` items before they are asked for."""

    def __init__(self, items: Iterator[T], *, ahead: int, name: str) -> None:
        """Start the thread, in which each of the items is made."""
        self._items = items
        self._queue: Queue[T | BaseException | None] = Queue(ahead)
        super().__init__(name)

    def items(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[T]:
        """Yield the items in their order; raise here what went wrong there.

        Now and then while there is none, `meanwhile` is called.
        """
        while True:
            try:
                item = self._queue.get(timeout=_LOOK_UP_S)
            except Empty:
                meanwhile()
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop the thread and wait for it; whoever waits for an item finds that there is none."""
        self._stop.set()
        self._make_room()  # so that the thread doesn't wait for it
        self._join()
        self._make_room()
        self._queue.put(None)

    def _make_room(self) -> None:
        with suppress(Empty):
            while True:
                self._queue.get_nowait()

    def _one_item(self) -> bool:
        try:
            item = next(self._items, None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self._put(error)
            return False
        return self._put(item) and item is not None

    def _put(self, item: T | BaseException | None) -> bool:
        while not self._stop.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=_LOOK_UP_S)
                return True
        return False


class Sink(Duty, Generic[T]):
    """Hands items to a function in a thread of its own, at most `behind` of them waiting."""

    def __init__(self, take: Callable[[T], None], *, behind: int, name: str) -> None:
        """Start the thread."""
        self._take = take
        self._queue: Queue[T | None] = Queue(behind)
        self._error: BaseException | None = None
        self._waits_since: tuple[float, float] | None = None
        super().__init__(name)

    @property
    def has_enough(self) -> bool:
        """Whether as many items wait as may."""
        return self._queue.full()

    @property
    def starved_s(self) -> float:
        """How long it has been waiting for an item by now without this process doing anything."""
        since = self._waits_since  # its thread may set it to None meanwhile
        if since is None:
            return 0.0
        begun, spent = since
        return (time.perf_counter() - begun) - (time.process_time() - spent)

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
        self._join()
        if self._error is not None:
            raise self._error

    def _one_item(self) -> bool:
        self._waits_since = self._waits_since or (time.perf_counter(), time.process_time())
        try:
            item = self._queue.get(timeout=_LOOK_UP_S)
        except Empty:
            return True
        self._waits_since = None
        if item is None:
            return False
        try:
            self._take(item)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are put
            self._error = error
        return self._error is None


class Courtesy:
    """Has the threads that feed encoders go last of all, as long as that does no harm.

    An encoder's threads wait for each other, so each that is held up holds up all: as soon as it has as many
    frames as may wait, all else fits into the gaps that it leaves. Against a nice value of 10 that saved 3 to
    11 % of a variant's time on two cores. But who goes last goes hardly ever beside programs that keep all
    cores busy, and once there, a thread may not go before others again. So when an encoder starves, threads
    of usual priority take over, and stay in charge for a minute.
    """

    def __init__(self, feeders: Sequence[Duty], encoders: Sequence[Sink[Any]]) -> None:
        """Look after `feeders`, for the sake of `encoders`."""
        self._feeders, self._encoders = feeders, encoders
        self._shown = False
        self._not_before_s = 0.0

    def look_after(self) -> None:
        """Let the feeders give way, or relieve them; to be called often, by a thread of usual priority."""
        if self._shown:
            if min(encoder.starved_s for encoder in self._encoders) > _STUCK_S:
                self.end()
                self._not_before_s = time.monotonic() + _WARY_S
        elif time.monotonic() >= self._not_before_s and any(one.has_enough for one in self._encoders):
            self._shown = True
            for feeder in self._feeders:
                feeder.give_way()

    def end(self) -> None:
        """Relieve the feeders if they have given way."""
        if self._shown:
            self._shown = False
            for feeder in self._feeders:
                feeder.relieve()


def _go_last() -> None:
    """Let all other threads go before this one, where the system has priorities for threads.

    Where it has not, a thread's own would be its process's.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
