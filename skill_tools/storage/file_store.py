"""Objects behind `file://` URLs: list, download and upload them, each file whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skill_tools.errors import EngineError
from skill_tools.storage.url import file_path

Ticker = Callable[[str, int, int | None], None]
"""Called with (relative path, bytes done, bytes in all) while a file is copied."""

CHUNK_BYTES = 4 << 20
STALE_PART_S = 3600.0
_PART_SUFFIX = ".vda-part"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})


@dataclass(frozen=True)
class StoredFile:
    """A file below a folder: its path relative to the folder, with forward slashes, and its bytes."""

    path: str
    size: int


def list_files(url: str) -> tuple[StoredFile, ...]:
    """List all files below a URL by path; the URL is taken for a folder's, so a file's lists nothing."""
    return files_below(file_path(url))


def download(
    url: str, directory: Path, tick: Ticker | None = None, *, regex: str | None = None
) -> tuple[Path, ...]:
    """Copy what is below a URL into an existing directory, its structure kept.

    A URL of one file lands as `directory/<name>`; one with nothing behind it gives nothing. `regex` keeps
    the files whose path below the URL it matches from the start (`re.match`, as OSMO does).

    Raises:
        EngineError: the directory is missing, the disk is full, or a file can't be read or written.
    """
    if not directory.is_dir():
        raise EngineError(
            f"{directory} is no directory to download into",
            expected="an existing directory",
            remedy="create it first",
            code="engine.storage",
        )
    source = file_path(url)
    return copy_files(source, directory, tick, regex=regex)


def upload(
    paths: Sequence[Path],
    url: str,
    tick: Ticker | None = None,
    *,
    regex: str | None = None,
    may_link: bool = False,
) -> tuple[StoredFile, ...]:
    """Copy files flat below a URL and return what was put there; folders keep their own name.

    `may_link` says that nobody will write to the files again, so that on one file system a second name
    for each will do. What is there under the same name is replaced at once.

    Raises:
        EngineError: a path is missing, the disk is full, or a file can't be read or written.
    """
    target = file_path(url)
    files = [found for path in paths for found in _named_files(path)]
    wanted = [(name, path) for name, path in files if _matches(regex, name)]
    homes = tuple(path.parent.resolve() for path in paths)
    if not may_link:
        _expect_room(target, (path for _, path in wanted))
    for name, path in wanted:
        # what is somebody else's as well, through a link of either kind, isn't the caller's to give away
        own = path.stat().st_nlink == 1 and any(path.resolve().is_relative_to(home) for home in homes)
        place(path, target / name, tick, name=name, may_link=may_link and own)
    for folder in {(target / name).parent for name, _ in wanted}:
        _sweep(folder)
    return tuple(StoredFile(name, (target / name).stat().st_size) for name, _ in wanted)


def copy_files(
    source: Path, directory: Path, tick: Ticker | None = None, *, regex: str | None = None
) -> tuple[Path, ...]:
    """Copy a file, or all files below a folder, into a directory; nothing if there is no source.

    Raises:
        EngineError: the disk is full, or a file can't be read or written.
    """
    if source.is_file():
        files = [(source.name, source)]
    else:
        files = [(found.path, source / found.path) for found in files_below(source)]
    wanted = [(name, path) for name, path in files if _matches(regex, name)]
    _expect_room(directory, (path for _, path in wanted))
    for name, path in wanted:
        place(path, directory / name, tick, name=name)
    return tuple(directory / name for name, _ in wanted)


def files_below(folder: Path) -> tuple[StoredFile, ...]:
    """List the regular files below a folder by path; links are followed, unfinished copies left out."""
    if not folder.is_dir():
        return ()
    with _explained(folder):
        return tuple(sorted(_walk(folder, "", frozenset()), key=lambda found: found.path))


def place(
    source: Path,
    target: Path,
    tick: Ticker | None = None,
    *,
    name: str | None = None,
    may_link: bool = False,
) -> None:
    """Make `target` a copy of `source`, whole and on the disk, or leave it as it was.

    Raises:
        EngineError: the disk is full, the source changed meanwhile, or either can't be reached.
    """
    part = target.with_name(f".{uuid.uuid4().hex}{_PART_SUFFIX}")
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not (may_link and _linked(source, part)):
                _copied(source, part, tick, name or source.name)
            elif tick is not None:
                size = part.stat().st_size
                tick(name or source.name, size, size)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        _sync(target.parent)


def _named_files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        for found in files_below(path):
            yield f"{path.name}/{found.path}", path / found.path
    elif path.is_file():
        yield path.name, path
    else:
        raise EngineError(
            f"{path} is not there to be uploaded",
            expected="an existing file or folder",
            remedy="check the path",
            code="engine.storage",
        )


def _matches(regex: str | None, name: str) -> bool:
    return not regex or re.match(regex, name) is not None


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[StoredFile]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        here = folder.stat()
        identity = (here.st_dev, here.st_ino)
        if identity in above:  # a link back to a folder above: its files are listed there
            return
        for entry in entries:
            if entry.is_dir():
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", above | {identity})
            elif entry.is_file() and not entry.name.endswith(_PART_SUFFIX):
                with suppress(FileNotFoundError):
                    yield StoredFile(prefix + entry.name, entry.stat().st_size)


def _linked(source: Path, part: Path) -> bool:
    try:
        os.link(source, part)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    _sync(part)
    return True


def _copied(source: Path, part: Path, tick: Ticker | None, name: str) -> None:
    with source.open("rb") as reading, part.open("xb") as writing:
        before = os.fstat(reading.fileno())
        done = 0
        while done <= before.st_size and (chunk := reading.read(CHUNK_BYTES)):  # it may grow for ever
            writing.write(chunk)
            done += len(chunk)
            if tick is not None:
                tick(name, done, before.st_size)
        writing.flush()
        os.fsync(writing.fileno())
        after = os.fstat(reading.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or done != after.st_size:
        raise EngineError(
            f"{source} changed while it was copied",
            expected=f"{before.st_size} bytes that stay as they are",
            remedy="repeat when nothing writes to it",
            code="engine.storage",
            retry="now",
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _expect_room(folder: Path, files: Iterator[Path]) -> None:
    with _explained(folder):
        needed = sum(path.stat().st_size for path in files)
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
    if needed > free:
        raise _full(folder, f"{needed:,} bytes free where there are {free:,}")


def _sweep(folder: Path) -> None:
    """Remove copies that a killed process left unfinished long ago."""
    for part in folder.glob(f".*{_PART_SUFFIX}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_PART_S:
                part.unlink()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into what a person can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(path, "room for the whole file") from error
        raise EngineError(
            f"{error.filename or path}: {error.strerror or error}",
            expected=f"files that can be read, and {path} to be written",
            remedy="check the path and its permissions",
            code="engine.storage",
        ) from error


def _full(path: Path, expected: str) -> EngineError:
    return EngineError(
        f"The disk is full: {path} was not written and is as it was",
        expected=expected,
        remedy="free some space, then repeat; nothing that was finished is lost",
        code="engine.disk_full",
    )
