"""The figures of one labeling job: summary.json, written last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from skill_tools.workers.labeling.answers import McqDocument
from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.events import EventsDocument
from skill_tools.workers.labeling.labels import LabelledClip
from skill_tools.workers.labeling.writers import VERSION


class McqCounts(BaseModel):
    """How many questions were answered; questions whose condition doesn't hold count as neither."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answered: int
    not_answered: int


class Summary(BaseModel):
    """What summary.json holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = VERSION
    video: str
    frames: int
    duration_s: float
    fps: float
    width: int
    height: int
    detections: dict[str, int]
    """Labelled boxes by class, every configured class named."""
    tracks: dict[str, int]
    mcq: McqCounts
    events: dict[str, int] | None
    """Events by category; none when there was no answer."""
    detector: str
    timings_s: dict[str, float]
    """Seconds of each stage; those of the pass overlap."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Performance:
    """How the labels were made."""

    detector: str
    timings_s: Mapping[str, float]
    notes: Sequence[str] = ()


def summarise(
    labelled: LabelledClip, mcq: McqDocument, events: EventsDocument, performance: Performance
) -> Summary:
    """Count it all up."""
    clip, labels = labelled.clip, labelled.labels
    boxes = Counter(label.class_index for label in labels)
    tracks = labels.tracks_per_class()
    status = Counter(question.status for question in mcq.questions)
    return Summary(
        video=labelled.video,
        frames=labels.frames,
        duration_s=round(labelled.duration_s, 6),
        fps=round(float(clip.fps), 6),
        width=clip.width,
        height=clip.height,
        detections={CLASS_NAMES[index]: boxes[index] for index in labelled.classes},
        tracks={CLASS_NAMES[index]: tracks[index] for index in labelled.classes},
        mcq=McqCounts(answered=status["answered"], not_answered=status["not_answered"]),
        events=events.per_category,
        detector=performance.detector,
        timings_s={stage: round(seconds, 3) for stage, seconds in performance.timings_s.items()},
        notes=tuple(performance.notes),
    )
