"""The worker's command line, the container's: `--config FILE key=value …`; a file a variant."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from skill_tools.ending import end_quickly, ended_by
from skill_tools.errors import EXIT_CODES, VdaError
from skill_tools.workers.augmentation.config import Config, load_config
from skill_tools.workers.augmentation.variant import VIDEO_NAME, make_variants

_EXAMPLE = """example:
  python -m skill_tools.workers.augmentation --config configs/junction_aug0.yaml \\
      data.input_video=junction.mp4 data.output_dir=out/junction_aug0

  python -m skill_tools.workers.augmentation --config junction_aug0.yaml --config junction_aug1.yaml \\
      data.input_video=junction.mp4 data.output_dir=out

Writes augmented_video.mp4 and metadata.json into data.output_dir; with several configurations into a
folder there for each, named like its file, and they share the decoding of the clip. Any key of the
configuration can be overridden, for example augmentation.sampled_vars.weather=rain
augmentation.strength=0.8 output.codec=av1.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the variants that the arguments ask for; return the exit code.

    Errors are one line on stderr. A signal to end (SIGTERM, SIGINT) leaves no half file.
    """
    end_quickly()
    parser = argparse.ArgumentParser(
        prog="python -m skill_tools.workers.augmentation",
        description="Make a photometric variant of a clip: weather, time of day, lighting, surface.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        required=True,
        type=Path,
        action="append",
        dest="configs",
        metavar="FILE",
        help="a variant's YAML configuration; may be repeated",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="put over the file, keys dotted")
    given = parser.parse_args(arguments)
    # The encoder keeps the cores busy; OpenCV's small tasks gain nothing from splitting further.
    cv2.setNumThreads(1)
    try:
        with ended_by(signal.SIGTERM, signal.SIGINT):
            folders = make_variants(_configs(given.configs, given.overrides))
    except VdaError as error:
        sys.stderr.write(f"error: {error} [{error.code}]\n".replace("\n", " ").rstrip() + "\n")
        return EXIT_CODES.get(error.family, 1)
    for folder in folders:
        sys.stdout.write(f"{folder / VIDEO_NAME}\n")
    return 0


def _configs(files: Sequence[Path], overrides: Sequence[str]) -> list[Config]:
    """Return the configurations; where there are several, each with an output folder of its own."""
    if len(files) == 1:
        return [load_config(files[0], overrides)]
    configs = []
    for file in files:
        config = load_config(file, overrides)
        own = str(Path(config.data.output_dir) / file.stem) if config.data.output_dir else ""
        configs.append(config.model_copy(update={"data": config.data.model_copy(update={"output_dir": own})}))
    return configs
