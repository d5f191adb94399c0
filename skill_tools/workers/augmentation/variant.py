"""Make variants of one clip: render, evaluate, render weaker if need be, and write down what was done."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from skill_tools.errors import EngineError, InputError
from skill_tools.media.atomic import whole_file
from skill_tools.media.probe import ClipHeader, ClipInfo, probe, read_header
from skill_tools.workers.augmentation.config import Config
from skill_tools.workers.augmentation.decoded import Reading
from skill_tools.workers.augmentation.effects import chain_for, draw_ahead
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.pipeline import Job, Rendered, decoder_threads, render
from skill_tools.workers.augmentation.planes import Levels
from skill_tools.workers.augmentation.vocabulary import Wish, wish_for
from skill_tools.workers.progress import ProgressWriter

VERSION = "1.0"
VIDEO_NAME = "augmented_video.mp4"
METADATA_NAME = "metadata.json"

_WEAKER = 0.7
_MOST_AT_ONCE = 3
_ENCODED_PIXELS = 3_000_000


@dataclass(frozen=True)
class Order:
    """One variant that was asked for: of which configuration, and what it has to show at this attempt."""

    config: Config
    name: str
    """The clip's, on which random choices hang."""
    wish: Wish
    attempt: int = 1

    @classmethod
    def of(cls, config: Config, source: ClipInfo) -> Self:
        """Return the order for a first attempt.

        Raises:
            InputError: a variable or a value isn't known.
        """
        name = config.data.video_name or source.path.stem
        request = config.augmentation
        wish = wish_for(
            request.sampled_vars,
            fixed=request.strength,
            seed=request.seed,
            name=f"{name}_aug{request.aug_idx}",
        )
        return cls(config, name, wish)

    @property
    def folder(self) -> Path:
        """Where the variant goes."""
        return Path(self.config.data.output_dir)

    @property
    def variant(self) -> str:
        """The variant's name."""
        return f"{self.name}_aug{self.config.augmentation.aug_idx}"

    @property
    def is_last(self) -> bool:
        """Whether there is no attempt after this one."""
        return self.attempt > self.config.pipeline.retry

    def weaker(self) -> Order:
        """Return the order for the next attempt."""
        return replace(self, wish=self.wish.weaker(_WEAKER), attempt=self.attempt + 1)


@dataclass(frozen=True)
class Made:
    """The attempt that was kept."""

    order: Order
    rendered: Rendered
    evaluation: Evaluation

    @property
    def already(self) -> frozenset[str]:
        """Variables whose value the source shows already, in every scene: there is little to verify."""
        asked = frozenset(self.order.wish.values)
        return frozenset.intersection(asked, *(scene.already for scene in self.rendered.scenes))


def make_variants(configs: Sequence[Config]) -> list[Path]:
    """Write `augmented_video.mp4` and `metadata.json` of variants of one clip; return their folders.

    The variants share the decoding of the clip and the understanding of its scenes, as many at a time as
    memory allows. One that fails a check is made again with strengths at 70 %, up to `pipeline.retry`
    times; what then still fails is delivered and says so in the metadata's notes.

    Raises:
        InputError: the clip, a variable or a value isn't usable, or there are several clips; nothing is
            written.
        EngineError: the output can't be written.
    """
    started = time.perf_counter()
    clip = _clip_of(configs)
    with ThreadPoolExecutor(1) as beside:
        begun = beside.submit(_opened, clip)
        source = probe(clip)
    reading = begun.result()
    orders = [Order.of(config, source) for config in configs]
    try:
        for order in orders:
            order.folder.mkdir(parents=True, exist_ok=True)
        while orders:
            batch, orders = orders[: _at_once(source)], orders[_at_once(source) :]
            for made in _rendered(reading, source, batch):
                if _failures(made) and not made.order.is_last:
                    orders.append(made.order.weaker())
                else:
                    _write_metadata(source, made, started)
            if orders:
                reading = _opened(clip)
    except OSError as error:
        raise EngineError(
            f"Writing to {configs[0].data.output_dir} failed: {error}.",
            expected="a folder that can be written to, with room for the variant",
            remedy="Free some space or choose another data.output_dir.",
            code="engine.output",
        ) from error
    return [Path(config.data.output_dir) for config in configs]


def _opened(clip: Path) -> Reading:
    return Reading(clip, threads=decoder_threads())


def _clip_of(configs: Sequence[Config]) -> Path:
    if not all(config.data.input_video and config.data.output_dir for config in configs):
        raise InputError(
            "data.input_video and data.output_dir must be given.",
            expected="data.input_video=CLIP data.output_dir=FOLDER",
            remedy="Give both on the command line or in the configuration.",
            code="input.config_value",
        )
    clips = list(dict.fromkeys(config.data.input_video for config in configs))
    if len(clips) > 1:
        raise InputError(
            f"The configurations name {len(clips)} clips: {', '.join(clips[:3])}.",
            expected="one clip, whose variants are made together",
            remedy="Start the worker once a clip.",
            code="input.config_value",
        )
    return Path(clips[0])


def _at_once(source: ClipInfo) -> int:
    """Return how many encoders fit into memory beside the decoder: one from 1080p on, three at 720p."""
    return max(1, min(_MOST_AT_ONCE, _ENCODED_PIXELS // (source.width * source.height)))


def _rendered(reading: Reading, source: ClipInfo, orders: Sequence[Order]) -> Iterator[Made]:
    """Render variants in one pass over the clip."""
    levels = Levels.of(source)
    frames = _frames(source)
    progress = ProgressWriter("; ".join(map(_note, orders)), frames and frames * len(orders))
    jobs = [_job(order, source, levels, progress.advance) for order in orders]
    told = render(reading, source, levels, jobs)
    progress.finish()
    for order, job, rendered in zip(orders, jobs, told, strict=True):
        yield Made(order, rendered, job.evaluation)


def _job(order: Order, source: ClipInfo, levels: Levels, advance: Callable[[], None]) -> Job:
    seed, name = order.config.augmentation.seed, order.variant
    return Job(
        target=order.folder / VIDEO_NAME,
        output=order.config.output,
        draw_ahead=partial(draw_ahead, order.wish, (source.width, source.height), seed=seed, name=name),
        chain_for=partial(chain_for, order.wish, seed=seed, name=name),
        evaluation=Evaluation(order.config.evaluators.hallucination_check, levels, order.wish.values),
        advance=advance,
    )


def _write_metadata(source: ClipInfo, made: Made, started: float) -> None:
    metadata = _metadata(source, made)
    metadata["timings_s"]["whole"] = round(time.perf_counter() - started, 3)
    with whole_file(made.order.folder / METADATA_NAME) as part:
        part.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")


def _failures(made: Made) -> list[str]:
    config, failures = made.order.config, []
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


def _metadata(source: ClipInfo, made: Made) -> dict[str, Any]:
    order, rendered = made.order, made.rendered
    config, wish = order.config, order.wish
    output = read_header(order.folder / VIDEO_NAME)
    timings = {part: round(seconds, 3) for part, seconds in sorted(rendered.timings_s.items())}
    effect_notes = dict.fromkeys(note for scene in rendered.scenes for note in scene.notes)
    return {
        "version": VERSION,
        "video": f"{order.name}.mp4",
        "aug_idx": config.augmentation.aug_idx,
        "sampled_vars": config.augmentation.sampled_vars,
        "seed": config.augmentation.seed,
        "rendered_vars": dict(wish.values),
        "strengths": {variable: round(value, 4) for variable, value in wish.strengths.items()},
        "parameters": _rounded(rendered.scenes[0].parameters) if rendered.scenes else {},
        "notes": [
            *wish.notes,
            *effect_notes,
            *rendered.notes,
            *_notes_on(source, rendered),
            *_failures(made),
        ],
        "source": _described(source, rendered.frames),
        "output": _described(output, rendered.frames),
        "scenes": [
            {
                "still": scene.still,
                "quiet": scene.quiet,
                "falling": scene.falling,
                "ground_trust": round(scene.ground_trust, 3),
                "horizon": round(scene.horizon, 3),
                "light": _rounded(asdict(scene.light)),
                **({"picture": asdict(scene.picture)} if scene.picture else {}),
            }
            for scene in rendered.scenes
        ],
        "evaluators": _evaluators(config, made),
        "attempts": order.attempt,
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
    bars = [scene.picture for scene in rendered.scenes if scene.picture]
    if bars:
        notes.append(f"Black bars stay as they are; the picture has {bars[0].across}x{bars[0].down} pixels.")
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


def _described(info: ClipHeader, frames: int) -> dict[str, Any]:
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


def _note(order: Order) -> str:
    again = f", attempt {order.attempt}" if order.attempt > 1 else ""
    return f"{order.variant} ({', '.join(order.wish.values.values()) or 'as it is'}{again})"


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
