"""What a variant costs; `python tests/bench/augment.py` prints it.

With albumentations 2.0.8 and kornia 0.9 installed, it also prints what they take for the effects they have.
Each variant is made by the worker in a process of its own and then transcoded bare, by the same decoder
and encoder settings, in another; and once more with a decoder that takes as many threads as it likes, the
quickest that a bare transcode can be had. The ratio of two such times is the figure to look at, since both
feel the same machine: the median of some pairs, and the range of all, which tells what it is worth. The
clips are the sample, scaled: softer than footage of that size, which is cheap to encode and so shows the
cost of everything else at its worst. One is seen by a moving camera, at 720p as well. With
`--clip` it is measured on a clip of your own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import StringIO
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from skill_tools.media.probe import ClipInfo, probe
from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.config import load_config
from skill_tools.workers.augmentation.pipeline import decoder_threads
from skill_tools.workers.augmentation.planes import Planes, copied
from skill_tools.workers.augmentation.variant import METADATA_NAME, VIDEO_NAME, make_variants
from skill_tools.workers.augmentation.vocabulary import VALUES

SAMPLE = Path(__file__).resolve().parents[2] / "assets/samples/campus_walkway.mp4"
CRF, PRESET = 20, "veryfast"
SINGLES = tuple({variable: value} for variable, values in VALUES.items() for value in values)
MIXED = {"weather": "rain", "time_of_day": "evening", "surface": "wet"}
LARGE = ({}, {"weather": "clear"}, {"weather": "rain"}, {"time_of_day": "evening"}, {"surface": "wet"}, MIXED)
SEVERAL = ({"weather": "rain"}, {"time_of_day": "evening"}, {"weather": "snow"})
MOVING = (*LARGE, {"weather": "fog"}, {"weather": "snow"}, {"surface": "snow"}, {"time_of_day": "night"})
LARGE_FRAMES = 90
ENCODED_FRAMES = 120
LARGE_PIXELS = 1920 * 1088
LIMITS = {False: (1.10, 500), True: (1.25, 1500)}
"""Ratio and MB, by whether a clip is larger than that."""
MIXED_LIMIT = 1.25


@dataclass(frozen=True)
class Cost:
    """What some work took of this machine."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Round:
    """A variant, and its bare transcodes."""

    variant: Cost
    bare: Cost
    """By the same decoder and encoder settings."""
    quickest: Cost
    """By a decoder with as many threads as it likes."""


def measured(work: Callable[..., object], *arguments: object) -> Cost:
    """Return the cost of some work, done in a new process with everything imported."""
    return _elsewhere(_cost_here, work, arguments)


def _elsewhere(work: Callable[..., Cost], *arguments: object) -> Cost:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _cost_here(work: Callable[..., object], arguments: tuple[object, ...]) -> Cost:
    cv2.setNumThreads(1)
    wall, cpu = time.perf_counter(), time.process_time()
    with redirect_stdout(StringIO()):
        work(*arguments)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu, _peak_mb())


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def write_scaled(target: Path, size: tuple[int, int], frames: int) -> None:
    """Write the sample's middle, at the aspect of `size`, scaled to it; played forth and back if need be."""
    info = probe(SAMPLE)
    height = info.width * size[1] // size[0]
    top = (info.height - height) // 2
    read = [frame.to_ndarray(format="bgr24")[top : top + height] for frame in read_frames(SAMPLE)]
    with _writer(target, size, info.fps, 1 / info.fps) as writer:
        for index, picture in zip(range(frames), cycle(read + read[-2:0:-1]), strict=False):
            writer.write_bgr(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), index)


def write_moving(target: Path, size: tuple[int, int], frames: int) -> None:
    """Write the sample at 30 frames a second as a camera sees it that turns to and fro and looks down."""
    info = probe(SAMPLE)
    read = [frame.to_ndarray(format="bgr24") for frame in read_frames(SAMPLE)]
    zoom = 1.2 * max(size[0] / info.width, size[1] / info.height)
    room = [zoom * length - given for length, given in zip((info.width, info.height), size, strict=True)]
    with _writer(target, size, Fraction(30), Fraction(1, 30)) as writer:
        for index, picture in zip(range(frames), cycle(read + read[-2:0:-1]), strict=False):
            left = room[0] * (0.5 - 0.5 * np.cos(index / 25))
            view = np.array([[zoom, 0, -left], [0, zoom, -room[1] * index / frames]])
            writer.write_bgr(cv2.warpAffine(picture, view, size, flags=cv2.INTER_CUBIC), index)


def transcode(source: Path, target: Path, threads: int, *, quiet: bool = True) -> None:
    """Decode with so many threads, 0 for as many as FFmpeg likes, and encode; nothing else."""
    with _encoding_like(target, probe(source), quiet=quiet) as writer:
        for frame in read_frames(source, threads=threads):
            writer.write(frame)


def through_rgb(source: Path, target: Path, apply: Callable[[np.ndarray], np.ndarray]) -> None:
    """Decode, change each frame as an RGB array, encode: the road that image libraries ask for."""
    with _encoding_like(target, probe(source)) as writer:
        for frame in read_frames(source):
            picture = apply(frame.to_ndarray(format="rgb24"))
            writer.write_bgr(picture[..., ::-1], frame.pts or 0)


def make(config: Path, clip: Path, folder: Path, values: Mapping[str, str]) -> None:
    """Make a variant as the worker's command line does."""
    wanted = [f"augmentation.sampled_vars.{name}={value}" for name, value in values.items()]
    given = [f"data.input_video={clip}", f"data.output_dir={folder}", *wanted]
    make_variants([load_config(config, given)])


def make_all(config: Path, clip: Path, folder: Path, wishes: tuple[Mapping[str, str], ...]) -> None:
    """Make several variants in one pass."""
    make_variants(
        [
            load_config(
                config,
                [
                    f"data.input_video={clip}",
                    f"data.output_dir={folder / str(index)}",
                    *(f"augmentation.sampled_vars.{name}={value}" for name, value in wish.items()),
                ],
            )
            for index, wish in enumerate(wishes)
        ]
    )


def lumas(path: Path) -> np.ndarray:
    """Return the mean luma code of each frame; grey pictures would add roundings of their own."""
    return np.array([Planes.of(frame, editable=False).y.mean() for frame in read_frames(path)])


def jitter(path: Path) -> float:
    """Return the mean change of mean luma from frame to frame, in codes."""
    return jitter_of(lumas(path))


def jitter_of(means: np.ndarray) -> float:
    """Return the same, given the means."""
    return float(np.abs(np.diff(means)).mean())


def rows(folder: Path, clip: Path, wishes: tuple[Mapping[str, str], ...], rounds: int) -> None:
    """Print one line a variant: its cost by its own bare transcode, memory, steadiness, edges."""
    config = folder / "config.yaml"
    bare_mb = measured(transcode, clip, folder / "bare.mp4", decoder_threads()).peak_mb
    # Retries off: a ratio is that of one rendering.
    config.write_text(
        "data: {input_video: '', output_dir: ''}\npipeline: {retry: 0}\n"
        f"output: {{codec: h264, crf: {CRF}, preset: {PRESET}}}\n"
    )
    means = lumas(clip)
    info = probe(clip)
    limit, most_mb = LIMITS[info.width * info.height > LARGE_PIXELS]
    print(
        f"\n{clip.stem}, {len(means)} frames; wanted: time by bare transcode <= {limit},"
        f" memory <= {most_mb} MB (bare {bare_mb:.0f})"
    )
    print(
        f"{'variant':32}{'fps':>6}{'bare ms':>9}{'ms':>7}{'ratio':>16}{'by quickest':>16}{'cpu':>6}"
        f"{'effects':>9}{'MB':>6}{'jitter':>8}{'edges':>7}"
    )
    for wish in wishes:
        out = folder / "variant"
        taken = []
        for _ in range(rounds):
            cost = measured(make, config, clip, out, wish)
            told = json.loads((out / METADATA_NAME).read_text())
            bare_by = partial(transcode, quiet=told["scenes"][0]["quiet"])
            bare, quickest = (
                measured(bare_by, out / VIDEO_NAME, folder / "bare.mp4", threads)
                for threads in (decoder_threads(), 0)
            )
            taken.append(Round(cost, bare, quickest))
        _print_row(wish, taken, told, len(means), jitter(out / VIDEO_NAME) / max(jitter_of(means), 1e-6))


def _print_row(
    wish: Mapping[str, str],
    rounds: list[Round],
    told: Mapping[str, Any],
    frames: int,
    jitter_ratio: float,
) -> None:
    wall, bare_wall = (median(getattr(each, name).wall_s for each in rounds) for name in ("variant", "bare"))
    cpu = median(each.variant.cpu_s / each.bare.cpu_s for each in rounds)
    ratios = [each.variant.wall_s / each.bare.wall_s for each in rounds]
    by_quickest = [each.variant.wall_s / each.quickest.wall_s for each in rounds]
    limit = MIXED_LIMIT if wish == MIXED else None
    edges = told["evaluators"]["hallucination_check"]["score"]
    print(
        f"{_name(wish):32}{frames / wall:6.1f}{bare_wall / frames * 1e3:9.1f}{wall / frames * 1e3:7.1f}"
        f"{_spread(ratios):>16}{_spread(by_quickest):>16}{cpu:6.2f}"
        f"{told['timings_s']['effects'] / frames * 1e3:9.1f}"
        f"{max(each.variant.peak_mb for each in rounds):6.0f}{jitter_ratio:8.2f}{edges:7.3f}"
        f"{f'  wanted {limit}' if limit else ''}",
        flush=True,
    )


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} {min(ratios):.2f}-{max(ratios):.2f}"


def _name(wish: Mapping[str, str]) -> str:
    return (
        " + ".join(f"{name}={value}" if len(wish) == 1 else value for name, value in wish.items()) or "none"
    )


def together(folder: Path, rounds: int) -> None:
    """Print what variants of one clip take in one pass of the worker, one by one, and transcoded bare."""
    clip, config = folder / "720p.mp4", folder / "config.yaml"
    frames = probe(clip).frames or 1
    print("\nseveral variants of the 720p clip: time by the same made one by one, and by bare transcodes")
    for wishes in (SEVERAL[:2], SEVERAL):
        out = folder / "several"
        shared = [measured(make_all, config, clip, out, wishes) for _ in range(rounds)]
        alone = [
            sum(measured(make, config, clip, out, wish).wall_s for wish in wishes) for _ in range(rounds)
        ]
        made = [out / str(index) / VIDEO_NAME for index in range(len(wishes))]
        bare = [
            sum(measured(transcode, each, folder / "bare.mp4", decoder_threads()).wall_s for each in made)
            for _ in range(rounds)
        ]
        wall = median(cost.wall_s for cost in shared)
        peak = max(cost.peak_mb for cost in shared)
        print(
            f"{len(wishes)} at once: {len(wishes) * frames / wall:6.1f} fps, {wall / median(alone):.2f},"
            f" {wall / median(bare):.2f}, {peak:.0f} MB"
        )


def encoder(folder: Path, wishes: tuple[Mapping[str, str], ...], rounds: int) -> None:
    """Print what the encoder alone takes of a variant's frames: by that once decoded, and the variant by it.

    What an encoder has smoothed is cheaper to encode again, so a variant's bare transcode is cheaper than
    encoding the variant: this part of a ratio is none of the effects' making. A variant can't take less than
    the encoder alone with its frames at hand.
    """
    clip, lossless, out = folder / "720p.mp4", folder / "lossless.yaml", folder / "lossless"
    frames = probe(clip).frames or 1
    lossless.write_text(
        "data: {input_video: '', output_dir: ''}\npipeline: {retry: 0}\n"
        f"output: {{codec: h264, crf: 0, preset: {PRESET}}}\n"
    )
    print(
        f"\nthe encoder alone, {ENCODED_FRAMES} frames of the 720p clip: time by that for them once decoded;"
        f" the variant's time a frame, of {frames}, by it"
    )
    for wish in wishes:
        measured(make, lossless, clip, out, wish)
        fresh, again, whole = [], [], []
        for _ in range(rounds):
            cost = measured(make, folder / "config.yaml", clip, folder / "variant", wish)
            whole.append(cost.wall_s / frames)
            fresh.append(encode_cost(out / VIDEO_NAME, folder / "encoded.mp4"))
            again.append(encode_cost(folder / "encoded.mp4", folder / "again.mp4"))
        walls, cpus = (
            [median(getattr(cost, name) for cost in each) for each in (fresh, again)]
            for name in ("wall_s", "cpu_s")
        )
        by_encoder = median(
            variant * ENCODED_FRAMES / cost.wall_s for variant, cost in zip(whole, fresh, strict=True)
        )
        print(
            f"{_name(wish):32}{walls[0] / walls[1]:6.2f}, processor {cpus[0] / cpus[1]:.2f};"
            f" variant {by_encoder:.2f}",
            flush=True,
        )


def encode_cost(source: Path, target: Path) -> Cost:
    """Return what encoding the first frames of `source` takes, decoded beforehand."""
    return _elsewhere(_encode_cost_here, source, target)


def _encode_cost_here(source: Path, target: Path) -> Cost:
    info = probe(source)
    frames = [copied(frame) for frame in islice(read_frames(source), ENCODED_FRAMES)]
    wall, cpu = time.perf_counter(), time.process_time()
    with _encoding_like(target, info) as writer:
        for frame in frames:
            writer.write(frame)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu, _peak_mb())


def libraries(folder: Path, rounds: int) -> None:
    """Print what image libraries take for the effects that they have, on the 720p clip."""
    clip, target = folder / "720p.mp4", folder / "library.mp4"
    frames = probe(clip).frames or 1
    print("\nlibraries, 720p, a frame at a time, by the bare transcode of what came out")
    for label, work in (
        ("albumentations RandomRain", albumentations_rain),
        ("albumentations RandomFog", albumentations_fog),
        ("kornia RandomRain", kornia_rain),
    ):
        try:
            importlib.import_module(label.split()[0])
        except ImportError:
            print(f"{label:32}not installed")
            continue
        costs, bare = [], []
        for _ in range(rounds):
            costs.append(measured(work, clip, target))
            bare.append(measured(transcode, target, folder / "bare.mp4", 0))
        wall, bare_wall = (median(cost.wall_s for cost in each) for each in (costs, bare))
        ratio = jitter(target) / max(jitter(clip), 1e-6)
        print(f"{label:32}{frames / wall:6.1f} fps, ratio {wall / bare_wall:.2f}, jitter {ratio:.2f}")


def albumentations_rain(clip: Path, target: Path) -> None:
    """Draw albumentations' rain."""
    library = importlib.import_module("albumentations")
    change = library.Compose([library.RandomRain(p=1.0)], seed=1)
    through_rgb(clip, target, lambda picture: change(image=picture)["image"])


def albumentations_fog(clip: Path, target: Path) -> None:
    """Draw albumentations' fog."""
    library = importlib.import_module("albumentations")
    change = library.Compose([library.RandomFog(p=1.0)], seed=1)
    through_rgb(clip, target, lambda picture: change(image=picture)["image"])


def kornia_rain(clip: Path, target: Path) -> None:
    """Draw kornia's rain."""
    torch, library = importlib.import_module("torch"), importlib.import_module("kornia.augmentation")
    change = library.RandomRain(p=1.0)

    def apply(picture: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        return (change(given)[0].permute(1, 2, 0) * 255).byte().numpy()

    through_rgb(clip, target, apply)


@contextmanager
def _encoding_like(target: Path, info: ClipInfo, *, quiet: bool = True) -> Iterator[ClipWriter]:
    """Open a clip to be encoded as the worker does it for one like `info`, whose light is quiet or not."""
    with _writer(target, (info.width, info.height), info.fps, info.time_base) as writer:
        if quiet:
            writer.keep_steady()
        yield writer


def _writer(target: Path, size: tuple[int, int], rate: Fraction, tick: Fraction) -> ClipWriter:
    return ClipWriter(
        target, width=size[0], height=size[1], rate=rate, time_base=tick, crf=CRF, preset=PRESET
    )


def chosen(words: list[str]) -> Iterator[Mapping[str, str]]:
    """Yield the wishes that words like `weather=rain+surface=wet` name."""
    for word in words:
        yield dict(part.split("=") for part in word.split("+"))


def made_clips(
    folder: Path, frames: int, wishes: tuple[Mapping[str, str], ...], rounds: int, *, all_sizes: bool
) -> None:
    """Measure on the sample, scaled."""
    clip = folder / "720p.mp4"
    write_scaled(clip, (1280, 720), frames)
    rows(folder, clip, wishes, rounds)
    encoder(folder, wishes, rounds)
    if not all_sizes:
        return
    write_moving(folder / "moving.mp4", (1280, 720), frames)
    rows(folder, folder / "moving.mp4", MOVING, rounds)
    write_scaled(folder / "4K.mp4", (3840, 2160), LARGE_FRAMES)
    rows(folder, folder / "4K.mp4", LARGE, rounds)
    together(folder, rounds)
    libraries(folder, rounds)


def main() -> None:
    """Measure and print, each figure with what it is held against."""
    parser = argparse.ArgumentParser(description="Print what variants cost by their bare transcode.")
    parser.add_argument("--frames", type=int, default=360, help="of the 720p clip")
    parser.add_argument("--rounds", type=int, default=3, help="of each variant, of which the median counts")
    parser.add_argument(
        "--only", nargs="*", metavar="VARIABLE=VALUE[+…]", help="these variants at 720p alone"
    )
    parser.add_argument("--clip", type=Path, help="measure on this clip alone")
    given = parser.parse_args()
    wishes = tuple(chosen(given.only)) if given.only else ({}, *SINGLES, MIXED)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if given.clip:
            rows(folder, given.clip, wishes, given.rounds)
        else:
            made_clips(folder, given.frames, wishes, given.rounds, all_sizes=not given.only)
    print(f"({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
