"""The catalogue of flows."""

from __future__ import annotations

import pytest

from skill_tools.errors import InputError
from skill_tools.flows.catalog import ALIASES, CACHE_WORKFLOW, DEFAULT_FLOW, FLOWS, canonical_name, flow_named
from tests.flows.submit_values import CONFIGS, SKILL_DIR


def test_every_flow_alias_and_the_cache_have_their_file() -> None:
    """No file is missing from the folder, and none lies in it that nothing names."""
    named = {flow.file for flow in FLOWS.values()} | {f"{alias}.yaml" for alias in ALIASES} | {CACHE_WORKFLOW}
    assert {path.name for path in CONFIGS.iterdir()} == named
    assert flow_named("e2e").path(SKILL_DIR).is_file()


@pytest.mark.parametrize(
    "name", ["augmentation_and_al", "augmentation_and_pl", "Augmentation-and-AL", " augmentation and pl "]
)
def test_names_and_the_alias_are_taken_in_any_case(name: str) -> None:
    """A name is the same flow with dashes, blanks and capitals, and under its old name."""
    assert flow_named(name).name == DEFAULT_FLOW
    assert canonical_name(name) == DEFAULT_FLOW


def test_an_unknown_flow_is_refused_with_the_nearest_one() -> None:
    """A slip of the pen gets the name that was probably meant."""
    with pytest.raises(InputError, match="auto_labelling") as caught:
        flow_named("auto_labelling")
    assert caught.value.code == "input.unknown_flow"
    assert "auto_labeling" in caught.value.remedy
    assert canonical_name("auto_labelling") is None


def test_tasks_are_counted_as_the_workers_need_them() -> None:
    """Setup, one worker for each clip or variant, or as many as are allowed."""
    assert FLOWS["auto_labeling"].tasks(5, 3) == 6
    assert FLOWS["augmentation_and_al"].tasks(2, 3) == 13
    assert FLOWS["e2e"].tasks(2, 3) == 15
    assert FLOWS["e2e"].tasks(100, 3, workers=2) == 7
