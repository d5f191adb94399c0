"""One labeling job from its configuration to its files, in order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from skill_tools.errors import InputError
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.workers.labeling.answers import Evidence, McqDocument, answer_bank, windows_of
from skill_tools.workers.labeling.bytetrack import CONFIDENT_SHARE, ByteTracker, TrackerParameters
from skill_tools.workers.labeling.config import LabelingConfig
from skill_tools.workers.labeling.detector import Detector
from skill_tools.workers.labeling.events import EventsDocument, ask_events, load_prompt
from skill_tools.workers.labeling.frames import FrameSpool
from skill_tools.workers.labeling.gauge import Gauge
from skill_tools.workers.labeling.labels import LabelledClip, LabelStore
from skill_tools.workers.labeling.model import Model, TimeLimits
from skill_tools.workers.labeling.nanodet import NanoDet
from skill_tools.workers.labeling.pipeline import Instruments, PassTimes, run_pass
from skill_tools.workers.labeling.questions import QuestionBank, load_bank
from skill_tools.workers.labeling.summary import Performance, Summary, summarise
from skill_tools.workers.labeling.superres import EnlargingDetector
from skill_tools.workers.labeling.visual import VisualAsker
from skill_tools.workers.labeling.weights import find_weights
from skill_tools.workers.labeling.writers import write_coco, write_json, write_mot
from skill_tools.workers.progress import ProgressWriter

NO_ENDPOINT = "no VLM endpoint is configured"
DEFAULT_THREADS = 2
MOST_FROM_ENVIRONMENT = 86_400


@dataclass(frozen=True)
class _Inputs:
    """Everything that is read before anything is written."""

    clip: ClipInfo
    bank: QuestionBank
    prompt: str
    detector: Detector
    output: Path
    notes: tuple[str, ...]


def run_job(config: LabelingConfig, environ: Mapping[str, str]) -> Summary:
    """Label the configured clip; every file appears whole under its name, summary.json last.

    Raises:
        InputError: the clip, the bank, the prompt or the output folder is at fault; nothing was written.
        ArtifactError: the detector's weights are missing or broken.
    """
    timer = _Timer()
    inputs = _read_inputs(config, environ)
    with ExitStack() as stack:
        model = _open_model(config, environ, stack)
        instruments = _instruments(config, inputs.detector, environ, stack, asked=model is not None)
        timer.lap("start")
        times = _pass(config, inputs, instruments, environ)
        timer.lap("pass")
        labelled = LabelledClip(config.video, inputs.clip, config.class_indices, instruments.labels)
        mcq = _answer(config, inputs.bank, labelled, instruments, model)
        timer.lap("mcq")
        events = _tell_events(config, inputs.prompt, labelled, instruments.drawn, model)
        timer.lap("events")
    write_coco(inputs.output / "annotations_coco.json", labelled)
    write_mot(inputs.output / "tracks_mot.txt", labelled)
    write_json(inputs.output / "mcq.json", mcq)
    write_json(inputs.output / "events.json", events)
    timer.lap("write")
    performance = Performance(
        inputs.detector.name,
        timer.laps_s | times.stages_s,
        (*inputs.notes, *_missing_notes(inputs.clip, labelled.labels, times)),
    )
    summary = summarise(labelled, mcq, events, performance)
    write_json(inputs.output / "summary.json", summary)
    return summary


class _Timer:
    """Seconds from lap to lap."""

    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps_s[stage] = now - self._last
        self._last = now


def _read_inputs(config: LabelingConfig, environ: Mapping[str, str]) -> _Inputs:
    clip = probe(Path(config.data.input_video))
    bank = load_bank(config.data.question_bank) if config.mcq.enabled else QuestionBank()
    prompt = load_prompt(config.data.event_prompt) if config.events.enabled else ""
    detector: Detector = NanoDet(
        find_weights(config.models.cache_dir, environ),
        classes=config.class_indices,
        threshold=config.detection.threshold,
    )
    notes: tuple[str, ...] = ()
    if config.super_resolution.enabled:
        enlarging = EnlargingDetector(detector, config.super_resolution)
        detector, notes = enlarging, (enlarging.note,)
    return _Inputs(clip, bank, prompt, detector, _output_folder(config.data.output_dir), notes)


def _open_model(config: LabelingConfig, environ: Mapping[str, str], stack: ExitStack) -> Model | None:
    if not config.endpoints.vlm.url:
        return None
    from skill_tools.workers.labeling.endpoint import VisionModel

    limits = TimeLimits(request_s=_positive(environ, "VDA_VLM_TIMEOUT_S", TimeLimits.request_s))
    return stack.enter_context(VisionModel(config.endpoints.vlm, environ=environ, limits=limits))


def _instruments(
    config: LabelingConfig,
    detector: Detector,
    environ: Mapping[str, str],
    stack: ExitStack,
    *,
    asked: bool,
) -> Instruments:
    """Set up the pass; pictures are kept only if a model will be asked about them."""
    threshold = config.detection.threshold
    tracker = ByteTracker(
        TrackerParameters(
            confident_score=threshold + CONFIDENT_SHARE * (1 - threshold),
            min_iou=config.tracking.iou,
            min_hits=config.tracking.min_hits,
            max_age=config.tracking.max_age,
        )
    )
    plain = FrameSpool(config.mcq.fps) if asked and config.mcq.enabled else None
    drawn = FrameSpool(config.events.fps) if asked and config.events.enabled else None
    return Instruments(
        detector=detector,
        threads=int(_positive(environ, "VDA_THREADS", DEFAULT_THREADS)),
        tracker=tracker,
        labels=LabelStore(min_track_frames=config.tracking.min_track_frames),
        gauge=Gauge(),
        plain=stack.enter_context(plain) if plain else None,
        drawn=stack.enter_context(drawn) if drawn else None,
    )


def _pass(
    config: LabelingConfig, inputs: _Inputs, instruments: Instruments, environ: Mapping[str, str]
) -> PassTimes:
    progress = ProgressWriter(f"labeling {config.video}", inputs.clip.frames, environ=environ)
    times = run_pass(
        inputs.clip,
        instruments,
        overlay=inputs.output / "overlay.mp4",
        patience=2 * config.tracking.min_track_frames,
        progress=progress,
    )
    progress.finish()
    return times


def _answer(
    config: LabelingConfig,
    bank: QuestionBank,
    labelled: LabelledClip,
    instruments: Instruments,
    model: Model | None,
) -> McqDocument:
    fps, window_frames = config.mcq.fps, config.mcq.window_frames
    asker = VisualAsker(model, instruments.plain) if model and instruments.plain else NO_ENDPOINT
    evidence = Evidence(
        labelled=labelled,
        windows=windows_of(labelled.duration_s, fps=fps, window_frames=window_frames),
        samples=instruments.gauge.samples,
        asker=asker,
    )
    answers = answer_bank(bank, evidence)
    return McqDocument(video=config.video, fps=fps, window_frames=window_frames, questions=answers)


def _tell_events(
    config: LabelingConfig,
    prompt: str,
    labelled: LabelledClip,
    drawn: FrameSpool | None,
    model: Model | None,
) -> EventsDocument:
    if model and drawn:
        duration_s = labelled.duration_s
        return ask_events(model, drawn, prompt=prompt, video=config.video, duration_s=duration_s)
    reason = NO_ENDPOINT if config.events.enabled else "events are switched off in the configuration"
    return EventsDocument(video=config.video, status="not_answered", reason=reason)


def _missing_notes(clip: ClipInfo, labels: LabelStore, times: PassTimes) -> tuple[str, ...]:
    """Say what of the clip couldn't be labelled because it couldn't be decoded."""
    notes = []
    if skipped := times.skipped_packets:
        first = skipped[0]
        notes.append(
            f"{len(skipped)} packet(s) could not be decoded and were passed over; the first: {first}"
        )
    if clip.frames and labels.frames < clip.frames:
        notes.append(f"the clip announces {clip.frames} frames; {labels.frames} could be decoded")
    return tuple(notes)


def _output_folder(path: str) -> Path:
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(
            f"{folder} can't be the output folder: {problem.strerror}",
            expected="a folder that exists or can be made",
            remedy="correct data.output_dir",
            code="input.output_dir",
        ) from problem
    return folder


def _positive(environ: Mapping[str, str], name: str, default: float) -> float:
    """Read a positive number from the environment; anything else is as good as nothing."""
    try:
        given = float(environ.get(name, ""))
    except ValueError:
        return default
    return given if 1 <= given < MOST_FROM_ENVIRONMENT else default
