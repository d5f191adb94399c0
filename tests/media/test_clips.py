"""Which clips arguments name, and which names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import ClipError, InputError
from skill_tools.media.clips import STEM_PATTERN, find_clips, nearest_valid_stem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with two clips, a text file, a hidden file and a nested clip."""
    for name in ("b.mp4", "a.MOV", "notes.txt", "._b.mp4", "deep/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_its_own_clips_by_stem(folder: Path) -> None:
    """A folder stands for the video files directly in it, sorted by stem."""
    assert find_clips([str(folder)]) == (folder / "a.MOV", folder / "b.mp4")


def test_files_folders_and_patterns_mix_without_repeats(folder: Path) -> None:
    """A clip that several arguments name comes once."""
    found = find_clips([str(folder / "b.mp4"), str(folder / "*.mp4"), str(folder), str(folder / "deep")])
    assert [clip.stem for clip in found] == ["a", "b", "c"]


def test_a_folder_without_clips_is_an_error(tmp_path: Path) -> None:
    """A folder that holds no video file is refused by name."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ClipError, match="holds no clip") as caught:
        find_clips([str(tmp_path)])
    assert str(tmp_path) in caught.value.message


def test_a_pattern_without_a_match_is_an_error(tmp_path: Path) -> None:
    """A pattern that matches nothing is refused."""
    with pytest.raises(ClipError, match="matches no file"):
        find_clips([str(tmp_path / "*.mp4")])


def test_a_missing_clip_names_its_nearest_neighbour(folder: Path) -> None:
    """A mistyped name gets the file that was probably meant."""
    (folder / "junction.mp4").touch()
    with pytest.raises(ClipError, match=r"did you mean '.*junction\.mp4'"):
        find_clips([str(folder / "juncton.mp4")])


def test_no_argument_is_an_error() -> None:
    """At least one clip has to be named."""
    with pytest.raises(InputError, match="No clip"):
        find_clips([])


@pytest.mark.parametrize("other", ["deep/b.mov", "B.mkv"])
def test_two_clips_of_one_stem_are_refused(folder: Path, other: str) -> None:
    """Clips whose stems are equal, or equal but for case, are refused with both paths."""
    (folder / other).touch()
    with pytest.raises(InputError) as caught:
        find_clips([str(folder / "b.mp4"), str(folder / other)])
    assert str(folder / "b.mp4") in caught.value.message
    assert str(folder / other) in caught.value.message


@pytest.mark.parametrize(
    ("name", "renamed"),
    [
        ("my clip.mp4", "my_clip.mp4"),
        ("it's.mp4", "it_s.mp4"),
        ('a"b.mp4', "a_b.mp4"),
        ("straße.mp4", "strae.mp4"),
        ("café.mp4", "cafe.mp4"),
        ("-rf.mp4", "rf.mp4"),
        ("日本.mp4", "clip.mp4"),
    ],
)
def test_a_name_that_a_run_cannot_use_gets_the_nearest_valid_one(
    tmp_path: Path, name: str, renamed: str
) -> None:
    """A stem with spaces, quotes, other letters or a leading dash is refused with a name that works."""
    (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        find_clips([str(tmp_path / name)])
    assert caught.value.code == "input.clip_name"
    assert repr(renamed) in caught.value.remedy


@pytest.mark.parametrize("stem", ["", "...", "-", " x", "a/b", "ÄÖ", "x" * 300, "--a--"])
def test_a_proposed_stem_is_itself_valid(stem: str) -> None:
    """Whatever is put in, the proposal can be used."""
    assert STEM_PATTERN.fullmatch(nearest_valid_stem(stem))
