"""The user's clips in the storage: whole, equal, sent once, and never over somebody else's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from skill_tools.media.probe import probe
from skill_tools.tool import ToolResult
from tests.tools.workspace_bench import Workspace


def prepared(workspace: Workspace, *clips: str, **wanted: Any) -> ToolResult:
    """Begin a run and bring its clips into the storage."""
    run_id = workspace.begin(*clips, **wanted)
    workspace.pass_until(run_id, "prepare_dataset")
    return workspace.call("prepare_dataset", run_id=run_id)


def stored(workspace: Workspace, dataset: str) -> dict[str, bytes]:
    """Return the files of a data set."""
    folder = workspace.settings.local_storage / "datasets" / dataset
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_clips_lie_flat_under_their_stems_and_are_the_given_bytes(workspace: Workspace) -> None:
    """An MP4 is sent as it is; the result says how each clip came there and what it is."""
    clip = workspace.clip()
    result = prepared(workspace, clip)
    assert result.ok
    assert stored(workspace, "car") == {"car.mp4": Path(clip).read_bytes()}
    (told,) = result.data["clips"]
    assert (told["video"], told["how"], told["sent"], told["frames"]) == ("car", "copied", True, 12)
    assert not (workspace.settings.state_dir / "incoming" / str(result.run_id)).exists()


def test_what_is_there_and_equal_is_not_sent_again(workspace: Workspace) -> None:
    """A second run of the same clip finds it, sends nothing, and the file is not touched."""
    clip = workspace.clip()
    prepared(workspace, clip)
    file = workspace.settings.local_storage / "datasets" / "car" / "car.mp4"
    before = file.stat()
    again = prepared(workspace, clip)
    assert (again.data["sent"], again.data["already_there"]) == (0, 1)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_another_clip_of_one_stem_goes_to_a_place_of_its_own(workspace: Workspace) -> None:
    """A data set's name made from clips never meets other clips; the same clips always meet."""
    first, second = workspace.clip("a/car.mp4"), workspace.clip("b/car.mp4", shade=120)
    places = [prepared(workspace, clip).data["dataset"] for clip in (first, second, first, second)]
    assert places[0] == places[2] == "car"
    assert places[1] == places[3] != "car"
    assert stored(workspace, "car")["car.mp4"] == Path(first).read_bytes()
    assert stored(workspace, str(places[1]))["car.mp4"] == Path(second).read_bytes()


def test_under_a_name_that_the_user_gave_nothing_is_replaced(workspace: Workspace) -> None:
    """Another clip of the same stem is refused there, and the one that was there stays."""
    first, second = workspace.clip("a/car.mp4"), workspace.clip("b/car.mp4", shade=120)
    assert prepared(workspace, first, dataset="traffic").ok
    refused = prepared(workspace, second, dataset="traffic")
    assert refused.problem
    assert (refused.problem.code, refused.exit_code) == ("input.clip_taken", 2)
    assert stored(workspace, "traffic") == {"car.mp4": Path(first).read_bytes()}
    assert "nothing was replaced" in refused.problem.remedy


def test_new_clips_join_a_named_data_set(workspace: Workspace) -> None:
    """A further clip is added beside those that are there; only it is sent."""
    car, bus = workspace.clip("car.mp4"), workspace.clip("bus.mp4", shade=80)
    prepared(workspace, car, dataset="traffic")
    result = prepared(workspace, car, bus, dataset="traffic")
    assert (result.data["sent"], result.data["already_there"]) == (1, 1)
    assert stored(workspace, "traffic").keys() == {"car.mp4", "bus.mp4"}


def test_a_folder_gives_the_data_set_its_name(workspace: Workspace) -> None:
    """Several clips of one folder become a data set that is called like it."""
    workspace.clip("junction 7/car.mp4")
    workspace.clip("junction 7/bus.mp4", shade=80)
    result = prepared(workspace, str(workspace.folder / "clips" / "junction 7"))
    assert result.data["dataset"] == "junction_7"


def test_a_clip_that_was_changed_after_the_run_began_is_another_clip(workspace: Workspace) -> None:
    """A clip that is gone or broken by then is an error of the clip; the storage stays empty."""
    clip = Path(workspace.clip())
    run_id = workspace.begin(str(clip))
    workspace.pass_until(run_id, "prepare_dataset")
    whole = clip.read_bytes()
    clip.unlink()
    gone = workspace.call("prepare_dataset", run_id=run_id)
    clip.write_bytes(b"no video any more")
    broken = workspace.call("prepare_dataset", run_id=run_id)
    for result in (gone, broken):
        assert (result.ok, result.exit_code) == (False, 2)
    assert not (workspace.settings.local_storage / "datasets").exists()
    clip.write_bytes(whole)
    assert workspace.call("prepare_dataset", run_id=run_id).ok


def test_a_data_set_that_is_there_already_is_looked_at_and_not_changed(workspace: Workspace) -> None:
    """A run over a data set's URL lists its clips and sends nothing; an empty one is bad input."""
    prepared(workspace, workspace.clip(), dataset="traffic")
    before = stored(workspace, "traffic")
    url = f"file://{workspace.settings.local_storage}/datasets/traffic"
    result = prepared(workspace, dataset_url=url)
    assert ([clip["video"] for clip in result.data["clips"]], result.data["sent"]) == (["car"], 0)
    assert stored(workspace, "traffic") == before
    empty = prepared(workspace, dataset_url=url.replace("traffic", "nothing"))
    assert empty.problem
    assert (empty.problem.code, empty.exit_code) == ("input.empty_dataset", 2)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_another_container_becomes_an_mp4_of_the_same_frames(workspace: Workspace, suffix: str) -> None:
    """What workers read is always `<stem>.mp4`; the user's file is not touched."""
    clip = Path(workspace.clip())
    other = clip.with_name(f"bus{suffix}")
    shutil.copy(clip, other)
    given = other.read_bytes()
    result = prepared(workspace, str(other))
    assert result.ok, result.problem
    assert probe(workspace.settings.local_storage / "datasets" / "bus" / "bus.mp4").frames == 12
    assert other.read_bytes() == given
