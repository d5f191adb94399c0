"""One page that shows a run: the side by side, the figures, the decisions; a file of its own.

`write_report` takes closed facts and makes one HTML file that asks the network for nothing. Media up to
`EMBED_LIMIT_BYTES` together travel inside the page; more than that stays beside it, linked by relative
path, and the page says which.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from skill_tools.media.atomic import whole_file
from skill_tools.media.report_data import (
    Answer,
    ClipReport,
    Count,
    DecisionEntry,
    Evaluator,
    LabelCounts,
    Question,
    ReportData,
    StageTiming,
    VariantReport,
    spoken,
)
from skill_tools.media.report_page import (
    EMBED_LIMIT_BYTES,
    Shelf,
    groups,
    items,
    media_of,
    timeline,
    total_seconds,
)

__all__ = [
    "EMBED_LIMIT_BYTES",
    "Answer",
    "ClipReport",
    "Count",
    "DecisionEntry",
    "Evaluator",
    "LabelCounts",
    "Question",
    "ReportData",
    "StageTiming",
    "VariantReport",
    "headline",
    "write_report",
]

_ROOM = Path(__file__).parent


def write_report(data: ReportData, target: Path) -> None:
    """Write the page of a run to `target`, at once: a reader never sees half of it.

    Raises:
        ArtifactError: A file that the page must show is missing; `target` is left as it was.
    """
    shelf = Shelf(page=target, files=media_of(data))
    panels = items(data, shelf)
    script = (_ROOM / "report.js").read_text("utf-8")
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=data,
            headline=headline(data),
            items=panels,
            groups=groups(panels),
            timeline=timeline(data.stages),
            total_s=total_seconds(data.stages),
            shelf=shelf,
            script=script,
            script_hash=_csp_hash(script),
            style=(_ROOM / "report.css").read_text("utf-8"),
            player=[item.for_player() for item in panels],
        )
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part:
        part.write_bytes(page.encode("utf-8", "replace"))


def headline(data: ReportData) -> str:
    """Say in one sentence what the run made."""
    variants = [variant for clip in data.clips for variant in clip.variants]
    labelled = any(v.label_counts for v in variants) or any(c.label_counts for c in data.clips)
    one_clip = data.clips[0].video if len(data.clips) == 1 else ""
    clips = one_clip or f"{len(data.clips)} clips"
    if not variants:
        return f"{clips}, labelled." if labelled else f"{clips}."
    labels = ", with labels" if labelled else ""
    beside = all(v.compare or v.still for v in variants)
    if len(variants) > 1:
        shown = ", each beside its original" if beside else ""
        return f"{len(variants)} variants of {clips}{shown}{labels}."
    values = ", ".join(spoken(value) for value in variants[0].sampled_vars.values())
    sampled = f" ({values})" if values else ""
    return f"One variant of {clips}{sampled}{', beside its original' if beside else ''}{labels}."


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ROOM),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        spoken=spoken,
        duration=_duration,
        signed=_signed,
        size=_size,
        percent=_percent,
        clock=_clock,
    )
    return environment


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _signed(number: int) -> str:
    return f"+{number}" if number > 0 else f"\N{MINUS SIGN}{-number}" if number < 0 else "0"


def _size(size_bytes: int) -> str:
    kib = size_bytes / 1024
    return f"{kib / 1024:.1f} MiB" if kib >= 1000 else f"{kib:.0f} KiB"  # noqa: PLR2004 - three digits


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
