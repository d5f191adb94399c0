"""What a caller gets wrong: one clear error, the nearest choice, and a workspace as it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skill_tools.tool import ToolResult
from tests.tools.workspace_bench import Workspace, make_clip


def refused(workspace: Workspace, **arguments: Any) -> ToolResult:
    """Call select_flow, and hold to it that it was refused whole: no file, no run, exit code 2."""
    result = workspace.call("select_flow", **{"engine": "local", **arguments})
    assert not result.ok
    assert (result.status, result.exit_code) == ("failed", 2)
    assert result.problem
    assert result.problem.message
    assert result.problem.expected
    assert result.problem.remedy
    assert result.problem.retry == "after_fix"
    assert result.run_id is None
    assert not workspace.root.exists()
    return result


def said(result: ToolResult) -> str:
    """Return all words of a problem."""
    assert result.problem
    return f"{result.problem.message} {result.problem.expected} {result.problem.remedy}"


def _missing(folder: Path) -> Path:
    make_clip(folder / "junction.mp4")
    return folder / "juncton.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _truncated(folder: Path) -> Path:
    whole = make_clip(folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    return folder / "cut.mp4"


def _text(folder: Path) -> Path:
    (folder / "notes.mp4").write_text("these are notes\n" * 500)
    return folder / "notes.mp4"


def _folder_without_clips(folder: Path) -> Path:
    (folder / "papers").mkdir()
    (folder / "papers" / "notes.txt").touch()
    return folder / "papers"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "junction.mp4"),
        (_empty, "empty"),
        (_truncated, "cut.mp4"),
        (_text, "notes.mp4"),
        (_folder_without_clips, "holds no clip"),
        (lambda folder: folder / "*.mov", "matches no file"),
    ],
    ids=["missing", "empty", "truncated", "not a video", "folder without clips", "pattern without clips"],
)
def test_a_clip_that_is_none_is_refused_by_name(
    workspace: Workspace, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    """A file, folder or pattern that gives no clip is named, and nothing is made."""
    assert words in said(refused(workspace, clips=[str(make(tmp_path))]))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("my car.mp4", "my_car.mp4"),
        ('the "red" car.mp4', "the_red_car.mp4"),
        ("it's.mp4", "it_s.mp4"),
        ("Straße.mp4", "Stra_e.mp4"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}.mp4", "cafe.mp4"),
        ("-rf.mp4", "rf.mp4"),
        ("a;b.mp4", "a_b.mp4"),
        ("$(id).mp4", "id.mp4"),
    ],
)
def test_a_name_that_a_run_cannot_use_gets_its_nearest_valid_one(
    workspace: Workspace, name: str, nearest: str
) -> None:
    """Spaces, quotes, other letters, signs and a leading dash are refused with the name to rename to."""
    result = refused(workspace, clips=[workspace.clip(name)])
    assert result.problem
    assert result.problem.code == "input.clip_name"
    if name != "Straße.mp4":
        assert repr(nearest) in result.problem.remedy


def test_two_clips_of_one_stem_are_refused_with_both_paths(workspace: Workspace) -> None:
    """Runs name their files by stem, so two clips of one stem never start."""
    first, second = workspace.clip("a/car.mp4"), workspace.clip("b/car.mov")
    text = said(refused(workspace, clips=[first, second]))
    assert first in text
    assert second in text


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        ({"flow": "e3e"}, "e2e"),
        ({"flow": "augmentation and all"}, "augmentation_and_al"),
        ({"cookbook": "city_trafic"}, "city_traffic"),
        ({"variables": {"wether": "rain"}}, "weather"),
        ({"variables": {"weather": "rian"}}, "rain"),
        ({"engine": "lokal"}, "local"),
        ({"dataset": "9 lives"}, "clips_9_lives"),
        ({"variants": 0}, "variants"),
        ({"variants": 65}, "64"),
        ({"variables": {"weather": ""}}, "weather"),
        ({"dataset_url": "s3:/lab/datasets/cars"}, "s3://bucket"),
        ({"claps": ["car.mp4"]}, "clips"),
        ({"clips": "car.mp4"}, "clips"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_unknown_choice_gets_the_nearest_valid_one(
    workspace: Workspace, arguments: dict[str, Any], nearest: str
) -> None:
    """A flow, cookbook, variable, value, engine or argument that isn't one names what was probably meant."""
    given = {"clips": [workspace.clip()], **arguments}
    if "dataset_url" in arguments:
        given["clips"] = []
    assert nearest in said(refused(workspace, **given))


@pytest.mark.parametrize("name", ["\0", "car\0.mp4", "\ud800.mp4", "", "a" * 5_000], ids=repr)
def test_a_path_that_no_system_can_have_stops_at_the_door(workspace: Workspace, name: str) -> None:
    """NUL, half a character, nothing at all and no end are refused before any file is looked at."""
    refused(workspace, clips=[name])
    denied = workspace.call("stage_artifacts", run_id="run-00000000", run_local_dir=name)
    assert (denied.ok, denied.exit_code) == (False, 2)


def test_clips_and_a_data_set_at_once_are_refused(workspace: Workspace) -> None:
    """A run has one input: clips from here, or a data set that lies in a storage."""
    result = refused(workspace, clips=[workspace.clip()], dataset_url="s3://lab/datasets/cars")
    assert result.problem
    assert result.problem.code == "input.two_inputs"


def test_one_bad_clip_among_good_ones_begins_nothing(workspace: Workspace, tmp_path: Path) -> None:
    """A run begins with all of its clips or not at all."""
    refused(workspace, clips=[workspace.clip(), str(_text(tmp_path))])


def test_an_unknown_run_is_refused_by_every_tool_that_takes_one(workspace: Workspace) -> None:
    """A run id that nobody began leaves no journal behind, whichever tool is asked."""
    for tool in (
        "estimate_time",
        "preflight",
        "prepare_dataset",
        "submit",
        "poll",
        "logs",
        "cancel",
        "report",
    ):
        result = workspace.call(tool, run_id="run-00000000")
        assert result.problem
        assert (result.problem.code, result.exit_code) == ("input.unknown_run", 2), tool
    assert not workspace.root.exists()


@pytest.mark.parametrize("run_id", ["", "run-1", "run-0000000G", "../../etc", "run-00000000\n", 7, None])
def test_a_run_id_of_another_form_is_refused(workspace: Workspace, run_id: object) -> None:
    """A run id is `run-` and eight hexadecimal digits; anything else never reaches a file name."""
    result = workspace.call("poll", run_id=run_id)
    assert result.problem
    assert (result.problem.code, result.exit_code) == ("input.invalid", 2)
    assert not workspace.root.exists()


def test_an_unknown_tool_gets_the_nearest_one(workspace: Workspace) -> None:
    """A mistyped tool is a result with its nearest name, no exception."""
    result = workspace.call("select_flo")
    assert result.problem
    assert (result.problem.code, result.exit_code) == ("input.unknown_tool", 2)
    assert "select_flow" in result.problem.remedy


@pytest.mark.parametrize("place", ["a file", "below a file", "a folder that nobody can make"])
def test_a_workspace_that_cannot_be_used_is_an_error_in_words(workspace: Workspace, place: str) -> None:
    """A workspace in a place where no folder can be made is the caller's to put right."""
    blocking = workspace.folder / "notes.txt"
    blocking.touch()
    folders = {
        "a file": blocking,
        "below a file": blocking / "runs",
        "a folder that nobody can make": Path("/proc/vda_workspace"),
    }
    finished = workspace.vda("run", workspace.clip(), "--engine", "local", "--workspace", str(folders[place]))
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "workspace" in finished.stderr
    assert blocking.read_bytes() == b""


def test_a_damaged_journal_is_an_error_in_words_and_stays_as_it_is(workspace: Workspace) -> None:
    """A journal that is none is named; it is neither repaired nor replaced."""
    file = workspace.settings.journal_file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all, but somebody's file" * 50)
    result = workspace.call("select_flow", clips=[workspace.clip()], engine="local")
    assert result.problem
    assert (result.problem.code, result.exit_code) == ("input.workspace", 2)
    assert file.read_bytes().startswith(b"no database at all")
