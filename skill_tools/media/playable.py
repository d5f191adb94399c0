"""Whether a file that is shown to people can be shown: a video that decodes, a picture that opens."""

from __future__ import annotations

from pathlib import Path

from skill_tools.errors import ClipError
from skill_tools.media.probe import probe

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def get_ready(name: Path) -> None:
    """Load what `plays` needs for a file of a name: for whoever has to wait until the file is there."""
    if name.suffix.lower() in PICTURE_SUFFIXES:
        from PIL import Image

        Image.preinit()
    else:
        import av.container  # noqa: F401 - loaded for later


def plays(path: Path) -> bool:
    """Tell whether a picture opens whole, or a video's first frame decodes."""
    try:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            from PIL import Image

            with Image.open(path) as picture:
                picture.load()
        else:
            probe(path)
    except (ClipError, OSError):  # what is no picture is an OSError too
        return False
    return True


def frames_of(path: Path, *, decoded: bool = False) -> int | None:
    """Return how many frames a clip has, as its container tells or decoded; None where it doesn't play."""
    from skill_tools.media.video import read_frames

    try:
        told = probe(path).frames
        return sum(1 for _ in read_frames(path)) if decoded or told is None else told
    except (ClipError, OSError):
        return None
