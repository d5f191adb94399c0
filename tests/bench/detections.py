"""How many of the original's boxes the detector finds again on each variant, value by value.

python tests/bench/detections.py [CLIP …]        the sample clip by default

A box is found again where the variant has one of the same class with IoU ≥ 0.5 in the same frame. The first
row is the clip merely encoded again: what the detector loses to the encoder alone, the most that any value
can reach. Figures are a table for references/augmentation.md.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from skill_tools.media.found_again import matches
from skill_tools.media.probe import probe
from skill_tools.workers.augmentation.cli import main as make_variant
from skill_tools.workers.augmentation.gallery import middle, pairs
from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.detector import Detections
from skill_tools.workers.labeling.frames import read_pictures
from skill_tools.workers.labeling.nanodet import NanoDet
from skill_tools.workers.labeling.weights import find_weights

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets/samples/campus_walkway.mp4"
CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
THRESHOLD = 0.2
STEP = 6


def variant(clip: Path, folder: Path, values: Mapping[str, str]) -> Path:
    """Make a variant as a run does, with the strength in the middle of the range."""
    config = folder / "c.yaml"
    config.write_text(
        json.dumps(
            {
                "data": {"input_video": str(clip), "output_dir": str(folder / "out")},
                "augmentation": {
                    "sampled_vars": dict(values),
                    "strength": {name: middle(name, value) for name, value in values.items()},
                },
                "pipeline": {"retry": 0},
            }
        )
    )
    with contextlib.redirect_stdout(io.StringIO()):
        if make_variant(["--config", str(config)]):
            raise SystemExit(f"no variant of {clip} with {values}")
    return folder / "out/augmented_video.mp4"


def detected(clip: Path, detector: NanoDet) -> Iterator[Detections]:
    """Yield what is found in every sixth frame."""
    for picture in islice(read_pictures(probe(clip), []), 0, None, STEP):
        yield detector.detect(picture.image)


def found_again(original: Detections, other: Detections) -> int:
    """Return how many boxes of `original` have one of their class in `other`, each counted for one."""
    return sum(
        matches(original.boxes[original.classes == kind], other.boxes[other.classes == kind])
        for kind in set(original.classes.tolist())
    )


def main() -> None:
    """Print a table a clip."""
    weights = find_weights("", {"VDA_MODELS_DIR": str(ROOT / "assets/models")})
    indices = [CLASS_NAMES.index(name) for name in CLASSES]
    detector = NanoDet(weights, classes=indices, threshold=THRESHOLD)
    for clip in [Path(name) for name in sys.argv[1:]] or [SAMPLE]:
        originals = list(detected(clip, detector))
        boxes = sum(map(len, originals))
        print(f"\n{clip.stem}: {boxes} boxes in {len(originals)} frames\n")
        print("| value | found again | boxes there |\n|---|---|---|")
        for variable, value in [("", "encoded again"), *pairs()]:
            with tempfile.TemporaryDirectory() as name:
                made = variant(clip, Path(name), {variable: value} if variable else {})
                others = list(detected(made, detector))
            again = sum(found_again(one, other) for one, other in zip(originals, others, strict=True))
            label = f"`{variable}={value}`" if variable else value
            print(f"| {label} | {100 * again / max(boxes, 1):.0f} % | {sum(map(len, others))} |", flush=True)


if __name__ == "__main__":
    main()
