"""TOOLS is the one list of tools: frozen, in the order of a run, each reached through `call`."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, cast

import pytest

import skill_tools
from skill_tools.registry import TOOLS, call
from skill_tools.tool import Closed
from tests.tools.workspace_bench import Workspace

IN_ORDER = (
    "select_flow",
    "estimate_time",
    "preflight",
    "derive_storage_url",
    "prepare_dataset",
    "check_submission",
    "submit",
    "poll",
    "stage_artifacts",
    "render_compare",
    "report",
)


def test_the_tools_come_in_the_order_of_a_run() -> None:
    """An agent that reads the list from its start meets the tools as it will need them."""
    assert [name for name in TOOLS if name in IN_ORDER] == list(IN_ORDER)
    assert {"prepare_demo", "ensure_cache", "logs", "cancel", "inspect_engine"} <= set(TOOLS)


def test_the_list_is_frozen() -> None:
    """Nobody adds, takes away or changes a tool at run time."""
    assert isinstance(TOOLS, MappingProxyType)
    with pytest.raises(TypeError):
        cast("dict[str, Any]", TOOLS)["more"] = TOOLS["poll"]
    with pytest.raises(AttributeError):
        TOOLS["poll"].name = "other"  # type: ignore[misc]  # that it fails is what is tested


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_has_closed_models_and_its_own_name(name: str) -> None:
    """Inputs and outputs are closed models; the key of the list is the tool's name."""
    tool = TOOLS[name]
    assert tool.name == name
    assert issubclass(tool.input_model, Closed)
    assert issubclass(tool.output_model, Closed)
    assert not (tool.effects.read_only and (tool.effects.writes_local or tool.effects.changes_remote))


@pytest.mark.parametrize("name", TOOLS)
def test_no_tool_raises_for_wrong_arguments(workspace: Workspace, name: str) -> None:
    """Whatever is passed, the answer is a result with a problem, and nothing is left behind."""
    for arguments in ({"nonsense": 1}, {"run_id": "run-00000000", "nonsense": None}, {"run_id": ["run"]}):
        result = workspace.call(name, **arguments)
        assert (result.ok, result.tool, result.exit_code) == (False, name, 2)
    assert not workspace.root.exists()


@pytest.mark.parametrize("arguments", [["run-00000000"], "run_id", 5, True])
def test_arguments_that_are_no_object_are_a_result_too(workspace: Workspace, arguments: Any) -> None:
    """What a model sends in place of an object is answered, so that it can mend its call."""
    result = call("poll", arguments, settings=workspace.settings)
    assert result.problem is not None
    assert (result.tool, result.status, result.problem.code) == ("poll", "failed", "input.json")
    assert not workspace.root.exists()


def test_the_package_s_face_shows_the_same_list() -> None:
    """`skill_tools.TOOLS` and `skill_tools.call` are the registry's."""
    assert skill_tools.TOOLS is TOOLS
    assert skill_tools.call is call


def test_a_call_without_settings_reads_the_process_s(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workspace comes from the environment where nobody gives one, and a wrong one is a result."""
    monkeypatch.setenv("VDA_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("VDA_ENGINE", "local")
    begun = call("select_flow", {"clips": [workspace.clip()]})
    assert begun.ok
    assert workspace.settings.journal_file.is_file()
    monkeypatch.setenv("VDA_ENGINE", "cloud")
    wrong = call("poll", {"run_id": begun.run_id or ""})
    assert wrong.problem
    assert (wrong.problem.code, wrong.exit_code) == ("input.engine", 2)
