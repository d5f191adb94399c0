"""Storage URLs: take one apart, derive the storage from a data set's URL, name what lies where.

Pure: nothing here touches a disk or a network. URLs are kept to the letter, percent signs included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from skill_tools.errors import InputError, NeedsInput

MIN_COMPONENTS = {"s3": 1, "gs": 1, "azure": 2, "tos": 2, "swift": 3, "file": 1}
"""Scheme to the number of components that name its bucket or container (OSMO's storage profiles)."""

SHAPES = {
    "s3": "s3://bucket[/prefix]",
    "gs": "gs://bucket[/prefix]",
    "azure": "azure://account/container[/prefix]",
    "swift": "swift://endpoint/account/container[/prefix]",
    "tos": "tos://endpoint/bucket[/prefix]",
    "file": "file:///folder",
}

_COMPONENT = re.compile(r"[^/,;*?#\s\\]+")
_DATASET_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CLIP_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")

DATASET_PATTERN = f"^{_DATASET_NAME.pattern}$"
DATASET_MAX = 64
RUN_ID_PATTERN = r"^run-[0-9a-f]{8}$"


@dataclass(frozen=True)
class StorageUrl:
    """A URL in a storage, taken apart without loss but for trailing slashes."""

    scheme: str
    components: tuple[str, ...]

    def __str__(self) -> str:
        """Write the URL out again."""
        start = "file:///" if self.scheme == "file" else f"{self.scheme}://"
        return start + "/".join(self.components)

    def __truediv__(self, below: str) -> StorageUrl:
        """Return the URL of something below this one."""
        return StorageUrl(self.scheme, (*self.components, *below.strip("/").split("/")))

    @property
    def bucket(self) -> str:
        """The part that names bucket or container: the whole of it for `file`."""
        if self.scheme == "file":
            return str(self)
        return str(StorageUrl(self.scheme, self.components[: MIN_COMPONENTS[self.scheme]]))


def parse(url: str) -> StorageUrl:
    """Take a storage URL apart.

    Raises:
        InputError: unknown scheme, missing bucket or container, or a component that OSMO refuses.
    """
    scheme, found, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not found or scheme not in SHAPES:
        raise _bad(url, "it has none of the known schemes")
    if scheme == "file":
        if not rest.startswith("/"):
            raise _bad(url, "a file URL has three slashes and an absolute path")
        rest = rest[1:]
    components = tuple(rest.rstrip("/").split("/")) if rest.rstrip("/") else ()
    if len(components) < MIN_COMPONENTS[scheme]:
        raise _bad(url, "its bucket or container is missing")
    for component in components:
        if not _COMPONENT.fullmatch(component) or component in {".", ".."}:
            raise _bad(url, f"the part {component!r} is empty or holds a character that storages refuse")
    return StorageUrl(scheme, components)


def _bad(url: str, why: str) -> InputError:
    return InputError(
        f"{url!r} is no storage URL: {why}",
        expected=", ".join(SHAPES.values()),
        remedy="give the URL that the data set really has",
        code="input.storage_url",
    )


@dataclass(frozen=True)
class Derived:
    """What a data set's URL says: the storage below which it lies, its name, perhaps one clip."""

    storage_url: str
    dataset: str
    video: str | None = None

    @property
    def dataset_url(self) -> str:
        """The data set's URL."""
        return f"{self.storage_url}/datasets/{self.dataset}"


def derive(dataset_url: str) -> Derived:
    """Derive the storage URL from a data set's URL: `…/datasets/<dataset>[/…]` taken off.

    The last `datasets` folder that is followed by a data set's name counts, so that a prefix may hold a
    folder of that name too.

    Raises:
        InputError: no storage URL, or the data set's name is none that a workflow can have.
        NeedsInput: the URL does not say where the storage ends and the data set begins.
    """
    url = parse(dataset_url)
    first = 0 if url.scheme == "file" else MIN_COMPONENTS[url.scheme]
    for at in range(len(url.components) - 2, first - 1, -1):
        name = unquote(url.components[at + 1])
        if url.components[at] != "datasets" or name.lower().endswith(_CLIP_SUFFIXES):
            continue
        check_dataset_name(name)
        storage = StorageUrl(url.scheme, url.components[:at])
        return Derived(str(storage).rstrip("/"), name, _clip_in(url.components[at + 2 :]))
    raise NeedsInput(
        f"Which storage URL does the data set {dataset_url} belong to?",
        expected="a URL of the form <storage_url>/datasets/<dataset>",
        remedy="give the data set's URL with its datasets folder",
        code="needs_input.storage_url",
    )


def _clip_in(below: tuple[str, ...]) -> str | None:
    if len(below) == 1 and below[0].lower().endswith(_CLIP_SUFFIXES):
        return unquote(below[0]).rpartition(".")[0]
    return None


def check_dataset_name(name: str) -> str:
    """Return the name of a data set, which is the workflow's name too.

    Raises:
        InputError: OSMO would refuse a workflow of this name; the nearest valid one is in `remedy`.
    """
    if _DATASET_NAME.fullmatch(name) and len(name) <= DATASET_MAX:
        return name
    raise InputError(
        f"{name!r} is no name for a data set",
        expected=f"a letter, then letters, digits, '_' or '-', at most {DATASET_MAX} in all",
        remedy=f"use {dataset_name_like(name)!r}",
        code="input.dataset_name",
    )


def dataset_name_like(text: str) -> str:
    """Return the valid data set name that is nearest to a text."""
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", text).strip("_-")[:DATASET_MAX].rstrip("_-")
    if not name:
        return "clips"
    return name if name[0].isalpha() else f"clips_{name}"[:DATASET_MAX].rstrip("_-")


def is_stem(video: str) -> bool:
    """Tell whether a text can stand for a clip: a base name without separators and extension."""
    return bool(_STEM.fullmatch(video)) and not video.lower().endswith(_CLIP_SUFFIXES)


def file_url(path: Path) -> str:
    """Return the `file://` URL of an absolute path."""
    return "file://" + quote(str(path))


def file_path(url: str) -> Path:
    """Return the path behind a `file://` URL.

    Raises:
        InputError: the URL is none of a file.
    """
    parsed = parse(url)
    if parsed.scheme != "file":
        raise _bad(url, "it is not on this machine")
    return Path("/", *(unquote(component) for component in parsed.components))


@dataclass(frozen=True)
class Layout:
    """Where everything of a run lies under its storage URL."""

    storage_url: str
    dataset: str
    run_id: str

    @property
    def dataset_url(self) -> str:
        """The source clips, flat."""
        return f"{self.storage_url}/datasets/{self.dataset}"

    @property
    def run_url(self) -> str:
        """Everything that the run made."""
        return f"{self.storage_url}/datasets/{self.dataset}-outputs/{self.run_id}"

    @property
    def cosmos_cache_url(self) -> str:
        """The model cache of the augmentation."""
        return f"{self.storage_url}/data/models/cosmos_transfer"

    @property
    def labeling_cache_url(self) -> str:
        """The model cache of the labeling."""
        return f"{self.storage_url}/data/models/auto_labeling"
