"""`vda`: exit codes, one object with --json, help with examples, errors with the nearest word."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from skill_tools.cli import COMMANDS, main
from skill_tools.policy.engine import RULES
from skill_tools.registry import TOOLS
from skill_tools.tool import ToolResult
from tests.mock_osmo.bench import MockOsmo
from tests.tools.workspace_bench import Workspace, vda_command

LOCAL = ("--engine", "local")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vda COMMAND --help` says in a sentence what it does and shows a command line that can be copied."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert f"vda {command}" in told.partition("example:")[2]
    assert "." in told


def test_vda_alone_is_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is shown, with every command and what the exit codes mean."""
    assert main([]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS)
    assert "exit codes: 0 done or running, 2 bad input" in told


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["rn", "clip.mp4"], "did you mean 'run'?"),
        (["run", "clip.mp4", "--flw", "e2e"], "did you mean '--flow'?"),
        (["run", "clip.mp4", "--engine", "lokal"], "did you mean 'local'?"),
    ],
)
def test_a_mistyped_word_gets_the_nearest_one(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command, option or choice that isn't one leaves with 2 and names what was probably meant."""
    with pytest.raises(SystemExit) as left:
        main(words)
    told = capsys.readouterr()
    assert (left.value.code, told.out) == (2, "")
    assert nearest in told.err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "gone.mp4", *LOCAL),
        ("run", "gone.mp4", *LOCAL, "--set", "weather"),
        ("resume", "run-00000000"),
        ("cancel", "run-00000000"),
        ("logs", "run-00000000"),
        ("show", "run-00000000"),
        ("audit", "run-00000000"),
    ],
    ids=" ".join,
)
def test_with_json_an_error_is_one_object_too(workspace: Workspace, words: tuple[str, ...]) -> None:
    """Standard output is one result, the words are on standard error, the code is 2, nothing is made."""
    finished = workspace.vda(*words, "--json")
    result = ToolResult.model_validate_json(finished.stdout)
    assert (finished.returncode, result.exit_code, result.ok) == (2, 2, False)
    assert result.problem
    assert result.problem.message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not workspace.root.exists()


def test_without_json_an_error_is_words_alone(workspace: Workspace) -> None:
    """What happened, what was expected and what to do, each on a line of standard error."""
    finished = workspace.vda("run", "gone.mp4", *LOCAL)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert [line.split(":")[0].strip() for line in finished.stderr.splitlines()] == [
        "error",
        "expected",
        "do",
    ]


def test_exit_code_3_needs_a_person(workspace: Workspace) -> None:
    """A contradiction in the user's words is one question on standard error, and no run is begun."""
    request = "no augmentation please, and make rain variants of it"
    finished = workspace.vda("run", workspace.clip(), *LOCAL, "--request", request)
    assert (finished.returncode, finished.stdout) == (3, "")
    assert finished.stderr.splitlines()[0].endswith("?")
    assert json.loads(workspace.vda("runs", "--json").stdout) == []


def test_exit_code_4_is_a_rule_s_denial(workspace: Workspace) -> None:
    """A call out of order leaves with 4, and its JSON has the corrected call."""
    run_id = workspace.begin(workspace.clip())
    finished = workspace.vda("call", "submit", json.dumps({"run_id": run_id}))
    result = ToolResult.model_validate_json(finished.stdout)
    assert (finished.returncode, result.status) == (4, "denied")
    assert result.next[0].tool == "estimate_time"


def test_exit_code_5_is_the_engine_s(workspace: Workspace) -> None:
    """OSMO that was asked for by name and isn't there is the engine's failure, and begins no run."""
    finished = workspace.vda("run", workspace.clip(), "--engine", "osmo", PATH="/usr/bin:/bin")
    assert finished.returncode == 5, finished.stderr
    assert "--engine local" in finished.stderr
    assert not workspace.root.exists()


def test_call_reads_arguments_from_standard_input(workspace: Workspace) -> None:
    """`-` takes the JSON from a pipe, so that no quoting is needed."""
    arguments = json.dumps({"clips": [workspace.clip()], "engine": "local"})
    finished = subprocess.run(
        vda_command("call", "select_flow", "-", workspace=workspace.root),
        input=arguments,
        env=workspace.process_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert ToolResult.model_validate_json(finished.stdout).ok


@pytest.mark.parametrize("text", ["{", "[]", '"run"', "null", "{'run_id': 1}"])
def test_arguments_that_are_no_object_are_refused(workspace: Workspace, text: str) -> None:
    """What `vda call` takes is one JSON object; anything else is bad input."""
    finished = workspace.vda("call", "poll", text)
    result = ToolResult.model_validate_json(finished.stdout)
    assert result.problem
    assert (finished.returncode, result.problem.code) == (2, "input.json")


def test_tools_lists_all_and_describes_one(workspace: Workspace) -> None:
    """`vda tools` has every tool with its sentence; with a name, its schemas and effects."""
    listed = workspace.vda("tools").stdout
    assert all(name in listed and tool.summary in listed for name, tool in TOOLS.items())
    assert [tool["name"] for tool in json.loads(workspace.vda("tools", "--json").stdout)] == list(TOOLS)
    one = json.loads(workspace.vda("tools", "submit").stdout)
    assert one["input_schema"]["additionalProperties"] is False
    assert workspace.vda("tools", "submitt").returncode == 2


def test_policy_explains_all_rules_or_one(workspace: Workspace) -> None:
    """All in a line each; one with its sentence, the tools that ask it, and a call with what comes of it."""
    listed = workspace.vda("policy").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(RULES)
    told = workspace.vda("policy", "ETA-FIRST").stdout
    assert told.startswith("ETA-FIRST\n> The time overview always comes before the first change.\n")
    assert "`submit`: Nothing is changed before" in told
    assert "\ndeny: prepare_dataset changes something" in told
    assert "](" not in told
    assert workspace.vda("policy", "ETA-LAST").returncode == 2


def test_doctor_changes_nothing(workspace: Workspace) -> None:
    """It says of both engines what this machine has; that there is no OSMO is no failure."""
    finished = workspace.vda("doctor", "--json", PATH="/usr/bin:/bin")
    checks = {check["name"]: check["status"] for check in json.loads(finished.stdout)}
    assert finished.returncode == 0
    assert {"python", "disk", "memory", "encoder", "weights", "cookbooks"} <= checks.keys()
    assert (checks["encoder"], checks["weights"], checks["osmo"]) == ("ok", "ok", "warning")
    assert not workspace.root.exists()


def test_an_osmo_that_is_logged_in_is_seen(workspace: Workspace, mock_osmo: MockOsmo) -> None:
    """With OSMO on PATH and logged in, the doctor says as whom."""
    seen = Workspace(workspace.folder, mock_osmo.environ)
    checks = {check["name"]: check for check in json.loads(seen.vda("doctor", "--json").stdout)}
    assert checks["osmo"]["status"] == "ok", checks["osmo"]


def test_there_are_no_runs_in_a_new_workspace(workspace: Workspace) -> None:
    """Listing makes nothing, and says how to begin."""
    assert "vda run CLIP" in workspace.vda("runs").stdout
    assert json.loads(workspace.vda("runs", "--json").stdout) == []
    assert not workspace.root.exists()


def test_quiet_says_nothing_on_standard_error(workspace: Workspace) -> None:
    """With --quiet and --json there is the object and nothing else."""
    run_id = workspace.begin(workspace.clip())
    finished = workspace.vda("cancel", run_id, "--quiet", "--json")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout)["data"]["state"] == "NOT_SUBMITTED"


def test_a_reader_that_leaves_early_is_no_error(workspace: Workspace) -> None:
    """`vda … | head -1` ends without a complaint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "skill_tools.cli", "tools", "--json"],
        env=workspace.process_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_script_prints_what_the_tool_says(workspace: Workspace) -> None:
    """`vda script` shows the tool's words and leaves with its code; what is refused leaves with 4."""
    done = workspace.vda("script", "bash scripts/preflight_credentials.sh", VDA_ENGINE="local")
    assert (done.returncode, done.stdout.startswith("Preflight on local")) == (0, True)
    refused = workspace.vda("script", "bash -c id")
    assert (refused.returncode, refused.stdout) == (4, "")
