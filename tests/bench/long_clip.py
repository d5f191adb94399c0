"""Peak memory of the augmentation worker by the length of a clip: it must not grow with it.

python tests/bench/long_clip.py [FRAMES]        FRAMES of the long clip, 30000 by default
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from skill_tools.media.video import ClipWriter

SIZE = (160, 90)
SHORT_FRAMES = 1_000


def write_clip(path: Path, frames: int) -> Path:
    """Write a small clip of a slope over which a block moves."""
    width, height = SIZE
    slope = np.broadcast_to(np.linspace(60, 200, width, dtype=np.uint8)[None, :, None], (height, width, 3))
    with ClipWriter(
        path, width=width, height=height, rate=Fraction(30), crf=28, preset="ultrafast"
    ) as writer:
        for index in range(frames):
            image = slope.copy()
            left = index % (width - 20)
            image[50:70, left : left + 12] = (20, 20, 60)
            writer.write_bgr(image, index)
    return path


def peak_of(clip: Path, folder: Path) -> tuple[float, float]:
    """Make a wet evening of a clip in a process of its own; return its peak memory in MB and its fps."""
    config = folder / "c.yaml"
    config.write_text(
        json.dumps(
            {
                "data": {"input_video": str(clip), "output_dir": str(folder / clip.stem)},
                "augmentation": {"sampled_vars": {"weather": "rain", "time_of_day": "evening"}},
                "output": {"preset": "ultrafast", "crf": 28},
                "pipeline": {"retry": 0},
            }
        )
    )
    command = [sys.executable, "-m", "skill_tools.workers.augmentation", "--config", str(config)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    told = json.loads((folder / clip.stem / "metadata.json").read_text())
    return told["peak_memory_mb"], told["fps"]


def main() -> None:
    """Print peak memory for a short and a long clip, and what each further frame costs."""
    long_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peaks = {}
        for frames in (SHORT_FRAMES, long_frames):
            peaks[frames], fps = peak_of(write_clip(folder / f"clip{frames}.mp4", frames), folder)
            minutes = frames / 30 / 60
            print(f"{frames:7} frames {minutes:6.1f} min  peak {peaks[frames]:6.1f} MB {fps:6.1f} fps")
    grown_b = (peaks[long_frames] - peaks[SHORT_FRAMES]) * (1 << 20) / (long_frames - SHORT_FRAMES)
    print(f"ratio {peaks[long_frames] / peaks[SHORT_FRAMES]:.3f}, {grown_b:.0f} bytes a further frame")


if __name__ == "__main__":
    main()
