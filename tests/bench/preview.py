"""How long `vda preview` takes: a still, two seconds of film, a table.

`python tests/bench/preview.py CLIP` prints it, without a clip for the sample. Beside each stands what it
takes to decode as many frames of the clip as were looked at, in a process of its own: no preview can be had
for less.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SAMPLE = Path(__file__).resolve().parents[2] / "assets/samples/campus_walkway.mp4"
TRIES = 5
WANTED_S = 2.0
KINDS = {
    "still": ("--set", "weather=rain", "--set", "time_of_day=evening"),
    "PNG": ("--set", "weather=rain", "--output", "still.png"),
    "film": ("--set", "weather=rain", "--set", "time_of_day=evening", "--video"),
    "table": ("--grid", "weather,surface"),
}
DECODE = """
import sys
from itertools import islice
from pathlib import Path
from skill_tools.media.probe import probe
from skill_tools.media.video import read_frames
clip = Path(sys.argv[1])
for frame in islice(read_frames(clip), round(probe(clip).fps * int(sys.argv[2]))):
    pass
"""
LOOKED_AT_S = 2
"""Seconds of the clip, from its start: those that a film shows, and those up to a still."""


def timed(*command: str) -> float:
    """Return the seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Print how long previews take.")
    parser.add_argument("clips", nargs="*", type=Path, default=[SAMPLE], metavar="CLIP")
    clips = parser.parse_args().clips
    print(f"seconds, by decoding alone; at most {WANTED_S:g} s are wanted of a still and of a film")
    for clip in clips:
        for kind, words in KINDS.items():
            with tempfile.TemporaryDirectory() as folder:
                vda = [sys.executable, "-m", "skill_tools.cli"]
                shown = [*vda, "preview", str(clip), *words, "--workspace", folder]
                decoded = [sys.executable, "-c", DECODE, str(clip), str(LOOKED_AT_S)]
                pairs = [(timed(*shown), timed(*decoded)) for _ in range(TRIES)]
            taken, bare = (median(each) for each in zip(*pairs, strict=True))
            print(f"{clip.stem:24}{kind:8}{taken:6.2f}{taken / bare:8.1f}", flush=True)


if __name__ == "__main__":
    main()
