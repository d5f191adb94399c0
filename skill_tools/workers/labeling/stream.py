"""Two threads at work on one clip: read ahead of the work, and write behind it, with bounded queues."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.1


class _End:
    """Marks the end of a queue; carries the failure that caused it, if any."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure


class _Abandoned(Exception):
    """Unwinds a thread whose work isn't wanted any more."""


@contextmanager
def ahead(items: Iterable[T], *, depth: int) -> Iterator[Iterator[T]]:
    """Iterate over `items` in a thread, at most `depth` items ahead of whoever takes them.

    What `items` raises is raised where they are taken. When the block ends the thread has ended too.
    """
    line: queue.Queue[T | _End] = queue.Queue(depth)
    abandoned = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                _put(line, item, abandoned)
            _put(line, _End(), abandoned)
        except _Abandoned:
            return
        except BaseException as failure:  # noqa: BLE001 - handed over to the thread that takes the items
            with _ignoring_abandonment():
                _put(line, _End(failure), abandoned)

    def take() -> Iterator[T]:
        while True:
            item = line.get()
            if isinstance(item, _End):
                if item.failure is not None:
                    raise item.failure
                return
            yield item

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        abandoned.set()
        thread.join()


class Behind(Generic[T]):
    """Hands items to `work`, which runs in a thread over all of them; a context manager.

    `work` gets an iterator. It ends normally when the block ends well and is left by an exception when the
    block is left by one, so that `work`'s own context managers see that too. What `work` raises is raised by
    `put` or at the end of the block.
    """

    def __init__(self, work: Callable[[Iterator[T]], None], *, depth: int) -> None:
        self._line: queue.Queue[T | _End] = queue.Queue(depth)
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name="behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        """Start the thread."""
        self._thread.start()
        return self

    def put(self, item: T) -> None:
        """Hand over one item; waits while `depth` are waiting."""
        self._offer(item)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait until all items are worked off, or abandon them."""
        if error is not None:
            self._abandoned.set()
        else:
            self._offer(_End())
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def _offer(self, item: T | _End) -> None:
        while self._thread.is_alive():
            try:
                self._line.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
        if self._failure is not None:
            raise self._failure

    def _run(self, work: Callable[[Iterator[T]], None]) -> None:
        try:
            work(self._items())
        except _Abandoned:
            return
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that hands items over
            self._failure = failure

    def _items(self) -> Iterator[T]:
        while True:
            try:
                item = self._line.get(timeout=_POLL_S)
            except queue.Empty:
                if self._abandoned.is_set():
                    raise _Abandoned from None
                continue
            if self._abandoned.is_set():
                raise _Abandoned
            if isinstance(item, _End):
                return
            yield item


def _put(line: queue.Queue[T | _End], item: T | _End, abandoned: threading.Event) -> None:
    while True:
        if abandoned.is_set():
            raise _Abandoned
        try:
            line.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return


@contextmanager
def _ignoring_abandonment() -> Iterator[None]:
    try:
        yield
    except _Abandoned:
        return
