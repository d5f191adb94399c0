"""One page that shows a run: the side by side, the figures, the decisions; a file of its own.

`write_report` takes closed facts and makes one HTML file that asks the network for nothing. Media up to
`EMBED_LIMIT_BYTES` together travel inside the page; more than that stays beside it, linked by relative
path, and the page says which.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import mimetypes
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Final
from urllib.parse import quote

import av
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from skill_tools.errors import ArtifactError, ClipError
from skill_tools.media.compare import glimpse
from skill_tools.media.opening import open_clip, video_stream

EMBED_LIMIT_BYTES: Final = 24 * 1024 * 1024
"""Media of a run travel inside its page up to this many bytes together."""

_ROOM = Path(__file__).parent
_POSTER_SIZE = (960, 360)
_THUMBNAIL_SIZE = (400, 96)
_JPEG_QUALITY = 76


@dataclass(frozen=True)
class Count:
    """How many there are in the original and in the variant; None where that side was not labelled."""

    original: int | None
    augmented: int | None

    @property
    def difference(self) -> int | None:
        """Variant minus original, when both were labelled."""
        if self.original is None or self.augmented is None:
            return None
        return self.augmented - self.original


@dataclass(frozen=True)
class LabelCounts:
    """Label counts by class: tracks (things) and detections (boxes over all frames)."""

    tracks: Mapping[str, Count]
    detections: Mapping[str, Count]

    @classmethod
    def of(
        cls, original: Mapping[str, object] | None, augmented: Mapping[str, object] | None
    ) -> LabelCounts | None:
        """Read the counts of two `summary.json` documents; None stands for a side without labels."""
        if original is None and augmented is None:
            return None
        return cls(
            tracks=_side_by_side_counts(original, augmented, "tracks"),
            detections=_side_by_side_counts(original, augmented, "detections"),
        )


@dataclass(frozen=True)
class Evaluator:
    """What one check of the variant found."""

    name: str
    passed: bool | None
    score: float | None = None
    threshold: float | None = None
    detail: str = ""

    @classmethod
    def all_of(cls, metadata: Mapping[str, object]) -> tuple[Evaluator, ...]:
        """Read the evaluators of a variant's `metadata.json`."""
        found = metadata.get("evaluators")
        if not isinstance(found, Mapping):
            return ()
        return tuple(cls._read(str(name), body) for name, body in found.items() if isinstance(body, Mapping))

    @classmethod
    def _read(cls, name: str, body: Mapping[str, object]) -> Evaluator:
        passed, said = body.get("passed"), body.get("reason") or body.get("detail")
        rest = {k: v for k, v in body.items() if k not in {"passed", "score", "threshold", "reason", "detail"}}
        return cls(
            name=name,
            passed=passed if isinstance(passed, bool) else None,
            score=_number(body.get("score")),
            threshold=_number(body.get("threshold")),
            detail=str(said) if said else _in_words(rest),
        )


@dataclass(frozen=True)
class Answer:
    """One answer to one question of the bank."""

    status: str
    answer: str = ""
    source: str = ""
    reason: str = ""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> Answer:
        """Read one entry of `questions` in an `mcq.json`."""
        return cls(
            status=str(body.get("status", "")),
            answer=_in_words(body.get("answer")),
            source=str(body.get("source") or ""),
            reason=str(body.get("reason") or ""),
        )


@dataclass(frozen=True)
class Question:
    """A question of the bank with its answer for either side."""

    text: str
    original: Answer | None = None
    augmented: Answer | None = None

    @classmethod
    def all_of(
        cls, original: Mapping[str, object] | None, augmented: Mapping[str, object] | None
    ) -> tuple[Question, ...]:
        """Read two `mcq.json` documents, question by question; None stands for a side without one."""
        left, right = _questions_by_id(original), _questions_by_id(augmented)
        ids = dict.fromkeys([*left, *right])
        return tuple(
            cls(
                text=str((left.get(i) or right[i]).get("question", i)),
                original=Answer.read(left[i]) if i in left else None,
                augmented=Answer.read(right[i]) if i in right else None,
            )
            for i in ids
        )


@dataclass(frozen=True)
class VariantReport:
    """One variant of a clip, and what the run found out about it.

    `compare` is the side by side, `split` the share of its width that the original takes. Where no side
    by side could be made, `still` is its one picture, or neither is given and both clips are shown.
    """

    name: str
    aug_idx: int
    sampled_vars: Mapping[str, str]
    video: Path
    compare: Path | None = None
    split: float = 0.5
    still: Path | None = None
    overlay: Path | None = None
    contact_sheet: Path | None = None
    label_counts: LabelCounts | None = None
    evaluators: tuple[Evaluator, ...] = ()
    questions: tuple[Question, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    labels_dir: Path | None = None


@dataclass(frozen=True)
class ClipReport:
    """One source clip; the label fields are the original's own and shown where it has no variant."""

    video: str
    input: Path
    variants: tuple[VariantReport, ...] = ()
    overlay: Path | None = None
    label_counts: LabelCounts | None = None
    questions: tuple[Question, ...] = ()
    labels_dir: Path | None = None


@dataclass(frozen=True)
class StageTiming:
    """A stage and its duration; without `start_s` it starts where the one before it ended."""

    name: str
    seconds: float
    detail: str = ""
    start_s: float | None = None


@dataclass(frozen=True)
class DecisionEntry:
    """What a rule decided, from the journal; `at` is Unix time in seconds."""

    rule: str
    outcome: str
    reason: str
    tool: str
    at: float


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows. Paths are read, and shown relative to the page."""

    run_id: str
    flow: str
    engine: str
    created: datetime
    clips: tuple[ClipReport, ...]
    engine_reason: str = ""
    dataset: str = ""
    cookbook: str = ""
    demo_source: str | None = None
    stages: tuple[StageTiming, ...] = ()
    decisions: tuple[DecisionEntry, ...] = ()
    notes: tuple[str, ...] = ()


def write_report(data: ReportData, target: Path) -> None:
    """Write the page of a run to `target`, at once: a reader never sees half of it.

    Raises:
        ArtifactError: A file that the page must show is missing; `target` is left as it was.
    """
    shelf = _Shelf(page=target, files=_media_of(data))
    items = _items(data, shelf)
    page = _environment().get_template("report.html.j2").render(
        run=data,
        headline=headline(data),
        items=items,
        groups=_groups(items),
        timeline=_timeline(data.stages),
        total_s=_total_seconds(data.stages),
        shelf=shelf,
        script=Markup(_script()),  # noqa: S704 - our own file, not a value of the run
        style=Markup((_ROOM / "report.css").read_text("utf-8")),  # noqa: S704 - likewise
        script_hash=_csp_hash(_script()),
        player=[item.for_player() for item in items],
    )
    _replace(target, page.encode("utf-8"))


def headline(data: ReportData) -> str:
    """Say in one sentence what the run made."""
    variants = [variant for clip in data.clips for variant in clip.variants]
    labelled = any(v.label_counts for v in variants) or any(c.label_counts for c in data.clips)
    one_clip = data.clips[0].video if len(data.clips) == 1 else ""
    clips = one_clip or f"{len(data.clips)} clips"
    if not variants:
        return f"{clips}, labelled." if labelled else f"{clips}."
    labels = ", with labels" if labelled else ""
    if len(variants) > 1:
        return f"{len(variants)} variants of {clips}, each beside its original{labels}."
    values = " and ".join(_spoken(value) for value in variants[0].sampled_vars.values())
    shown = f" in {values}" if values else ""
    return f"{clips}{shown}, beside the original{labels}."


# ---- what the template walks over ------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """One way to look at an item: a video, with or without a wipe, or a picture."""

    key: str
    label: str
    source: str
    times: object = None
    split: float | None = None
    kind: str = "video"


@dataclass(frozen=True)
class _Bar:
    name: str
    count: Count
    original_share: float
    augmented_share: float


@dataclass(frozen=True)
class _CountTable:
    key: str
    title: str
    unit: str
    bars: tuple[_Bar, ...]
    has_original: bool
    has_augmented: bool
    total: Count


@dataclass(frozen=True)
class _File:
    label: str
    href: str
    path: str


@dataclass(frozen=True)
class _Item:
    """A panel of the page: one variant, or a clip without variants."""

    id: str
    clip: str
    variant: VariantReport | None
    title: str
    poster: str
    thumbnail: str
    views: tuple[_View, ...]
    contact_sheet: str
    tables: tuple[_CountTable, ...]
    questions: tuple[Question, ...]
    files: tuple[_File, ...]
    metadata: str

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        return self.variant.evaluators if self.variant else ()

    @property
    def sampled(self) -> Mapping[str, str]:
        return self.variant.sampled_vars if self.variant else {}

    @property
    def search_text(self) -> str:
        return " ".join([self.clip, self.title, *self.sampled.values()]).replace("_", " ").lower()

    def for_player(self) -> dict[str, object]:
        return {
            "id": self.id,
            "title": f"{self.clip}: {self.title}",
            "views": [
                {
                    "key": view.key,
                    "label": view.label,
                    "source": view.source,
                    "times": view.times,
                    "split": view.split,
                    "kind": view.kind,
                }
                for view in self.views
            ],
        }


class _Shelf:
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
        self._folder = page.resolve().parent
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
        return quote(self.relative(path))

    def relative(self, path: Path) -> str:
        return Path(os.path.relpath(path.resolve(), self._folder)).as_posix()

    def file(self, label: str, path: Path | None) -> tuple[_File, ...]:
        if path is None:
            return ()
        return (_File(label, self.link(path), self.relative(path)),)


def _media_of(data: ReportData) -> tuple[Path, ...]:
    wanted: list[Path | None] = []
    for clip in data.clips:
        wanted += [clip.overlay] if clip.variants else [clip.input, clip.overlay]
        for variant in clip.variants:
            wanted += [variant.compare or variant.still, variant.overlay, variant.contact_sheet]
            if variant.compare is None:
                wanted += [clip.input, variant.video]
    return tuple(dict.fromkeys(path for path in wanted if path is not None))


def _items(data: ReportData, shelf: _Shelf) -> tuple[_Item, ...]:
    made: list[_Item] = []
    for clip in data.clips:
        for variant in clip.variants or (None,):
            made.append(_item(f"item-{len(made)}", clip, variant, shelf))
    return tuple(made)


def _item(item_id: str, clip: ClipReport, variant: VariantReport | None, shelf: _Shelf) -> _Item:
    counts = variant.label_counts if variant else clip.label_counts
    glimpsed = _glimpse_of(clip, variant)
    sheet = variant.contact_sheet if variant else None
    return _Item(
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


def _views(clip: ClipReport, variant: VariantReport | None, shelf: _Shelf) -> tuple[_View, ...]:
    def video(key: str, label: str, path: Path | None, split: float | None = None) -> tuple[_View, ...]:
        return (_View(key, label, shelf.video(path), _frame_times(path), split),) if path else ()

    if variant is None:
        return video("labels", "Labels", clip.overlay) + video("original", "Original", clip.input)
    labels = video("labels", "Labels", variant.overlay) + video(
        "original-labels", "Original's labels", clip.overlay
    )
    if variant.compare:
        side = video("side", "Side by side", variant.compare)
        return side + video("wipe", "Wipe", variant.compare, variant.split) + labels
    clips = video("variant", "Variant", variant.video) + video("original", "Original", clip.input)
    if variant.still:
        still = _View("still", "Side by side", shelf.picture(variant.still), kind="picture")
        return (still, *clips, *labels)
    return clips + labels


def _files(clip: ClipReport, variant: VariantReport | None, shelf: _Shelf) -> tuple[_File, ...]:
    found = shelf.file("Original", clip.input)
    if variant is not None:
        found += shelf.file("Variant", variant.video)
        found += shelf.file("Side by side", variant.compare or variant.still)
        found += shelf.file("Contact sheet", variant.contact_sheet)
        found += shelf.file("Labels of the variant", variant.labels_dir)
    return found + shelf.file("Labels of the original", clip.labels_dir)


def _groups(items: Sequence[_Item]) -> dict[str, list[_Item]]:
    groups: dict[str, list[_Item]] = {}
    for item in items:
        groups.setdefault(item.clip, []).append(item)
    return groups


def _count_tables(counts: LabelCounts) -> tuple[_CountTable, ...]:
    made = (
        _count_table("tracks", "Tracks", "things followed through the clip", counts.tracks),
        _count_table("detections", "Detections", "boxes over all frames", counts.detections),
    )
    return tuple(table for table in made if table.bars)


def _count_table(key: str, title: str, unit: str, counts: Mapping[str, Count]) -> _CountTable:
    most = max([1, *(n for c in counts.values() for n in (c.original, c.augmented) if n is not None)])
    order = sorted(counts.items(), key=lambda pair: (-max(_or_0(pair[1].original), _or_0(pair[1].augmented)), pair[0]))
    return _CountTable(
        key=key,
        title=title,
        unit=unit,
        bars=tuple(
            _Bar(name, count, _or_0(count.original) / most, _or_0(count.augmented) / most)
            for name, count in order
        ),
        has_original=any(c.original is not None for c in counts.values()),
        has_augmented=any(c.augmented is not None for c in counts.values()),
        total=Count(_sum(c.original for c in counts.values()), _sum(c.augmented for c in counts.values())),
    )


@dataclass(frozen=True)
class _Span:
    stage: StageTiming
    start_share: float
    width_share: float


def _timeline(stages: Sequence[StageTiming]) -> tuple[_Span, ...]:
    whole = _total_seconds(stages) or 1.0
    return tuple(
        _Span(stage, start / whole, stage.seconds / whole)
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


def _total_seconds(stages: Sequence[StageTiming]) -> float:
    starts = _starts(stages)
    return max((s + stage.seconds for s, stage in zip(starts, stages, strict=True)), default=0.0)


# ---- media -----------------------------------------------------------------------------------------


def _frame_times(path: Path) -> dict[str, object] | None:
    """Return when each frame of a video begins, short where the rate is steady; None if it can't be read."""
    try:
        with open_clip(path) as container:
            stream = video_stream(container, path)
            base = stream.time_base or Fraction(1, 1)
            ticks = sorted(p.pts for p in container.demux(stream) if p.pts is not None and p.size)
    except (ClipError, av.FFmpegError):
        return None
    if not ticks:
        return None
    steps = {b - a for a, b in zip(ticks, ticks[1:], strict=False)}
    if len(steps) <= 1:
        step = steps.pop() if steps else 1
        return {"n": len(ticks), "start": float(ticks[0] * base), "step": float(step * base)}
    return {"n": len(ticks), "at": [round(float(tick * base), 6) for tick in ticks]}


def _glimpse_of(clip: ClipReport, variant: VariantReport | None) -> Image.Image | None:
    source = (variant.compare or variant.video) if variant else (clip.overlay or clip.input)
    try:
        return glimpse(source)
    except ClipError:
        return None


def _small_jpeg(image: Image.Image | None, size: tuple[int, int]) -> str:
    if image is None:
        return ""
    small = image.copy()
    small.thumbnail(size)
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return _data_url(content.getvalue(), "image/jpeg")


def _mime(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _data_url(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


# ---- words and numbers -----------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ROOM),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        spoken=_spoken, duration=_duration, signed=_signed, megabytes=_megabytes, percent=_percent, clock=_clock
    )
    return environment


def _script() -> str:
    return (_ROOM / "report.js").read_text("utf-8")


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _spoken(name: str) -> str:
    return str(name).replace("_", " ")


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _signed(number: int) -> str:
    return f"+{number}" if number > 0 else f"\N{MINUS SIGN}{-number}" if number < 0 else "0"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:.1f} MiB"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _in_words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_spoken(str(k))} {_in_words(v)}".strip() for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_in_words(entry) for entry in value)
    return str(value)


def _side_by_side_counts(
    original: Mapping[str, object] | None, augmented: Mapping[str, object] | None, key: str
) -> dict[str, Count]:
    left, right = _counts_in(original, key), _counts_in(augmented, key)
    return {
        name: Count(
            None if original is None else left.get(name, 0), None if augmented is None else right.get(name, 0)
        )
        for name in dict.fromkeys([*left, *right])
    }


def _counts_in(summary: Mapping[str, object] | None, key: str) -> dict[str, int]:
    found = (summary or {}).get(key)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): int(n) for name, n in found.items() if isinstance(n, int)}


def _questions_by_id(document: Mapping[str, object] | None) -> dict[str, Mapping[str, object]]:
    found = (document or {}).get("questions")
    if not isinstance(found, list):
        return {}
    return {str(q.get("id")): q for q in found if isinstance(q, Mapping)}


def _or_0(count: int | None) -> int:
    return count or 0


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
