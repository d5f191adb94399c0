"""The facts that a report shows, and how they are read from the files of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skill_tools.media.found_again import FoundAgain


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
        shown = {"passed", "score", "threshold", "reason", "detail", "values"}
        rest = _in_words({k: v for k, v in body.items() if k not in shown})
        judged = _judged_values(body.get("values"))
        return cls(
            name=name,
            passed=passed if isinstance(passed, bool) else None,
            score=_number(body.get("score")),
            threshold=_number(body.get("threshold")),
            detail=str(said) if said else " ".join(part for part in (judged, rest) if part),
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
    found_again: FoundAgain | None = None
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


def spoken(name: str) -> str:
    """Return a `snake_case` name as words."""
    return str(name).replace("_", " ")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _judged_values(values: object) -> str:
    """Say of each value whether the clip shows it, and from which figures: a sentence a value."""
    if not isinstance(values, Mapping):
        return ""
    sentences = []
    for variable, body in values.items():
        found = body if isinstance(body, Mapping) else {}
        verdict = "shows" if found.get("passed") else "does not show"
        if found.get("judged") is False:
            verdict = "can't be judged"
        figures = _in_words(found.get("measured") or {})
        name = f"{spoken(str(variable))} {spoken(str(found.get('value', '')))}"
        sentences.append(f"{name} {verdict}{f' ({figures})' if figures else ''}.")
    return " ".join(sentences)


def _in_words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{spoken(str(k))} {_in_words(v)}".strip() for k, v in value.items())
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
