"""Move files to and from the storage so that no file is ever half there under its own name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from skill_tools.engines.base import Ticker
from skill_tools.errors import EngineError, InputError

NOT_SENT = "Upload Failed on files:"

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"([\d.]+)([kKMGTP]?)/([\d.]+)([kKMGTP]?)B? \[")
_UNITS = " KMGTP"
_FORBIDDEN = re.compile(r"[,;*]")
_GLOB = re.compile(r"[*?\[]")
_CONTAINER_DEPTH = {"s3": 0, "gs": 0, "azure": 1, "swift": 2, "tos": 1}
"""Components of a URL's path that name its bucket or container, by scheme."""


@dataclass(frozen=True)
class Figure:
    """A number of bytes as a progress bar prints it: three digits and a unit of 1000 or 1024."""

    digits: float
    step: float
    power: int

    @property
    def size_bytes(self) -> int:
        """The number of bytes, nearly."""
        return int(self.digits * 1000.0**self.power)

    def can_be(self, size_bytes: int) -> bool:
        """Tell whether this is how a bar prints `size_bytes`; below 1000 the figure is exact."""
        if not self.power:
            return size_bytes == round(self.digits)
        half = self.step * 0.51  # what rounding may take off, and a float's own share
        return any(abs(size_bytes / base**self.power - self.digits) <= half for base in (1000, 1024))


@dataclass(frozen=True)
class Bar:
    """What a progress bar says."""

    done: Figure
    total: Figure


def read_bar(text: str) -> Bar | None:
    """Return the newest progress bar in what the CLI printed."""
    found = list(_BAR.finditer(_ESCAPES.sub("", text)))
    if not found:
        return None
    done, done_unit, total, total_unit = found[-1].groups()
    return Bar(_figure(done, done_unit), _figure(total, total_unit))


def watching(name: str, tick: Ticker | None) -> Callable[[str], None] | None:
    """Return what passes the progress bar on to a ticker."""
    if tick is None:
        return None

    def watch(text: str) -> None:
        bar = read_bar(text)
        if bar is not None:
            tick(name, bar.done.size_bytes, bar.total.size_bytes)

    return watch


def key_prefix(url: str) -> str:
    """Return what stands before every key below `url`, from its bucket or container on, without a last `/`.

    Raises:
        InputError: the URL has no scheme that OSMO knows, or a character that it doesn't take.
    """
    parts = urlsplit(url, allow_fragments=False)
    depth = _CONTAINER_DEPTH.get(parts.scheme)
    path = [part for part in url.partition("://")[2].split("/")[1:] if part]
    if depth is None or not parts.netloc or len(path) < depth or _FORBIDDEN.search(url):
        raise InputError(
            f"{url}: not a URL of OSMO's storage",
            expected="s3://, gs://, azure://, swift:// or tos:// and a bucket or container; no `,`, `;`, `*`",
            remedy="give the data set's URL as OSMO knows it",
            code="input.storage_url",
        )
    return "/".join(path[depth:])


@contextmanager
def staging(url: str, directory: Path) -> Iterator[Path]:
    """Give a hidden folder inside `directory` to download into; it stays when the download fails.

    One download at a time goes into a directory; a second one waits.
    """
    folder = directory / f".download-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)


def settle(folder: Path, directory: Path) -> tuple[Path, ...]:
    """Move all files of a staging folder to their places under `directory`, each at once."""
    placed = []
    for file in files_below(folder):
        target = directory / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.replace(target)
        placed.append(target)
    return tuple(placed)


def clear(folder: Path) -> None:
    """Empty a staging folder whose content can't be trusted."""
    shutil.rmtree(folder)
    folder.mkdir()


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, in a steady order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def missing_below(folder: Path, expected: Iterable[str]) -> list[str]:
    """Return which of the expected relative paths aren't files below `folder`."""
    return [path for path in expected if not (folder / path).is_file()]


def size_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in files_below(folder))


def keys_of(paths: Sequence[Path]) -> dict[str, int]:
    """Return what an upload puts below its URL: relative path to bytes. A folder keeps its own name.

    Raises:
        EngineError: nothing to send, or a path isn't there.
        InputError: two paths would land on each other.
    """
    keys: dict[str, int] = {}
    for path in paths:
        if not path.exists():
            raise storage_error(f"{path} is not there to be uploaded", "an existing file or folder")
        if any(key.split("/")[0] == path.name for key in keys):
            raise InputError(
                f"{path.name}: two of the paths have this name and would land on each other",
                expected="names that differ",
                remedy="rename one of them",
                code="input.same_name",
            )
        files = files_below(path) if path.is_dir() else [path]
        keys |= {file.relative_to(path.parent).as_posix(): file.stat().st_size for file in files}
    if not keys:
        raise storage_error("There is nothing to upload", "at least one file")
    return keys


def storage_error(message: str, expected: str) -> EngineError:
    """Return the error for a path on this machine that can't be used."""
    return EngineError(message, expected=expected, remedy="check the path", code="engine.storage")


@contextmanager
def as_arguments(paths: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    """Give the arguments under which `osmo data upload` finds these very files.

    It expands globs by itself, so a path with a glob's characters goes through a folder of links and
    `folder/*`.
    """
    absolute = [path.absolute() for path in paths]
    if not any(_GLOB.search(str(path)) for path in absolute):
        yield tuple(map(str, absolute))
        return
    with tempfile.TemporaryDirectory(prefix="vda-upload-") as folder:
        for path in absolute:
            _link(path, Path(folder) / path.name)
        yield (f"{folder}/*",)


def _link(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target)
        return
    try:
        os.link(path.resolve(), target)
    except OSError:  # another file system
        shutil.copyfile(path, target)


def _figure(digits: str, unit: str) -> Figure:
    decimals = len(digits.partition(".")[2])
    return Figure(float(digits), 10.0**-decimals, _UNITS.index(unit.upper() or " "))
