"""Overview, preflight, guard, one submit, stage, compare, report: in this order and no other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skill_tools.policy.engine import judge
from skill_tools.policy.rule import Facts
from skill_tools.registry import opened
from skill_tools.storage.mirror import RunMirror
from skill_tools.tool import Outcome, ToolResult
from skill_tools.tools.render_compare import RENDER_COMPARE, RenderCompareInput, RenderCompareOutput
from skill_tools.tools.stage_artifacts import StagedClip, StagedVariant
from tests.mock_osmo.bench import MockOsmo
from tests.policy.conftest import Guarded, guarded_run
from tests.tools.workspace_bench import Workspace, make_clip, rules_in


def staged(workspace: Workspace, run_id: str, *variants: str, clips: Sequence[Any] = ()) -> Path:
    """Write into the journal that a run was staged with these variants."""
    folder = workspace.settings.run_dir(run_id)
    data = {
        "run_local_dir": str(folder),
        "dataset": "car",
        "clips": list(clips),
        "variants": list(variants),
        "manifests": [],
        "files": 1,
        "seconds": 0.0,
        "disclosure": "",
    }
    result = {"ok": True, "tool": "stage_artifacts", "run_id": run_id, "status": "done", "data": data}
    workspace.pretend(ToolResult.model_validate(result))
    return folder


@pytest.mark.breaks("ETA-FIRST")
@pytest.mark.parametrize("tool", ["prepare_dataset", "ensure_cache", "submit"])
def test_nothing_changes_before_the_time_overview(workspace: Workspace, tool: str) -> None:
    """A call that changes something is refused until the overview was given; the corrected call gives it."""
    run_id = workspace.begin(workspace.clip())
    result = workspace.call(tool, run_id=run_id)
    assert (result.status, result.exit_code) == ("denied", 4)
    assert rules_in(result)[0] == "ETA-FIRST"
    assert not workspace.settings.local_storage.exists()
    assert workspace.follow(result.next[0]).tool == "estimate_time"
    assert "ETA-FIRST" not in rules_in(workspace.call(tool, run_id=run_id))


@pytest.mark.breaks("ETA-FIRST")
def test_on_a_cluster_the_preflight_waits_for_the_overview_too(tmp_path: Path, mock_osmo: MockOsmo) -> None:
    """There it may set credentials; no key reaches the cluster before the overview."""
    workspace = Workspace(tmp_path, {**mock_osmo.environ, "HF_TOKEN": "hf_" + "a" * 30})
    run_id = workspace.begin(workspace.clip(), engine="osmo")
    result = workspace.call("preflight", run_id=run_id, no_probe=True)
    assert (result.status, rules_in(result)) == ("denied", ["ETA-FIRST"])
    assert not mock_osmo.asked("credential", "set")


@pytest.mark.keeps("ETA-FIRST", "PREFLIGHT-FIRST", "GUARD-FIRST", "SUBMIT-STAMP")
@pytest.mark.breaks("SUBMIT-STAMP")
def test_a_run_in_order_is_submitted_once(workspace: Workspace) -> None:
    """After overview, preflight and guard the submit goes through; a second one is sent to poll."""
    run_id = guarded_run(workspace).run_id
    sent = workspace.call("submit", run_id=run_id)
    try:
        assert (sent.ok, sent.status, rules_in(sent)) == (True, "running", [])
        again = workspace.call("submit", run_id=run_id)
        assert (again.status, rules_in(again)) == ("denied", ["SUBMIT-STAMP"])
        assert again.next[0].tool == "poll"
        followed = workspace.follow(again.next[0])
        assert [one["workflow_id"] for one in followed.data["workflows"]] == [
            one["workflow_id"] for one in sent.data["workflows"]
        ]
    finally:
        workspace.call("cancel", run_id=run_id)
    with workspace.journal() as journal:
        assert [one.state for one in journal.submissions(run_id) if one.batch == "0"] == ["sent"]


@pytest.mark.breaks("PREFLIGHT-FIRST")
def test_no_submit_without_a_green_preflight(workspace: Workspace) -> None:
    """The corrected call is the preflight of this run, which then passes."""
    run_id = workspace.begin(workspace.clip())
    workspace.call("estimate_time", run_id=run_id)
    result = workspace.call("submit", run_id=run_id)
    assert (result.status, rules_in(result)[0]) == ("denied", "PREFLIGHT-FIRST")
    assert result.next[0].tool == "preflight"
    assert workspace.follow(result.next[0]).ok


@pytest.mark.breaks("PREFLIGHT-FIRST")
def test_a_preflight_for_another_engine_or_flow_counts_for_nothing(guarded: Guarded) -> None:
    """A green preflight is one of the same flow and engine."""
    with guarded.workspace.journal() as journal:
        run = journal.run(guarded.run_id)
        passed = journal.passed_by_tool(guarded.run_id)
    for changed in ({"engine": "osmo"}, {"flow": "e2e"}, {"flow": None}):
        other = {**passed, "preflight": {**passed["preflight"], **changed}}
        facts = Facts("submit", {"run_id": run.run_id}, guarded.workspace.root, run, other)
        assert [one.rule for one in judge(["PREFLIGHT-FIRST"], facts).decisions] == ["PREFLIGHT-FIRST"]


@pytest.mark.breaks("GUARD-FIRST")
def test_no_submit_without_a_green_guard(workspace: Workspace) -> None:
    """The corrected call is the guard, which then passes."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "check_submission")
    result = workspace.call("submit", run_id=run_id)
    assert (result.status, rules_in(result)) == ("denied", ["GUARD-FIRST"])
    assert result.next[0].tool == "check_submission"
    assert workspace.follow(result.next[0]).ok


@pytest.mark.breaks("GUARD-FIRST")
@pytest.mark.parametrize(
    ("changed", "name"),
    [({"cookbook": "piazza"}, "cookbook"), ({"dataset": "other"}, "dataset"), ({"extra": "1"}, "extra")],
)
def test_values_that_the_guard_did_not_see_are_not_submitted(
    guarded: Guarded, changed: dict[str, str], name: str
) -> None:
    """A submit carries the very values that were checked; what differs is named."""
    values = guarded.with_values(**changed)
    result = guarded.workspace.call("submit", run_id=guarded.run_id, values=values)
    assert (result.status, rules_in(result)) == ("denied", ["GUARD-FIRST"])
    assert result.decisions[0].facts["changed"] == [name]
    shown = guarded.workspace.call("submit", **{**result.next[0].arguments, "dry_run": True})
    assert (shown.ok, shown.data["dry_run"]) == (True, True)


@pytest.mark.breaks("RENDER-LOCAL")
def test_nothing_is_rendered_before_it_is_staged(guarded: Guarded) -> None:
    """The comparison is made from the staged copy, so staging comes first."""
    result = guarded.workspace.call("render_compare", run_id=guarded.run_id)
    assert (result.status, rules_in(result)) == ("denied", ["RENDER-LOCAL"])
    assert result.next[0].tool == "stage_artifacts"


@pytest.mark.breaks("RENDER-LOCAL")
def test_nothing_is_rendered_from_another_folder(workspace: Workspace) -> None:
    """Another folder of the workspace is not the run's staged copy."""
    run_id = workspace.begin(workspace.clip())
    folder = staged(workspace, run_id, "car_aug0")
    other = str(workspace.root / "media" / "elsewhere")
    result = workspace.call("render_compare", run_id=run_id, run_local_dir=other)
    assert (result.status, rules_in(result)) == ("denied", ["RENDER-LOCAL"])
    assert result.next[0].arguments["run_local_dir"] == str(folder)


@pytest.mark.keeps("RENDER-LOCAL")
def test_the_staged_copy_is_what_is_rendered(workspace: Workspace) -> None:
    """By the run's id or by its staged folder, the rule has nothing to say."""
    run_id = workspace.begin(workspace.clip())
    folder = staged(workspace, run_id)
    for more in ({}, {"run_local_dir": str(folder)}):
        assert rules_in(workspace.call("render_compare", run_id=run_id, **more)) == []


@pytest.mark.breaks("RENDER-LOCAL")
@pytest.mark.keeps("RENDER-LOCAL")
@pytest.mark.parametrize(("left", "right", "frames"), [(12, 12, 12), (12, 9, 9), (9, 12, 9)])
def test_a_film_is_as_long_as_the_shorter_of_its_sides(
    workspace: Workspace, left: int, right: int, frames: int
) -> None:
    """What was rendered is counted again; a film that lacks a frame, or is no film, is refused."""
    run_id = workspace.begin(workspace.clip())
    film = pair_of_clips(workspace, run_id, left, right)
    result = workspace.call("render_compare", run_id=run_id)
    assert (result.ok, rules_in(result)) == (True, [])
    with opened(workspace.settings) as context:
        outcome = Outcome(RenderCompareOutput.model_validate(result.data))
        told = RENDER_COMPARE.witness(outcome)["films"]["car_aug0"]
        assert told == {"frames": frames, "fewest": frames, "most": frames}
        ruling = context.before(RENDER_COMPARE, RenderCompareInput(run_id=run_id))
        for cut in (lambda: make_clip(film, frames=frames - 1), lambda: film.write_bytes(b"no film")):
            cut()
            decisions = context.after(RENDER_COMPARE, ruling, outcome).decisions
            assert "RENDER-LOCAL" in [one.rule for one in decisions]


def pair_of_clips(workspace: Workspace, run_id: str, left: int, right: int) -> Path:
    """Stage a clip and a variant of so many frames; return where their side by side will lie."""
    mirror = RunMirror(workspace.settings.run_dir(run_id))
    make_clip(mirror.input("car"), frames=left)
    make_clip(mirror.variant("car", 0), frames=right)
    variant = StagedVariant(
        name="car_aug0",
        aug_idx=0,
        video=str(mirror.variant("car", 0)),
        labels_dir=None,
        sampled_vars={"weather": "rain"},
    )
    clip = StagedClip(video="car", input=str(mirror.input("car")), labels_dir=None, variants=[variant])
    staged(workspace, run_id, "car_aug0", clips=[clip.model_dump(mode="json")])
    return mirror.compare("car", "car", 0)


@pytest.mark.breaks("EVIDENCE-REQUIRED")
def test_a_run_is_not_complete_before_it_is_staged_and_compared(workspace: Workspace) -> None:
    """First the files, then the side by side of every variant; only then the report."""
    run_id = workspace.begin(workspace.clip())
    early = workspace.call("report", run_id=run_id)
    assert (early.status, rules_in(early)) == ("denied", ["EVIDENCE-REQUIRED"])
    assert early.next[0].tool == "stage_artifacts"
    staged(workspace, run_id, "car_aug0", "car_aug1")
    unseen = workspace.call("report", run_id=run_id)
    assert (unseen.status, rules_in(unseen)) == ("denied", ["EVIDENCE-REQUIRED"])
    assert unseen.next[0].tool == "render_compare"
    assert unseen.decisions[0].facts["missing"] == ["car_aug0", "car_aug1"]


@pytest.mark.keeps("EVIDENCE-REQUIRED")
def test_a_flow_without_variants_needs_no_comparison(workspace: Workspace) -> None:
    """Where there is nothing to compare, staging is evidence enough."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    staged(workspace, run_id)
    assert rules_in(workspace.call("report", run_id=run_id)) == []
