"""Any sequence of calls, walked at random, is answered as a small model of the policy answers it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from skill_tools.journal import RunRecord
from skill_tools.registry import TOOLS, opened
from skill_tools.replay import replay as replayed
from skill_tools.settings import Settings
from skill_tools.tool import ToolResult
from tests.properties.policy_strategies import RUN_ID

ORDER = ["estimate_time", "preflight", "derive_storage_url", "prepare_dataset", "check_submission"]
VALUES = {
    "dataset": "car",
    "run_id": RUN_ID,
    "storage_url": "s3://lab",
    "gpu_platform": "gpu",
    "video": "car",
    "cosmos_model_cache_url": "s3://lab/c",
    "auto_labeling_model_cache_url": "s3://lab/a",
    "skills_dir": "/skill",
}
BATCH = {"batch": "0", "values": VALUES}
DATA: dict[str, dict[str, Any]] = {
    "preflight": {
        "flow": "augmentation_and_al",
        "engine": "osmo",
        "pool": "pool",
        "pools": ["pool"],
        "platforms": ["gpu"],
    },
    "derive_storage_url": {"storage_url": "s3://lab"},
    "prepare_dataset": {"clips": [{"video": "car", "source": "/clips/car.mp4"}]},
    "check_submission": {
        "complete": True,
        "cache_full": True,
        "pool": "pool",
        "workflow": "f",
        "batches": [BATCH],
    },
    "stage_artifacts": {"run_local_dir": "/clips/run", "variants": ["car_aug0"], "disclosure": ""},
    "render_compare": {"comparisons": [{"name": "car_aug0"}]},
}


class PolicyMachine(RuleBasedStateMachine):
    """Calls go the real road, rules and journal included; only the tools' steps do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vda-machine-"))
        self.opening = opened(Settings.read(workspace=self.folder, environ={}))
        self.context = self.opening.__enter__()
        record = {
            "flow": "augmentation_and_al",
            "workflow_file": "f",
            "engine": "osmo",
            "engine_reason": "asked",
        }
        self.context.journal.start(
            RunRecord(run_id=RUN_ID, created=1.0, cookbook="piazza", clips=("/clips/car.mp4",), **record)  # type: ignore[arg-type]
        )
        self.green: set[str] = set()
        self.sent = False

    def teardown(self) -> None:
        """Take the workspace away."""
        self.opening.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def refusing(self, tool: str, **arguments: Any) -> set[str]:
        """Ask the road about a call, and return the rules that refuse it."""
        verb = TOOLS[tool]
        ruling = self.context.before(verb, verb.input_model.model_validate({"run_id": RUN_ID, **arguments}))
        return {one.rule for one in ruling.decisions if one.outcome in {"deny", "ask"}}

    def passes(self, tool: str) -> None:
        """Write that a tool was green."""
        result = ToolResult(ok=True, tool=tool, run_id=RUN_ID, status="done", data=DATA.get(tool, {}))
        self.context.journal.record(RUN_ID, {}, result)
        self.green.add(tool)

    @rule(tool=st.sampled_from(["estimate_time", "derive_storage_url"]))
    def look(self, tool: str) -> None:
        """Look, which is never refused."""
        assert self.refusing(tool) == set()
        self.passes(tool)

    @rule()
    def preflight(self) -> None:
        """Check what is there, which may set credentials, so the overview comes first."""
        expected = set() if "estimate_time" in self.green else {"ETA-FIRST"}
        assert self.refusing("preflight") == expected
        if not expected:
            self.passes("preflight")

    @rule(clips=st.sampled_from([[], ["/clips/car.mp4"], ["/clips/bus.mp4"], ["/clips/car.mp4", "/x.mp4"]]))
    def prepare(self, clips: list[str]) -> None:
        """Prepare the user's clips and no others, after the overview."""
        expected = set() if "estimate_time" in self.green else {"ETA-FIRST"}
        expected |= set() if set(clips) <= {"/clips/car.mp4"} else {"INPUT-KEEP"}
        assert self.refusing("prepare_dataset", clips=clips) == expected
        if not expected:
            self.passes("prepare_dataset")

    @rule()
    def guard(self) -> None:
        """Guard, which is open to all; only its work needs what came before."""
        assert self.refusing("check_submission") == set()
        if {"preflight", "prepare_dataset"} <= self.green:
            self.passes("check_submission")

    @rule(
        changed=st.sampled_from(
            [{}, {"gpu_platform": "h100"}, {"video": "bus"}, {"storage_url": "s3://x"}, {"dataset": ""}]
        ),
        given=st.booleans(),
        pool=st.sampled_from([None, "pool", "other"]),
    )
    def submit(self, changed: dict[str, str], given: bool, pool: str | None) -> None:
        """All that has to come before, the very values, once."""
        arguments: dict[str, Any] = {"values": {**VALUES, **changed}} if given else {}
        refused = self.refusing("submit", **arguments, **({"pool": pool} if pool else {}))
        expected = set() if "estimate_time" in self.green else {"ETA-FIRST"}
        expected |= set() if "preflight" in self.green else {"PREFLIGHT-FIRST"}
        expected |= {"POOL-ONLINE"} if pool == "other" and "preflight" in self.green else set()
        if "check_submission" not in self.green or (given and changed):
            expected.add("GUARD-FIRST")
        expected |= {"SUBMIT-STAMP"} if self.sent else set()
        if given:
            expected |= self._of_values(changed)
        assert refused == expected
        if not refused:
            assert self.context.journal.claim(RUN_ID, "0", VALUES, "pool")
            self.context.journal.settle(RUN_ID, "0", "sent", "car-1")
            self.sent = True

    def _of_values(self, changed: dict[str, str]) -> set[str]:
        """Return what the values themselves break."""
        found = set() if "derive_storage_url" in self.green else {"STORAGE-DERIVE"}
        if "gpu_platform" in changed and "preflight" in self.green:
            found.add("PLATFORM-EXACT")
        if "video" in changed and "prepare_dataset" in self.green:
            found.add("INPUT-KEEP")
        if "storage_url" in changed and "derive_storage_url" in self.green:
            found.add("STORAGE-NO-STALE")
        if "dataset" in changed:
            found.add("SUBMIT-COMPLETE")
        return found

    @rule()
    def stage(self) -> None:
        """Staging waits for the run to be sent; the rules leave that to the engine's storage."""
        assert self.refusing("stage_artifacts") == set()
        if self.sent:
            self.passes("stage_artifacts")

    @rule(folder=st.sampled_from([None, "/clips/run", "/etc"]))
    def render(self, folder: str | None) -> None:
        """From the staged copy, in the workspace."""
        expected = set()
        if "stage_artifacts" not in self.green or folder == "/etc":
            expected.add("RENDER-LOCAL")
        if folder:
            expected.add("STAGE-WORKSPACE")
        assert self.refusing("render_compare", **({"run_local_dir": folder} if folder else {})) == expected
        if not expected:
            self.passes("render_compare")

    @rule()
    def report(self) -> None:
        """Complete only with the evidence."""
        whole = {"stage_artifacts", "render_compare"} <= self.green
        assert self.refusing("report") == (set() if whole else {"EVIDENCE-REQUIRED"})
        if whole:
            self.passes("report")

    @rule(bubble=st.sampled_from(["The run is complete.", "Shall I go on?", "Preflight is green."]))
    def say(self, bubble: str) -> None:
        """Claims need the report, questions a reason."""
        expected = {"The run is complete.": {"EVIDENCE-REQUIRED"}, "Shall I go on?": {"ASK-NEVER"}}.get(
            bubble, set()
        )
        if "report" in self.green:
            expected -= {"EVIDENCE-REQUIRED"}
        assert self.refusing("check_message", messages=[{"body": bubble}]) == expected

    @rule(tool=st.sampled_from(["submit", "render_compare", "report"]))
    def call(self, tool: str) -> None:
        """Call and be refused: on record, with a correction that breaks the rule no more."""
        if not self.refusing(tool):
            return
        result = TOOLS[tool].call({"run_id": RUN_ID}, self.context)
        assert result.status in {"denied", "needs_input"}
        corrected = result.decisions[0].corrected
        assert corrected
        assert result.decisions[0].rule not in self.refusing(corrected.tool, **corrected.arguments)

    @rule()
    def replay(self) -> None:
        """Make every decision so far again."""
        assert replayed(RUN_ID, self.context.journal).same


PolicyMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPolicyMachine = PolicyMachine.TestCase
TestPolicyMachine.__doc__ = "A walk of any calls in any order is answered as the model says."
