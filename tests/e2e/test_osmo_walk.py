"""A run on OSMO from the clip to the report, beside the same run on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skill_tools.tool import ToolResult
from skill_tools.walk import walk
from tests.tools.osmo_bench import TOKEN, OsmoWorkspace
from tests.tools.workspace_bench import Workspace, one_object

WANTED: dict[str, Any] = {"flow": "e2e", "variables": {"weather": "rain"}, "dataset": "cars"}
ONLY_ON_OSMO = "ensure_endpoints"


def walked(workspace: Workspace, **wanted: Any) -> list[ToolResult]:
    """Walk a run to its end and return every result, those that only wait left out."""
    results: list[ToolResult] = []
    last = walk(
        WANTED | wanted, settings=workspace.settings, on_result=results.append, on_note=lambda _note: None
    )
    assert last.ok, last.problem
    assert (last.tool, last.next) == ("report", [])
    return [result for result in results if result.status != "running" or result.tool == "submit"]


def shape(value: object) -> object:
    """Return a result's fields and no figures: of a list its items' common shape, of a text its kind."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def files_below(folder: str) -> list[str]:
    """Return all files of a staged run, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_a_run_on_osmo_ends_as_one_on_this_machine_does(cluster: OsmoWorkspace) -> None:
    """Same steps, same fields, same files, same sampled values; on OSMO the model servers are seen to."""
    clip = cluster.workspace.clip(frames=4)
    cluster.more |= {"HF_TOKEN": TOKEN, "MOCK_OSMO_RUN": "1"}
    there = walked(cluster.workspace, clips=[clip], engine="osmo", storage_url="s3://lab")
    here = walked(Workspace(cluster.folder / "here"), clips=[clip], engine="local")
    steps = [result.tool for result in there]
    steps.remove(ONLY_ON_OSMO)
    assert steps == [result.tool for result in here]
    by_tool = {result.tool: result for result in there}
    for result in here:
        if result.tool in {"submit", "poll", "stage_artifacts", "render_compare"}:
            assert shape(by_tool[result.tool].data) == shape(result.data), result.tool
        else:
            assert by_tool[result.tool].data.keys() == result.data.keys()
    mine, theirs = (results[-1].data for results in (here, there))
    assert files_below(str(theirs["run_local_dir"])) == files_below(str(mine["run_local_dir"]))
    assert sampled(theirs) == sampled(mine)
    (submitted,) = cluster.mock.asked("workflow", "submit")[1:]
    assert submitted.count("--set-string") == 1


def test_a_data_set_in_the_storage_is_run_from_the_command_line(cluster: OsmoWorkspace) -> None:
    """`vda run --dataset-url` uses what lies there, sends no clip, and ends with one JSON object."""
    clip = Path(cluster.workspace.clip(frames=2))
    cluster.mock.put("s3://lab/team/datasets/cams/north.mp4", clip.read_bytes())
    cluster.fill_caches("s3://lab/team")
    cluster.more |= {"HF_TOKEN": TOKEN, "MOCK_OSMO_RUN": "1"}
    words = ("--dataset-url", "s3://lab/team/datasets/cams", "--flow", "auto_labeling", "--engine", "osmo")
    done = cluster.workspace.vda("run", *words, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    result = one_object(done.stdout)
    assert (result["tool"], result["data"]["engine"]) == ("report", "osmo")
    assert [each["video"] for each in result["data"]["clips"]] == ["north"]
    assert Path(result["data"]["report"]).is_file()
    assert cluster.mock.asked("data", "upload") == []
    assert len(cluster.mock.asked("workflow", "submit")) == 1


def test_clips_on_disk_need_a_storage(cluster: OsmoWorkspace) -> None:
    """Without one the run asks where the clips shall go, and has sent nothing."""
    cluster.more["HF_TOKEN"] = TOKEN
    done = cluster.workspace.vda("run", cluster.workspace.clip(), "--engine", "osmo", "--json", "--quiet")
    assert done.returncode == 3
    assert one_object(done.stdout)["problem"]["code"] == "needs_input.STORAGE-DERIVE"
    assert cluster.mock.asked("data", "upload") == cluster.mock.asked("workflow", "submit") == []


def sampled(report: dict[str, Any]) -> list[dict[str, str]]:
    """Return the sampled values of every variant."""
    return [variant["sampled_vars"] for clip in report["clips"] for variant in clip["variants"]]
