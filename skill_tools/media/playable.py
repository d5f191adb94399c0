"""Whether a file that is shown to people can be shown: a video that decodes, a picture that opens."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from skill_tools.errors import ClipError
from skill_tools.media.probe import probe

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def plays(path: Path) -> bool:
    """Tell whether a picture opens whole, or a video's first frame decodes."""
    try:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            with Image.open(path) as picture:
                picture.load()
        else:
            probe(path)
    except (ClipError, UnidentifiedImageError, OSError):
        return False
    return True
