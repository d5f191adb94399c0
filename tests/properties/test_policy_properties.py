"""For every call that can be written: the policy decides, always the same, and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skill_tools.flows.values import REQUIRED_VALUES
from skill_tools.journal import RunRecord
from skill_tools.policy.engine import RULES, judge
from skill_tools.policy.rule import Facts
from skill_tools.registry import TOOLS

RUN = RunRecord(
    run_id="run-0a1b2c3d",
    created=0,
    flow="e2e",
    workflow_file="assets/configs/osmo/e2e.yaml",
    engine="local",
    engine_reason="it was asked for",
    cookbook="piazza",
    clips=("/clips/car.mp4",),
)
VALUES = {name: "s3://lab/x" if name.endswith("_url") else "x" for name in REQUIRED_VALUES}
PASSED: dict[str, dict[str, Any]] = {
    "estimate_time": {},
    "preflight": {
        "flow": "e2e",
        "engine": "local",
        "pool": "local",
        "pools": ["local"],
        "platforms": ["embedded"],
    },
    "derive_storage_url": {"storage_url": "s3://lab/x"},
    "prepare_dataset": {"clips": [{"video": "car", "source": "/clips/car.mp4"}]},
    "check_submission": {"complete": True, "batches": [{"batch": "0", "values": VALUES}]},
    "stage_artifacts": {"run_local_dir": "/w/media", "variants": ["car_aug0"]},
    "render_compare": {"comparisons": [{"name": "car_aug0"}]},
}

paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
texts = st.one_of(st.text(max_size=30), st.sampled_from(["s3://lab/x", "car", "/w/media", "local", "s3://"]))
values = st.dictionaries(st.sampled_from([*REQUIRED_VALUES, "extra"]), texts, max_size=9)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "request": texts,
        "flow": texts,
        "clips": st.lists(paths, max_size=3),
        "dataset_url": texts,
        "video": texts,
        "values": values,
        "pool": texts,
        "dry_run": st.booleans(),
        "repository": texts,
        "run_local_dir": st.one_of(paths, st.just("/w/media")),
        "input_local_video": paths,
    },
)
facts = st.builds(
    Facts,
    tool=st.sampled_from(sorted(TOOLS)),
    arguments=arguments,
    workspace=st.just(Path("/w")),
    run=st.sampled_from([None, RUN]),
    passed=st.lists(st.sampled_from(sorted(PASSED)), unique=True).map(
        lambda names: {n: PASSED[n] for n in names}
    ),
    secrets=st.just(frozenset({"hunter2-hunter2"})),
)


@given(facts)
def test_the_same_facts_give_the_same_decisions(given_facts: Facts) -> None:
    """Rules look at nothing but the facts, so a decision log can be replayed; none of them breaks down."""
    first = judge(RULES, given_facts, clock=lambda: 1.0)
    assert judge(RULES, given_facts, clock=lambda: 1.0) == first
    for decision in first.decisions:
        assert decision.reason
        assert decision.rule in RULES
        assert decision.tool == given_facts.tool


@given(facts)
def test_only_a_rule_that_fixes_changes_the_arguments(given_facts: Facts) -> None:
    """A denial leaves the call as it was; what a fix puts in place is seen by every later rule."""
    refusing = [rule.id for rule in RULES.values() if rule.outcome in {"deny", "ask"}]
    assert judge(refusing, given_facts).arguments == given_facts.arguments
