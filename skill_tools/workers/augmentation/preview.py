"""Show a variant before it is made: a still, a short sample or a table of values, within seconds.

`python -m skill_tools.workers.augmentation.preview` takes one JSON request on standard input and answers
with one JSON object on standard output: what is shown, or the `problem` that there is.

What draws takes longer to load than a second of most clips to decode, so this module loads little, and the
clip is decoded while the rest is loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from skill_tools.ending import end_quickly
from skill_tools.errors import EXIT_CODES, VdaError
from skill_tools.media.probe import ClipInfo, probe, read_header
from skill_tools.media.video import Haste, frames_in, read_frames
from skill_tools.workers.augmentation.threads import Pump

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_THINNED_FROM_A_S = 100_000_000  # pixels; 60 frames of 1080p, 30 of 4K
_UNFILTERED_FROM = 4_000_000  # pixels; stills are then shown at half the size or less, films at a fourth
_AHEAD_BYTES, _AHEAD_FRAMES = 96 << 20, 32


@dataclass(frozen=True)
class Request:
    """What to show; the same seed and name as a run's give the same variant as that run.

    Whoever asks has checked it: a model that checks takes a tenth of a second to load.
    """

    clip: Path
    output: Path
    """PNG or JPEG by its name; MP4 for a video."""
    kind: Literal["still", "video"] = "still"
    at_s: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    grid: Sequence[str] = ()
    """One variable, all of whose values are shown, or two, for a table."""
    strength: float | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)
    seed: int = 42
    name: str = ""
    alone: bool = False
    """The variant alone, in its own size and without words."""

    @classmethod
    def parsed(cls, text: bytes) -> Self:
        """Return the request that a JSON object makes."""
        given = json.loads(text)
        return cls(Path(given.pop("clip")), Path(given.pop("output")), **given)


class Opened:
    """The clip of a request, and its frames from the start unless a later moment is asked for."""

    def __init__(self, request: Request) -> None:
        """Open the clip and begin to decode it.

        Raises:
            ClipError: it can't be opened.
        """
        self.request = request
        header = read_header(request.clip)
        pixels = header.width * header.height
        self.haste = Haste(
            thinned=pixels * header.fps > _THINNED_FROM_A_S,
            unfiltered=pixels >= _UNFILTERED_FROM and not request.alone,
        )
        """What is left out of decoding."""
        self.frames: Pump[VideoFrame] | None = None
        if not request.at_s:
            ahead = max(1, min(_AHEAD_FRAMES, frames_in(_AHEAD_BYTES, header.width, header.height)))
            self.frames = Pump(read_frames(request.clip, haste=self.haste), ahead=ahead, name="read")
        with ExitStack() as failing:
            failing.callback(self.close)
            self.info: ClipInfo = probe(request.clip)
            failing.pop_all()

    def close(self) -> None:
        """Decode no more."""
        if self.frames:
            self.frames.close()


def main() -> int:
    """Answer the request on standard input; return the exit code of its outcome."""
    end_quickly()
    try:
        answer = _answer()
    except VdaError as error:
        told = ("code", "message", "expected", "remedy")
        print(json.dumps({"problem": {name: getattr(error, name) for name in told}}))
        return EXIT_CODES.get(error.family, 1)
    print(json.dumps(answer))
    return 0


def preview(request: Request) -> dict[str, Any]:
    """Write the picture or film that `request` asks for; return what is on it.

    Raises:
        InputError: the clip, a variable, a value or the output's name isn't usable.
    """
    from skill_tools.workers.augmentation.studio import show

    with closing(Opened(request)) as clip:
        return show(clip)


def _answer() -> dict[str, Any]:
    with ThreadPoolExecutor(1, "open") as beside:
        opened = beside.submit(lambda: Opened(Request.parsed(sys.stdin.buffer.read())))
        import cv2

        from skill_tools.workers.augmentation.studio import show

        cv2.setNumThreads(1)
        with closing(opened.result()) as clip:
            return show(clip)


if __name__ == "__main__":
    raise SystemExit(main())
