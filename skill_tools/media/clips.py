"""Which clips a person means by files, folders and patterns, each with a name that runs can use."""

from __future__ import annotations

import difflib
import glob
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from skill_tools.errors import ClipError, InputError
from skill_tools.media.opening import EXPECTED_CLIP

VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("mp4", "m4v", "mov", "3gp", "mkv", "webm", "avi", "wmv", "flv", "ogv"),
        *("mpg", "mpeg", "ts", "mts", "m2ts"),
    )
)
STEM_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def find_clips(arguments: Sequence[str]) -> tuple[Path, ...]:
    """Return the clips that `arguments` name, sorted by stem, each once.

    An argument is a file, a folder (its video files, not those of folders in it) or a pattern such as
    `clips/*.mp4`. Names are checked here, contents are not: see `probe`.

    Raises:
        ClipError: a file is missing, or a folder or pattern holds no clip.
        InputError: a stem can't name a run's clip, or two clips share one stem.
    """
    if not arguments:
        raise InputError(
            "No clip was given.",
            expected="clips, folders or patterns",
            remedy="Name at least one clip.",
            code="input.no_clip",
        )
    found = {clip.resolve(): clip for argument in arguments for clip in _expand(argument)}
    clips = sorted(found.values(), key=lambda clip: (clip.stem, str(clip)))
    _refuse_bad_stems(clips)
    _refuse_shared_stems(clips)
    return tuple(clips)


def nearest_valid_stem(stem: str) -> str:
    """Return the closest stem that a run can use: letters, digits, `.`, `_`, `-`; first no sign."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-") or "clip"


def _expand(argument: str) -> Iterable[Path]:
    path = Path(argument).expanduser()
    if path.is_dir():
        return _clips_in(path)
    if path.exists():
        return (path,)
    if glob.has_magic(argument):
        return _clips_matching(str(path))
    raise ClipError(
        f"{argument!r} does not exist{_nearest_file(path)}.",
        expected=EXPECTED_CLIP,
        remedy="Check the path.",
        code="input.clip_missing",
    )


def _clips_in(folder: Path) -> Iterable[Path]:
    clips = [path for path in sorted(folder.iterdir()) if _looks_like_a_clip(path)]
    if not clips:
        raise ClipError(
            f"The folder {str(folder)!r} holds no clip.",
            expected=f"files that end in {', '.join(sorted(VIDEO_SUFFIXES))} directly in the folder",
            remedy="Name the folder that the clips lie in, or the clips themselves.",
            code="input.folder_without_clips",
        )
    return clips


def _clips_matching(pattern: str) -> Iterable[Path]:
    clips = [Path(match) for match in sorted(glob.glob(pattern, recursive=True)) if Path(match).is_file()]  # noqa: PTH207 - the pattern may be absolute, which Path.glob refuses
    if not clips:
        raise ClipError(
            f"The pattern {pattern!r} matches no file.",
            expected="a pattern that matches clips, for example clips/*.mp4",
            remedy="Check the pattern.",
            code="input.pattern_without_clips",
        )
    return clips


def _looks_like_a_clip(path: Path) -> bool:
    # A leading dot marks what file managers leave beside clips (`._a.mp4`), never a clip.
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _nearest_file(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    nearest = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {str(path.with_name(nearest[0]))!r}" if nearest else ""


def _refuse_bad_stems(clips: Sequence[Path]) -> None:
    bad = [clip for clip in clips if not STEM_PATTERN.fullmatch(clip.stem)]
    if not bad:
        return
    renames = "; ".join(f"{clip.name!r} to {nearest_valid_stem(clip.stem) + clip.suffix!r}" for clip in bad)
    raise InputError(
        f"{'A clip has a name' if len(bad) == 1 else 'Clips have names'} that a run can't use: "
        f"{', '.join(repr(str(clip)) for clip in bad)}.",
        expected="letters, digits, '.', '_' and '-' only, the first a letter or digit",
        remedy=f"Rename {renames}.",
        code="input.clip_name",
    )


def _refuse_shared_stems(clips: Sequence[Path]) -> None:
    by_stem: dict[str, Path] = {}
    for clip in clips:
        # Outputs are named by stem, and some file systems don't tell A from a.
        first = by_stem.setdefault(clip.stem.casefold(), clip)
        if first is not clip:
            raise InputError(
                f"Two clips share the stem {clip.stem!r}: {str(first)!r} and {str(clip)!r}.",
                expected="clips whose names differ in more than folder, suffix and case",
                remedy="Rename one of them.",
                code="input.clip_stem_shared",
            )
