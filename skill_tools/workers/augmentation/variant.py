"""Make one variant of one clip: render, evaluate, render weaker if need be, and write down what was done."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skill_tools.errors import EngineError, InputError
from skill_tools.media.atomic import whole_file
from skill_tools.media.probe import ClipInfo, probe
from skill_tools.workers.augmentation.config import Config
from skill_tools.workers.augmentation.effects import chain_for
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.pipeline import Job, Rendered, render
from skill_tools.workers.augmentation.planes import Levels
from skill_tools.workers.augmentation.vocabulary import Wish, wish_for
from skill_tools.workers.progress import ProgressWriter

VERSION = "1.0"
VIDEO_NAME = "augmented_video.mp4"
METADATA_NAME = "metadata.json"

_WEAKER = 0.7


@dataclass(frozen=True)
class Made:
    """The attempt that was kept."""

    wish: Wish
    attempts: int
    rendered: Rendered
    evaluation: Evaluation

    @property
    def already(self) -> frozenset[str]:
        """Variables whose value the source shows already, in every scene: there is little to verify."""
        return frozenset.intersection(frozenset(self.wish.values), *(c.already for c in self.rendered.chains))


def make_variant(config: Config) -> Path:
    """Write `augmented_video.mp4` and `metadata.json` into the output folder; return the folder.

    A variant that fails a check is made again with strengths at 70 %, up to `pipeline.retry` times;
    what then still fails is delivered and says so in the metadata's notes.

    Raises:
        InputError: the clip, a variable or a value isn't usable; nothing is written.
        EngineError: the output can't be written.
    """
    started = time.perf_counter()
    if not config.data.input_video or not config.data.output_dir:
        raise InputError(
            "data.input_video and data.output_dir must be given.",
            expected="data.input_video=CLIP data.output_dir=FOLDER",
            remedy="Give both on the command line or in the configuration.",
            code="input.config_value",
        )
    source = probe(Path(config.data.input_video))
    name = config.data.video_name or source.path.stem
    request = config.augmentation
    wish = wish_for(
        request.sampled_vars, fixed=request.strength, seed=request.seed, name=f"{name}_aug{request.aug_idx}"
    )
    folder = Path(config.data.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _attempts(config, source, wish, folder / VIDEO_NAME, name)
        metadata = _metadata(config, source, name, made)
        metadata["timings_s"]["whole"] = round(time.perf_counter() - started, 3)
        with whole_file(folder / METADATA_NAME) as part:
            part.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise EngineError(
            f"Writing to {folder} failed: {error}.",
            expected="a folder that can be written to, with room for the variant",
            remedy="Free some space or choose another data.output_dir.",
            code="engine.output",
        ) from error
    return folder


def _attempts(config: Config, source: ClipInfo, wish: Wish, target: Path, name: str) -> Made:
    levels = Levels(source.colour.full_range, source.colour.matrix_for(source.height))
    request = config.augmentation
    for attempt in range(1, config.pipeline.retry + 2):
        progress = ProgressWriter(_note(name, request.aug_idx, wish, attempt), _frames(source))
        evaluation = Evaluation(config.evaluators.hallucination_check, levels, wish.values)
        job = Job(
            target=target,
            output=config.output,
            chain_for=partial(chain_for, wish, seed=request.seed, name=f"{name}_aug{request.aug_idx}"),
            evaluation=evaluation,
            advance=progress.advance,
        )
        [rendered] = render(source, levels, [job])
        progress.finish()
        made = Made(wish, attempt, rendered, evaluation)
        if not _failures(config, made):
            break
        wish = wish.weaker(_WEAKER)
    return made


def _failures(config: Config, made: Made) -> list[str]:
    failures = []
    edges = made.evaluation.edges()
    if edges is not None and not edges.passed:
        failures.append(
            f"The hallucination check failed: {edges.score:.3f} of the variant's edges are the source's,"
            f" {edges.threshold:.3f} were to be."
        )
    if config.evaluators.attribute_verification.enabled:
        failures += [
            f"The attribute verification failed: {variable}={verdict.value} can't be measured in the variant."
            for variable, verdict in made.evaluation.attributes().items()
            if not verdict.passed and variable not in made.already
        ]
    return failures


def _metadata(config: Config, source: ClipInfo, name: str, made: Made) -> dict[str, Any]:
    wish, rendered = made.wish, made.rendered
    output = probe(Path(config.data.output_dir) / VIDEO_NAME)
    timings = {part: round(seconds, 3) for part, seconds in sorted(rendered.timings_s.items())}
    effect_notes = dict.fromkeys(note for chain in rendered.chains for note in chain.notes)
    return {
        "version": VERSION,
        "video": f"{name}.mp4",
        "aug_idx": config.augmentation.aug_idx,
        "sampled_vars": config.augmentation.sampled_vars,
        "seed": config.augmentation.seed,
        "rendered_vars": dict(wish.values),
        "strengths": {variable: round(value, 4) for variable, value in wish.strengths.items()},
        "parameters": _rounded(rendered.chains[0].parameters) if rendered.chains else {},
        "notes": [
            *wish.notes,
            *effect_notes,
            *rendered.notes,
            *_notes_on(source, rendered),
            *_failures(config, made),
        ],
        "source": _described(source, rendered.frames),
        "output": _described(output, rendered.frames),
        "scenes": [
            {
                "still": scene.still,
                "falling": scene.falling,
                "ground_trust": round(scene.geometry.trust, 3),
                "horizon": round(scene.geometry.horizon, 3),
                "light": _rounded(asdict(scene.light)),
            }
            for scene in rendered.scenes
        ],
        "evaluators": _evaluators(config, made),
        "attempts": made.attempts,
        "timings_s": timings,
        "peak_memory_mb": _peak_memory_mb(),
        "fps": round(rendered.frames / max(rendered.timings_s["total"], 1e-6), 2),
    }


def _notes_on(source: ClipInfo, rendered: Rendered) -> list[str]:
    """Return what has to be said of the source, in whole sentences."""
    notes = []
    if rendered.skipped:
        broken, first = len(rendered.skipped), rendered.skipped[0]
        notes.append(f"{broken} broken packet{'s'[: broken > 1]} decoded around; the first: {first}.")
    if source.interlaced:
        notes.append("The source is interlaced: its fields were woven apart, a frame for a frame.")
    return notes


def _evaluators(config: Config, made: Made) -> dict[str, Any]:
    found: dict[str, Any] = {}
    edges = made.evaluation.edges()
    if edges is not None:
        found["hallucination_check"] = {**asdict(edges), "passed": edges.passed}
    if config.evaluators.attribute_verification.enabled:
        verdicts = made.evaluation.attributes()
        found["attribute_verification"] = {
            "passed": all(one.passed or variable in made.already for variable, one in verdicts.items()),
            **({"already_in_the_source": sorted(made.already)} if made.already else {}),
            "values": {variable: asdict(verdict) for variable, verdict in verdicts.items()},
        }
    return found


def _described(info: ClipInfo, frames: int) -> dict[str, Any]:
    return {
        "width": info.width,
        "height": info.height,
        "fps": str(info.fps),
        "frames": info.frames or frames,
        "duration_s": round(info.duration_s, 4),
        "codec": info.codec,
    }


def _frames(source: ClipInfo) -> int | None:
    return source.frames or (round(source.duration_s * source.fps) or None)


def _note(name: str, aug_idx: int, wish: Wish, attempt: int) -> str:
    again = f", attempt {attempt}" if attempt > 1 else ""
    return f"{name}_aug{aug_idx} ({', '.join(wish.values.values()) or 'as it is'}{again})"


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _rounded(value) if isinstance(value, Mapping) else round(float(value), 4)
        for key, value in figures.items()
    }


def _peak_memory_mb() -> float:
    """Return the most memory that this process has held.

    Linux's `ru_maxrss` would count what the parent held when it started this process, so there the
    process's own status is read; `ru_maxrss` is in KiB, on macOS in bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
