"""What leaves the house: files in the workspace, media lines that play, never a secret."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from skill_tools.registry import opened
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool, ToolResult
from skill_tools.tools.context import Context
from tests.tools.workspace_bench import Workspace, everything_in, make_clip, rules_in

TOKEN = "hf_" + "Zq9" * 10
SIGNED = "made/up+account/key+for/storage=="


class Nothing(Closed):
    """No arguments and no data."""


def showing(*messages: Message) -> Tool[Nothing, Nothing, Context]:
    """Return a tool that says these bubbles, guarded as those are that show media."""

    def steps(_given: Nothing, _context: Context) -> Outcome[Nothing]:
        return Outcome(Nothing(), messages=messages)

    return Tool("show", "Show.", Nothing, Nothing, Effects(), steps, outcome_guards=("MEDIA-FORM",))


def shown(workspace: Workspace, *messages: Message) -> ToolResult:
    """Call the tool that says these bubbles."""
    with opened(workspace.settings) as context:
        return showing(*messages).call({}, context)


@pytest.mark.breaks("STAGE-WORKSPACE")
@pytest.mark.parametrize("tool", ["stage_artifacts", "render_compare"])
def test_nothing_is_staged_or_shown_outside_the_workspace(
    workspace: Workspace, tmp_path: Path, tool: str
) -> None:
    """An absolute folder, one climbed to, and one behind a link are all outside; nothing is written."""
    run_id = workspace.begin(workspace.clip())
    outside = tmp_path / "outside"
    (workspace.root / "link").symlink_to(tmp_path)
    for folder in (str(outside), "../outside", "media/../../outside", "link/outside"):
        result = workspace.call(tool, run_id=run_id, run_local_dir=folder)
        assert (result.status, result.exit_code) == ("denied", 4)
        assert rules_in(result)[0] == "STAGE-WORKSPACE"
        assert "run_local_dir" not in result.next[0].arguments
    assert not outside.exists()


@pytest.mark.breaks("STAGE-WORKSPACE")
@pytest.mark.parametrize("tool", ["stage_artifacts", "render_compare"])
@pytest.mark.parametrize("inside", ["", "/display"])
def test_the_folder_of_another_run_stays_that_runs(workspace: Workspace, tool: str, inside: str) -> None:
    """Neither a mirror nor a side by side goes where another run's lie."""
    mine, other = (workspace.begin(workspace.clip()) for _ in range(2))
    result = workspace.call(tool, run_id=mine, run_local_dir=f"media/vda/runs/{other}{inside}")
    assert (result.status, rules_in(result)[0]) == ("denied", "STAGE-WORKSPACE")
    assert other in result.problem.message
    assert not (workspace.root / "media/vda/runs" / other).exists()


@pytest.mark.keeps("STAGE-WORKSPACE")
def test_a_run_may_name_its_own_folder(workspace: Workspace) -> None:
    """The folder that the tool would take by itself is as good when it is named, and then names the run."""
    run_id = workspace.begin(workspace.clip())
    folder = f"media/vda/runs/{run_id}"
    assert rules_in(workspace.call("stage_artifacts", run_id=run_id, run_local_dir=folder)) == []
    assert rules_in(workspace.call("render_compare", run_local_dir=folder)) == []


@pytest.mark.keeps("STAGE-WORKSPACE")
@pytest.mark.parametrize("folder", [None, "media/vda/mine", "with a space/ö"])
def test_any_folder_of_the_workspace_will_do(workspace: Workspace, folder: str | None) -> None:
    """A folder inside needs no decision: what stops the call is that the run was not submitted."""
    run_id = workspace.begin(workspace.clip())
    result = workspace.call("stage_artifacts", run_id=run_id, run_local_dir=folder)
    assert rules_in(result) == []


def _relative(clip: Path) -> Message:
    return Message(kind="media", body=f"MEDIA:{clip.name}")


def _two_lines(clip: Path) -> Message:
    return Message(kind="media", body=f"MEDIA:{clip}\nand more")


def _amid_text(clip: Path) -> Message:
    return Message(body=f"Here it is:\nMEDIA:{clip}")


def _missing(clip: Path) -> Message:
    return Message(kind="media", body=f"MEDIA:{clip}.gone")


def _no_prefix(clip: Path) -> Message:
    return Message(kind="media", body=str(clip))


def _does_not_play(clip: Path) -> Message:
    broken = clip.with_name("broken.mp4")
    broken.write_bytes(b"no video" * 100)
    return Message(kind="media", body=f"MEDIA:{broken}")


def _spaces(clip: Path) -> Message:
    return Message(kind="media", body=f"MEDIA: {clip}")


@pytest.mark.breaks("MEDIA-FORM")
@pytest.mark.parametrize(
    "bubble", [_relative, _two_lines, _amid_text, _missing, _no_prefix, _does_not_play, _spaces]
)
def test_a_media_bubble_that_is_not_one_playing_line_is_held_back(
    workspace: Workspace, tmp_path: Path, bubble: Callable[[Path], Message]
) -> None:
    """Another form, a file that is missing and one that does not play never reach a chat."""
    result = shown(workspace, bubble(make_clip(tmp_path / "car.mp4")))
    assert (result.status, result.exit_code, rules_in(result)) == ("denied", 4, ["MEDIA-FORM"])
    assert result.messages == []


@pytest.mark.keeps("MEDIA-FORM")
def test_one_line_with_a_file_that_plays_is_shown(workspace: Workspace, tmp_path: Path) -> None:
    """The media line stands alone in its bubble, spaces and quotes in its path included."""
    clip = make_clip(tmp_path / 'a "b" c' / "car.mp4")
    bubbles = [Message(body="Your clip:"), Message(kind="media", body=f"MEDIA:{clip}")]
    result = shown(workspace, *bubbles)
    assert (result.ok, result.messages, rules_in(result)) == (True, bubbles, [])


@pytest.mark.breaks("SECRET-SILENT")
def test_a_secret_in_the_arguments_stops_the_call_and_is_written_nowhere(tmp_path: Path) -> None:
    """The refusal names the argument and never the value; no file of the workspace holds it."""
    workspace = Workspace(tmp_path, {"HF_TOKEN": TOKEN})
    run_id = workspace.begin(workspace.clip())
    for arguments in (
        {"request": f"use {TOKEN} for it", "clips": [workspace.clip()], "engine": "local"},
        {"variables": {"weather": TOKEN}},
        {"run_id": run_id, "clips": [TOKEN]},
    ):
        tool = "prepare_dataset" if "run_id" in arguments else "select_flow"
        result = workspace.call(tool, **arguments)
        assert (result.status, result.exit_code, rules_in(result)[0]) == ("denied", 4, "SECRET-SILENT")
        assert TOKEN not in result.model_dump_json()
    assert TOKEN.encode() not in everything_in(workspace.root)


@pytest.mark.breaks("SECRET-SILENT")
@pytest.mark.parametrize("encoded", [quote(SIGNED, safe=""), b64encode(f"user:{SIGNED}".encode()).decode()])
def test_an_encoded_secret_stops_the_call_too(tmp_path: Path, encoded: str) -> None:
    """In a URL or a Basic header a secret is as good as plain: no run is begun that would carry it on."""
    workspace = Workspace(tmp_path, {"STORAGE_ACCESS_KEY": SIGNED})
    for wish in ({"request": f"Basic {encoded}"}, {"vlm_url": f"https://u:{encoded}@host/v1"}):
        result = workspace.call("select_flow", clips=[workspace.clip()], engine="local", **wish)
        assert (result.status, rules_in(result)[0]) == ("denied", "SECRET-SILENT")
        assert encoded not in result.model_dump_json()
    with workspace.journal() as journal:
        assert journal.runs() == []


def test_a_secret_as_an_arguments_name_is_written_nowhere(tmp_path: Path) -> None:
    """Whatever is unknown of a call, the tool's own name too, is told and kept with its secrets masked."""
    key = "nvapi-" + "k" * 40
    workspace = Workspace(tmp_path)
    workspace.begin(workspace.clip())
    results = [workspace.call("poll", **{key: {key: [key]}}), workspace.call(key)]
    assert [result.problem.code for result in results if result.problem] == [
        "input.invalid",
        "input.unknown_tool",
    ]
    assert key.encode() not in everything_in(workspace.root)
    assert all(key not in result.model_dump_json() for result in results)


@pytest.mark.parametrize("weak", ["123456", "status", "failed"])
def test_a_secret_that_stands_in_every_result_breaks_none(tmp_path: Path, weak: str) -> None:
    """A weak password may equal a number or a word of the result's own form, which stays what it is."""
    workspace = Workspace(tmp_path, {"DB_PASSWORD": weak})
    result = workspace.call("prepare_dataset", run_id="run-0a1b2c3d", at=123456)
    assert result.problem
    assert (result.ok, result.problem.code) == (False, "input.invalid")


@pytest.mark.keeps("SECRET-SILENT")
def test_a_secret_in_the_environment_is_no_matter(tmp_path: Path) -> None:
    """Keys are read from the environment: there they may be, and nowhere else do they come up."""
    workspace = Workspace(tmp_path, {"HF_TOKEN": TOKEN, "NGC_API_KEY": "nvapi-" + "k" * 40})
    run_id = workspace.begin(workspace.clip())
    result = workspace.pass_until(run_id, "prepare_dataset")
    assert "SECRET-SILENT" not in rules_in(result)
    held = everything_in(workspace.root)
    assert TOKEN.encode() not in held
    assert b"nvapi-" not in held
