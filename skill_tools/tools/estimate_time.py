"""Say how long a run will take, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skill_tools.flows.catalog import FLOWS, PHASE_MINUTES
from skill_tools.journal import Journal, RunRecord
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import GoOn, Line, Name, RunId

MEGA = 1e6
# Megapixels a second of a 2-core machine without a GPU, until this machine's own runs are known.
AUGMENT_MPX_S = 18.0
LABEL_MPX_S = 8.0
RENDER_MPX_S = 25.0
START_S = 4.0
# An estimate is a range: what the machine did before, give or take its other work.
LOW, HIGH = 0.7, 1.6


class EstimateTimeInput(Closed):
    """The run to estimate."""

    run_id: RunId
    go_on: GoOn = False


class Phase(Closed):
    """One phase and its range in seconds."""

    name: Name
    min_s: float
    max_s: float


class EstimateTimeOutput(Closed):
    """The time overview."""

    run_id: RunId
    cold: bool
    phases: list[Phase]
    min_s: float
    max_s: float
    bullets: list[Line]


@dataclass(frozen=True)
class Speeds:
    """Megapixels a second by kind of work, and where the figures are from."""

    augment: float = AUGMENT_MPX_S
    label: float = LABEL_MPX_S
    measured: bool = False


def estimate_time(given: EstimateTimeInput, context: Context) -> Outcome[EstimateTimeOutput]:
    """Add up the phases of the run's flow on its engine."""
    run = context.journal.run(given.run_id)
    cold = not _ran_before(context.journal, run)
    phases, source = (
        _local_phases(run, context.journal) if run.engine == "local" else _osmo_phases(run, cold=cold)
    )
    low, high = sum(phase.min_s for phase in phases), sum(phase.max_s for phase in phases)
    bullets = _bullets(run, phases, source, cold=cold)
    data = EstimateTimeOutput(
        run_id=run.run_id, cold=cold, phases=phases, min_s=low, max_s=high, bullets=bullets
    )
    text = "Time overview\n" + "\n".join(f"- {bullet}" for bullet in bullets)
    step = NextStep(tool="preflight", arguments={"run_id": run.run_id}, why="checks that the run can start")
    return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])


def _ran_before(journal: Journal, run: RunRecord) -> bool:
    """Tell whether a run on this engine was completed here before, so that its caches are full."""
    return any(
        other.engine == run.engine and journal.passed(other.run_id, "report") is not None
        for other in journal.runs()
    )


def _osmo_phases(run: RunRecord, *, cold: bool) -> tuple[list[Phase], str]:
    flow = FLOWS[run.flow]
    needed = {"NIM deploy and warm-up": cold, "demo assets": run.demo, "model cache": cold}
    minutes = {name: span for name, span in PHASE_MINUTES.items() if needed.get(name, True)}
    minutes[f"{flow.name} on the cluster"] = flow.run_minutes
    phases = [Phase(name=name, min_s=low * 60, max_s=high * 60) for name, (low, high) in minutes.items()]
    return phases, "a cluster's usual durations"


def _local_phases(run: RunRecord, journal: Journal) -> tuple[list[Phase], str]:
    flow, speeds = FLOWS[run.flow], measured_speeds(journal)
    source_mpx = sum(megapixels(probe(Path(clip))) for clip in run.clips)
    variants_mpx = source_mpx * run.n_augmentations
    seconds = {"preflight, data set and guard": START_S}
    if flow.labels_originals:
        seconds["labels of the originals"] = source_mpx / speeds.label + START_S
    if flow.has_augmentation:
        seconds["variants"] = variants_mpx / speeds.augment + START_S
        seconds["labels of the variants"] = variants_mpx / speeds.label + START_S
        seconds["staging, side by sides, report"] = variants_mpx / RENDER_MPX_S + START_S
    else:
        seconds["staging, report"] = START_S
    phases = [
        Phase(name=name, min_s=round(value * LOW, 1), max_s=round(value * HIGH, 1))
        for name, value in seconds.items()
    ]
    return (
        phases,
        "this machine's own runs" if speeds.measured else "a 2-core machine; yours is not measured yet",
    )


def megapixels(clip: ClipInfo) -> float:
    """Return a clip's frames times its size, in megapixels."""
    frames = clip.frames or round(clip.duration_s * float(clip.fps))
    return frames * clip.width * clip.height / MEGA


def measured_speeds(journal: Journal) -> Speeds:
    """Return what this machine did in the newest completed run of this workspace."""
    for run in journal.runs(limit=20):
        report = journal.passed(run.run_id, "report") if run.engine == "local" else None
        speeds = report.data.get("speeds_mpx_s") if report else None
        if isinstance(speeds, dict) and speeds:
            return Speeds(
                _positive(speeds.get("augment"), AUGMENT_MPX_S),
                _positive(speeds.get("label"), LABEL_MPX_S),
                measured=True,
            )
    return Speeds()


def _positive(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else otherwise


def _bullets(run: RunRecord, phases: list[Phase], source: str, *, cold: bool) -> list[str]:
    longest = sorted(phases, key=lambda phase: phase.max_s, reverse=True)[:3]
    low, high = sum(phase.min_s for phase in phases), sum(phase.max_s for phase in phases)
    start = "Cold start: nothing is cached yet." if cold else "Warm start: an earlier run filled the caches."
    return [
        start,
        *(f"{phase.name}: {spoken_range(phase.min_s, phase.max_s)}" for phase in longest),
        f"In all {spoken_range(low, high)} for {run.flow} on the {run.engine} engine, judged from {source}.",
    ]


def spoken_range(low_s: float, high_s: float) -> str:
    """Return a range of seconds in words that people use."""
    if high_s < 90:  # noqa: PLR2004 - below a minute and a half people speak of seconds
        return f"{low_s:.0f}–{high_s:.0f} s"
    return f"{low_s / 60:.0f}–{high_s / 60:.0f} min"


ESTIMATE_TIME = Tool(
    name="estimate_time",
    summary="Give the run's time overview: cold or warm, the phases with their durations, the total.",
    input_model=EstimateTimeInput,
    output_model=EstimateTimeOutput,
    effects=Effects(read_only=True, open_world=False),
    steps=estimate_time,
    guards=("SECRET-SILENT",),
)
