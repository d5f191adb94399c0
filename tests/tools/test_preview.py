"""A preview takes the one road, is shown by one media line, and is written where it may be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skill_tools.media.probe import probe
from skill_tools.tools.preview import variant_seed
from tests.tools.workspace_bench import REPOSITORY, Workspace, make_clip, rules_in

RAIN = {"weather": "rain"}


def test_a_preview_is_one_picture_and_what_is_on_it(workspace: Workspace) -> None:
    """The words name values and strengths, the media line the file; both are in the result."""
    result = workspace.call("preview", clip=workspace.clip(), variables=RAIN, strengths={"weather": 0.7})
    assert (result.ok, result.run_id, rules_in(result)) == (True, None, [])
    words, media = result.messages
    assert "weather=rain (0.70), surface=wet" in words.body
    assert "weather=rain implies surface=wet." in words.body
    path = Path(media.body.removeprefix("MEDIA:"))
    assert path.is_relative_to(workspace.root / "media/vda/previews")
    assert result.data["path"] == str(path)


def test_the_command_prints_what_the_tool_says(workspace: Workspace) -> None:
    """`vda preview` is a front of the tool: the same words, the same refusals, the same exit codes."""
    clip = workspace.clip()
    done = workspace.vda("preview", clip, "--set", "weather=snow", "--video", "--output", "snow.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"MEDIA:{workspace.root / 'snow.mp4'}"
    assert probe(workspace.root / "snow.mp4").width == 320
    for words, code in (
        (["--set", "weather=rainy"], 2),
        (["--strength", "x"], 2),
        (["--output", "/x.png"], 4),
    ):
        refused = workspace.vda("preview", clip, *words)
        assert (refused.returncode, refused.stdout) == (code, "")
        assert refused.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ({"variables": {"weather": "rainy"}}, "input.unknown_value", "'rain'"),
        ({"variables": {"wether": "rain"}}, "input.unknown_variable", "'weather'"),
        ({"grid": ["weather"], "kind": "video"}, "input.grid", "leave one"),
        ({"output": "look.gif"}, "input.output_name", "ending"),
        ({"clip": "none.mp4"}, "input.clip_missing", ""),
    ],
)
def test_a_wrong_wish_is_refused_with_the_right_one(
    workspace: Workspace, arguments: dict[str, Any], code: str, hint: str
) -> None:
    """What the worker refuses comes back word for word, and no picture is left."""
    result = workspace.call("preview", **{"clip": workspace.clip(), **arguments})
    assert result.problem
    assert (result.problem.code, result.exit_code) == (code, 2)
    assert hint in result.problem.remedy
    assert not (workspace.root / "media").exists()


def test_a_preview_is_not_written_outside_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    """Neither by an absolute path nor by climbing; the corrected call leaves the place to the tool."""
    for output in (str(tmp_path / "look.png"), "../look.png"):
        result = workspace.call("preview", clip=workspace.clip(), output=output)
        assert (result.status, rules_in(result)) == ("denied", ["STAGE-WORKSPACE"])
        assert "output" not in result.next[0].arguments
    assert not list(tmp_path.rglob("look.png"))


def test_a_preview_never_takes_the_clip_s_place(workspace: Workspace) -> None:
    """Also by another way to the same file; the clip stays as it was."""
    clip = make_clip(workspace.root / "clips/car.mp4")
    before = clip.read_bytes()
    for output in ("clips/car.mp4", "clips/../clips/car.mp4", str(clip)):
        result = workspace.call("preview", clip=str(clip), kind="video", variables=RAIN, output=output)
        assert (result.status, rules_in(result)) == ("denied", ["INPUT-KEEP"])
        assert workspace.follow(result.next[0]).ok
    assert clip.read_bytes() == before


def test_a_preview_is_written_over_an_earlier_preview_alone(workspace: Workspace) -> None:
    """No other film in the workspace and no file of a run, whoever made it; a picture of one's own it may."""
    run = workspace.root / "media/vda/runs/run-0a1b2c3d/display/car.png"
    film = make_clip(workspace.root / "clips/bus.mp4")
    run.parent.mkdir(parents=True)
    run.write_bytes(b"a picture of a run")
    kept = {path: path.read_bytes() for path in (film, run)}
    for output, kind in (("clips/bus.mp4", "video"), (str(run), "still")):
        result = workspace.call("preview", clip=workspace.clip(), kind=kind, variables=RAIN, output=output)
        assert (result.status, rules_in(result)) == ("denied", ["INPUT-KEEP"])
        assert workspace.follow(result.next[0]).ok
        # What the tool named itself, it may write anew.
        assert workspace.follow(result.next[0]).ok
    for _ in range(2):
        assert workspace.call("preview", clip=workspace.clip(), variables=RAIN, output="look.png").ok
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_preview_shows_a_run_s_own_variant() -> None:
    """Its seed is the one that setup draws for the variant."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import generate_configs as g;"
        "print(g.seed_of(42, 'car', 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(REPOSITORY / "scripts")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == variant_seed("car", 3)
