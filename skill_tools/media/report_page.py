"""What the template of the report walks over: panels, views, tables, bars; facts turned into shapes."""

from __future__ import annotations

import base64
import io
import json
import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote

import av
import av.error
from PIL import Image

from skill_tools.errors import ArtifactError, ClipError
from skill_tools.media.compare import glimpse
from skill_tools.media.opening import open_clip, video_stream
from skill_tools.media.report_data import (
    ClipReport,
    Count,
    Evaluator,
    LabelCounts,
    Question,
    ReportData,
    StageTiming,
    VariantReport,
)

EMBED_LIMIT_BYTES: Final = 24 * 1024 * 1024
"""Media of a run travel inside its page up to this many bytes together."""

_POSTER_SIZE = (960, 360)
_THUMBNAIL_SIZE = (400, 96)
_JPEG_QUALITY = 76


@dataclass(frozen=True)
class View:
    """One way to look at an item: a video, with or without a wipe, or a picture."""

    key: str
    label: str
    source: str
    times: object = None
    split: float | None = None
    kind: str = "video"


@dataclass(frozen=True)
class Bar:
    """A class of labels with its counts, and what share of the table's largest each is."""

    name: str
    count: Count
    original_share: float
    augmented_share: float


@dataclass(frozen=True)
class CountTable:
    """Counts by class, largest first, with the sum."""

    key: str
    title: str
    unit: str
    bars: tuple[Bar, ...]
    has_original: bool
    has_augmented: bool
    total: Count


@dataclass(frozen=True)
class File:
    """A file of the run: what it is, its URL from the page, its path from the page's folder."""

    label: str
    href: str
    path: str


@dataclass(frozen=True)
class Item:
    """A panel of the page: one variant, or a clip without variants."""

    id: str
    clip: str
    variant: VariantReport | None
    title: str
    poster: str
    thumbnail: str
    views: tuple[View, ...]
    contact_sheet: str
    tables: tuple[CountTable, ...]
    questions: tuple[Question, ...]
    files: tuple[File, ...]
    metadata: str

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        """What the checks of the variant found."""
        return self.variant.evaluators if self.variant else ()

    @property
    def sampled(self) -> Mapping[str, str]:
        """The variant's sampled values."""
        return self.variant.sampled_vars if self.variant else {}

    @property
    def search_text(self) -> str:
        """What the filter of the page looks in."""
        return " ".join([self.clip, self.title, *self.sampled.values()]).replace("_", " ").lower()

    def for_player(self) -> dict[str, object]:
        """Return what the page's script has to know, as JSON values."""
        return {
            "id": self.id,
            "title": f"{self.clip}: {self.title}",
            "views": [asdict(view) for view in self.views],
        }


class Shelf:
    """Where a medium of the page is found: inside it, or beside it by relative path."""

    def __init__(self, *, page: Path, files: Sequence[Path]) -> None:
        for path in files:
            if not path.is_file():
                raise ArtifactError(
                    f"The report can't show {path}: there is no such file",
                    expected="every video and picture of the run, staged",
                    remedy="call stage_artifacts and render_compare for the run, then report again",
                    code="artifact.missing",
                )
        # Not resolved: what the run's folder links to is shown where the reader finds it, in that folder.
        self._folder = page.absolute().parent
        self.total_bytes = sum(path.stat().st_size for path in files)
        self.embedded = self.total_bytes <= EMBED_LIMIT_BYTES
        self.limit_bytes = EMBED_LIMIT_BYTES
        self.videos: dict[str, str] = {}
        self._keys: dict[Path, str] = {}

    def video(self, path: Path) -> str:
        """Return `#<element id>` of the embedded video, or its relative URL."""
        if not self.embedded:
            return self.link(path)
        if path not in self._keys:
            key = f"media-{len(self._keys)}"
            self._keys[path] = key
            self.videos[key] = base64.b64encode(path.read_bytes()).decode("ascii")
        return f"#{self._keys[path]}"

    def picture(self, path: Path) -> str:
        """Return a URL that an `<img>` shows."""
        return _data_url(path.read_bytes(), _mime(path)) if self.embedded else self.link(path)

    def link(self, path: Path) -> str:
        """Return the URL of a file from the page."""
        return quote(os.fsencode(self.relative(path)))

    def relative(self, path: Path) -> str:
        """Return the path of a file from the page's folder."""
        return Path(os.path.relpath(path.absolute(), self._folder)).as_posix()

    def file(self, label: str, path: Path | None) -> tuple[File, ...]:
        """Return the entry of a file in the list of files; none for None."""
        if path is None:
            return ()
        return (File(label, self.link(path), self.relative(path)),)


def media_of(data: ReportData) -> tuple[Path, ...]:
    """Return the films and pictures that the page shows, each once."""
    wanted: list[Path | None] = []
    for clip in data.clips:
        wanted += [clip.overlay] if clip.variants else [clip.input, clip.overlay]
        for variant in clip.variants:
            wanted += [variant.compare or variant.still, variant.overlay, variant.contact_sheet]
            if variant.compare is None:
                wanted += [clip.input, variant.video]
    return tuple(dict.fromkeys(path for path in wanted if path is not None))


def items(data: ReportData, shelf: Shelf) -> tuple[Item, ...]:
    """Return the panels of the page, variant by variant, clip by clip."""
    made: list[Item] = []
    for clip in data.clips:
        for variant in clip.variants or (None,):
            made.append(_item(f"item-{len(made)}", clip, variant, shelf))
    return tuple(made)


def _item(item_id: str, clip: ClipReport, variant: VariantReport | None, shelf: Shelf) -> Item:
    counts = variant.label_counts if variant else clip.label_counts
    glimpsed = _glimpse_of(clip, variant)
    sheet = variant.contact_sheet if variant else None
    return Item(
        id=item_id,
        clip=clip.video,
        variant=variant,
        title=variant.name if variant else "Original, labelled",
        poster=_small_jpeg(glimpsed, _POSTER_SIZE),
        thumbnail=_small_jpeg(glimpsed, _THUMBNAIL_SIZE),
        views=_views(clip, variant, shelf),
        contact_sheet=shelf.picture(sheet) if sheet else "",
        tables=_count_tables(counts) if counts else (),
        questions=variant.questions if variant else clip.questions,
        files=_files(clip, variant, shelf),
        metadata=json.dumps(variant.metadata, indent=2, ensure_ascii=False, default=str)
        if variant and variant.metadata
        else "",
    )


def _views(clip: ClipReport, variant: VariantReport | None, shelf: Shelf) -> tuple[View, ...]:
    def video(key: str, label: str, path: Path | None) -> tuple[View, ...]:
        return (View(key, label, shelf.video(path), _frame_times(path)),) if path else ()

    if variant is None:
        return video("labels", "Labels", clip.overlay) + video("original", "Original", clip.input)
    labels = video("labels", "Labels", variant.overlay) + video(
        "original-labels", "Original's labels", clip.overlay
    )
    if variant.compare:
        (side,) = video("side", "Side by side", variant.compare)
        return (side, replace(side, key="wipe", label="Wipe", split=variant.split), *labels)
    clips = video("variant", "Variant", variant.video) + video("original", "Original", clip.input)
    if variant.still:
        still = View("still", "Side by side", shelf.picture(variant.still), kind="picture")
        return (still, *clips, *labels)
    return clips + labels


def _files(clip: ClipReport, variant: VariantReport | None, shelf: Shelf) -> tuple[File, ...]:
    found = shelf.file("Original", clip.input)
    if variant is not None:
        found += shelf.file("Variant", variant.video)
        found += shelf.file("Side by side", variant.compare or variant.still)
        found += shelf.file("Contact sheet", variant.contact_sheet)
        found += shelf.file("Labels of the variant", variant.labels_dir)
    return found + shelf.file("Labels of the original", clip.labels_dir)


def groups(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Return the panels by clip."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.clip, []).append(item)
    return groups


def _count_tables(counts: LabelCounts) -> tuple[CountTable, ...]:
    made = (
        _count_table("tracks", "Tracks", "things followed through the clip", counts.tracks),
        _count_table("detections", "Detections", "boxes over all frames", counts.detections),
    )
    return tuple(table for table in made if table.bars)


def _count_table(key: str, title: str, unit: str, counts: Mapping[str, Count]) -> CountTable:
    most = max([1, *(n for c in counts.values() for n in (c.original, c.augmented) if n is not None)])
    order = sorted(
        counts.items(), key=lambda pair: (-max(_or_0(pair[1].original), _or_0(pair[1].augmented)), pair[0])
    )
    return CountTable(
        key=key,
        title=title,
        unit=unit,
        bars=tuple(
            Bar(name, count, _or_0(count.original) / most, _or_0(count.augmented) / most)
            for name, count in order
        ),
        has_original=any(c.original is not None for c in counts.values()),
        has_augmented=any(c.augmented is not None for c in counts.values()),
        total=Count(_sum(c.original for c in counts.values()), _sum(c.augmented for c in counts.values())),
    )


@dataclass(frozen=True)
class Span:
    """A stage and where it lies on the time axis, in shares of the whole."""

    stage: StageTiming
    start_share: float
    width_share: float


def timeline(stages: Sequence[StageTiming]) -> tuple[Span, ...]:
    """Lay the stages out on one time axis."""
    whole = total_seconds(stages) or 1.0
    return tuple(
        Span(stage, start / whole, stage.seconds / whole)
        for stage, start in zip(stages, _starts(stages), strict=True)
    )


def _starts(stages: Sequence[StageTiming]) -> list[float]:
    starts: list[float] = []
    end = 0.0
    for stage in stages:
        start = end if stage.start_s is None else stage.start_s
        starts.append(start)
        end = start + stage.seconds
    return starts


def total_seconds(stages: Sequence[StageTiming]) -> float:
    """Return when the last stage ended, counted from the start of the first."""
    starts = _starts(stages)
    return max((s + stage.seconds for s, stage in zip(starts, stages, strict=True)), default=0.0)


def _frame_times(path: Path) -> dict[str, object] | None:
    """Return when each frame of a video begins, short where the rate is steady; None if it can't be read."""
    try:
        with open_clip(path) as container:
            stream = video_stream(container, path)
            base = stream.time_base or Fraction(1, 1)
            ticks = sorted(p.pts for p in container.demux(stream) if p.pts is not None and p.size)
    except (ClipError, av.error.FFmpegError):
        return None
    if not ticks:
        return None
    steps = {b - a for a, b in pairwise(ticks)}
    if len(steps) <= 1:
        step = steps.pop() if steps else 1
        return {"n": len(ticks), "start": float(ticks[0] * base), "step": float(step * base)}
    return {"n": len(ticks), "at": [round(float(tick * base), 6) for tick in ticks]}


def _glimpse_of(clip: ClipReport, variant: VariantReport | None) -> Image.Image | None:
    source = (variant.compare or variant.video) if variant else (clip.overlay or clip.input)
    try:
        return glimpse(source)
    except (ClipError, av.error.FFmpegError):
        return None


def _small_jpeg(image: Image.Image | None, size: tuple[int, int]) -> str:
    if image is None:
        return ""
    small = image.copy()
    small.thumbnail(size, reducing_gap=2.0)
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_JPEG_QUALITY)
    return _data_url(content.getvalue(), "image/jpeg")


def _mime(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _data_url(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _or_0(count: int | None) -> int:
    return count or 0


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
