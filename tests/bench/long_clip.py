"""Peak memory of the augmentation worker by the length of a clip: it must not grow with it.

python tests/bench/long_clip.py [HOURS]        of the sample, played forth and back; 2 by default
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from augment import SAMPLE, write_scaled

from skill_tools.media.probe import probe

SIZE = (320, 180)
SHORT_FRAMES = 1_000


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
    rate = probe(SAMPLE).fps
    long_frames = round((float(sys.argv[1]) if len(sys.argv) > 1 else 2.0) * 3600 * rate)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peaks = {}
        for frames in (SHORT_FRAMES, long_frames):
            clip = folder / f"clip{frames}.mp4"
            write_scaled(clip, SIZE, frames)
            peaks[frames], fps = peak_of(clip, folder)
            minutes = float(frames / rate / 60)
            print(
                f"{frames:7} frames {minutes:6.1f} min  peak {peaks[frames]:6.1f} MB {fps:6.1f} fps",
                flush=True,
            )
    grown_b = (peaks[long_frames] - peaks[SHORT_FRAMES]) * (1 << 20) / (long_frames - SHORT_FRAMES)
    print(f"ratio {peaks[long_frames] / peaks[SHORT_FRAMES]:.3f}, {grown_b:.0f} bytes a further frame")


if __name__ == "__main__":
    main()
