"""The figures of one labeling job: summary.json, written last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from skill_tools.media.probe import ClipInfo
from skill_tools.workers.labeling.answers import QuestionAnswer
from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.labels import LabelStore
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


def summarise(
    *,
    video: str,
    clip: ClipInfo,
    duration_s: float,
    labels: LabelStore,
    classes: Sequence[int],
    questions: Sequence[QuestionAnswer],
    events: dict[str, int] | None,
    detector: str,
    timings_s: dict[str, float],
    notes: Sequence[str],
) -> Summary:
    """Count it all up."""
    boxes = Counter(label.class_index for label in labels)
    tracks = labels.tracks_per_class()
    status = Counter(question.status for question in questions)
    return Summary(
        video=video,
        frames=labels.frames,
        duration_s=round(duration_s, 6),
        fps=round(float(clip.fps), 6),
        width=clip.width,
        height=clip.height,
        detections={CLASS_NAMES[index]: boxes[index] for index in classes},
        tracks={CLASS_NAMES[index]: tracks[index] for index in classes},
        mcq=McqCounts(answered=status["answered"], not_answered=status["not_answered"]),
        events=events,
        detector=detector,
        timings_s={stage: round(seconds, 3) for stage, seconds in timings_s.items()},
        notes=tuple(notes),
    )
