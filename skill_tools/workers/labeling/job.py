"""One labeling job from its configuration to its files, in order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from skill_tools.errors import InputError
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.workers.labeling.answers import (
    Evidence,
    McqDocument,
    QuestionAnswer,
    answer_bank,
    windows_of,
)
from skill_tools.workers.labeling.bytetrack import CONFIDENT_SHARE, ByteTracker, TrackerParameters
from skill_tools.workers.labeling.config import LabelingConfig
from skill_tools.workers.labeling.detector import Detector
from skill_tools.workers.labeling.endpoint import TimeLimits, VisionModel
from skill_tools.workers.labeling.events import EventsDocument, ask_events, load_prompt
from skill_tools.workers.labeling.frames import FrameSpool
from skill_tools.workers.labeling.labels import LabelStore
from skill_tools.workers.labeling.measure import Gauge
from skill_tools.workers.labeling.nanodet import NanoDet
from skill_tools.workers.labeling.pipeline import Instruments, PassTimes, run_pass
from skill_tools.workers.labeling.questions import QuestionBank, load_bank
from skill_tools.workers.labeling.summary import Summary, summarise
from skill_tools.workers.labeling.superres import EnlargingDetector
from skill_tools.workers.labeling.visual import VisualAsker
from skill_tools.workers.labeling.weights import find_weights
from skill_tools.workers.labeling.writers import write_coco, write_json, write_mot
from skill_tools.workers.progress import ProgressWriter

NO_ENDPOINT = "no VLM endpoint is configured"
DEFAULT_THREADS = 2


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
    started = time.perf_counter()
    inputs = _read_inputs(config, environ)
    with ExitStack() as stack:
        model = _open_model(config, environ, stack)
        instruments = Instruments(
            labels=LabelStore(min_track_frames=config.tracking.min_track_frames),
            gauge=Gauge(config.mcq.fps),
            plain=stack.enter_context(FrameSpool(config.mcq.fps)) if model and config.mcq.enabled else None,
            drawn=stack.enter_context(FrameSpool(config.events.fps))
            if model and config.events.enabled
            else None,
        )
        times = _pass(config, inputs, instruments, environ)
        labelled = time.perf_counter()
        duration_s = _duration_s(inputs.clip, instruments.labels)
        answers = _answer(config, inputs.bank, instruments, model, duration_s)
        answered = time.perf_counter()
        events = _tell_events(config, inputs.prompt, instruments, model, duration_s)
        told = time.perf_counter()
    return _write(
        config,
        inputs,
        instruments.labels,
        answers,
        events,
        duration_s=duration_s,
        notes=(*inputs.notes, *_skipped_note(times)),
        timings_s={
            "start": labelled - started - times.total,
            "detect": times.detect,
            "track": times.track,
            "measure": times.measure,
            "draw_and_encode": times.draw_and_encode,
            "pass": times.total,
            "mcq": answered - labelled,
            "events": told - answered,
        },
    )


def _read_inputs(config: LabelingConfig, environ: Mapping[str, str]) -> _Inputs:
    clip = probe(Path(config.data.input_video))
    bank = load_bank(config.data.question_bank) if config.mcq.enabled else QuestionBank()
    prompt = load_prompt(config.data.event_prompt) if config.events.enabled else ""
    detector: Detector = NanoDet(
        find_weights(config.models.cache_dir, environ),
        classes=config.class_indices,
        threshold=config.detection.threshold,
        threads=_threads(environ),
    )
    notes: tuple[str, ...] = ()
    if config.super_resolution.enabled:
        enlarging = EnlargingDetector(detector, config.super_resolution)
        detector, notes = enlarging, (enlarging.note,)
    return _Inputs(clip, bank, prompt, detector, _output_folder(config.data.output_dir), notes)


def _pass(
    config: LabelingConfig, inputs: _Inputs, instruments: Instruments, environ: Mapping[str, str]
) -> PassTimes:
    threshold = config.detection.threshold
    tracker = ByteTracker(
        TrackerParameters(
            confident_score=threshold + CONFIDENT_SHARE * (1 - threshold),
            min_iou=config.tracking.iou,
            min_hits=config.tracking.min_hits,
            max_age=config.tracking.max_age,
        )
    )
    progress = ProgressWriter(f"labeling {config.video}", inputs.clip.frames, environ=environ)
    times = run_pass(
        inputs.clip,
        detector=inputs.detector,
        tracker=tracker,
        instruments=instruments,
        overlay=inputs.output / "overlay.mp4",
        patience=2 * config.tracking.min_track_frames,
        progress=progress,
    )
    progress.finish()
    return times


def _open_model(config: LabelingConfig, environ: Mapping[str, str], stack: ExitStack) -> VisionModel | None:
    if not config.endpoints.vlm.url:
        return None
    limits = TimeLimits(request_s=_seconds(environ, "VDA_VLM_TIMEOUT_S", TimeLimits.request_s))
    return stack.enter_context(VisionModel(config.endpoints.vlm, environ=environ, limits=limits))


def _answer(
    config: LabelingConfig,
    bank: QuestionBank,
    instruments: Instruments,
    model: VisionModel | None,
    duration_s: float,
) -> tuple[QuestionAnswer, ...]:
    asker = VisualAsker(model, instruments.plain) if model and instruments.plain is not None else NO_ENDPOINT
    evidence = Evidence(
        windows=windows_of(duration_s, fps=config.mcq.fps, window_frames=config.mcq.window_frames),
        labels=instruments.labels,
        classes=config.class_indices,
        samples=instruments.gauge.samples,
        asker=asker,
    )
    return answer_bank(bank, evidence)


def _tell_events(
    config: LabelingConfig,
    prompt: str,
    instruments: Instruments,
    model: VisionModel | None,
    duration_s: float,
) -> EventsDocument:
    if not config.events.enabled:
        return EventsDocument(
            video=config.video, status="not_answered", reason="events are switched off in the configuration"
        )
    if model is None or instruments.drawn is None:
        return EventsDocument(video=config.video, status="not_answered", reason=NO_ENDPOINT)
    return ask_events(model, instruments.drawn, prompt=prompt, video=config.video, duration_s=duration_s)


def _write(
    config: LabelingConfig,
    inputs: _Inputs,
    labels: LabelStore,
    answers: tuple[QuestionAnswer, ...],
    events: EventsDocument,
    *,
    duration_s: float,
    notes: tuple[str, ...],
    timings_s: dict[str, float],
) -> Summary:
    began = time.perf_counter()
    output, classes = inputs.output, config.class_indices
    write_coco(
        output / "annotations_coco.json", labels, video=config.video, clip=inputs.clip, classes=classes
    )
    write_mot(output / "tracks_mot.txt", labels)
    write_json(
        output / "mcq.json",
        McqDocument(
            video=config.video,
            fps=config.mcq.fps,
            window_frames=config.mcq.window_frames,
            questions=answers,
        ),
    )
    write_json(output / "events.json", events)
    timings_s["write"] = time.perf_counter() - began
    summary = summarise(
        video=config.video,
        clip=inputs.clip,
        duration_s=duration_s,
        labels=labels,
        classes=classes,
        questions=answers,
        events=events.per_category,
        detector=inputs.detector.name,
        timings_s=timings_s,
        notes=notes,
    )
    write_json(output / "summary.json", summary)
    return summary


def _duration_s(clip: ClipInfo, labels: LabelStore) -> float:
    """Give the time from the clip's start to the end of its last frame."""
    return labels.timestamps_s[-1] + float(1 / clip.fps)


def _skipped_note(times: PassTimes) -> tuple[str, ...]:
    skipped = times.skipped_packets
    if not skipped:
        return ()
    return (f"{len(skipped)} packet(s) could not be decoded and were passed over; the first: {skipped[0]}",)


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


def _threads(environ: Mapping[str, str]) -> int:
    given = environ.get("VDA_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else DEFAULT_THREADS


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        given = float(environ.get(name, ""))
    except ValueError:
        return default
    return given if given > 0 else default
