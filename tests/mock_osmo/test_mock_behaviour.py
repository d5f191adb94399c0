"""What the mock does over time, and the faults that can be dialled in."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time

import pytest

from tests.mock_osmo.bench import VALUES, MockOsmo

PAIRS = [f"{key}={value}" for key, value in VALUES.items()]


def submitted(mock: MockOsmo, **environ: str) -> None:
    """Submit the small workflow."""
    file = mock.request().workflow_file
    assert mock.run("workflow", "submit", str(file), "--set-string", *PAIRS, **environ).returncode == 0


def test_states_move_on_with_every_query_and_stay_at_the_end(mock_osmo: MockOsmo) -> None:
    """A workflow is PENDING until its first group runs, then RUNNING until the last has ended."""
    submitted(mock_osmo)
    seen = []
    for _ in range(8):
        answer = json.loads(mock_osmo.run("workflow", "query", "demo-1", "-t", "json").stdout)
        seen.append(answer["status"])
    assert seen[0] == "PENDING"
    assert [status for at, status in enumerate(seen) if status not in seen[:at]] == [
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ]
    assert seen[-1] == "COMPLETED"


def test_refused_submissions_use_numbers_up_and_are_listed_apart(mock_osmo: MockOsmo) -> None:
    """A refusal leaves a FAILED_SUBMISSION, which a list shows only when asked for."""
    file = str(mock_osmo.request().workflow_file)
    wrong = [*PAIRS[:-1], "gpu_platform=nope"]
    assert mock_osmo.run("workflow", "validate", file, "--set-string", *wrong).returncode == 1
    submitted(mock_osmo)
    listed = json.loads(mock_osmo.run("workflow", "list", "-t", "json").stdout)["workflows"]
    assert [each["name"] for each in listed] == ["demo-2"]
    failed = mock_osmo.run("workflow", "list", "-t", "json", "--status", "FAILED_SUBMISSION").stdout
    assert json.loads(failed)["workflows"][0]["name"] == "demo-1"


def test_repeated_set_string_adds_up_on_main_only(mock_osmo: MockOsmo) -> None:
    """Main takes all flags, the released client the last one."""
    file = str(mock_osmo.request().workflow_file)
    repeated = [word for pair in PAIRS for word in ("--set-string", pair)]
    assert mock_osmo.run("workflow", "submit", file, *repeated).returncode == 0
    released = mock_osmo.run("workflow", "submit", file, *repeated, MOCK_OSMO_VERSION="6.3.1")
    assert released.returncode == 1
    assert "'dataset' is undefined" in released.stdout


def test_text_that_a_local_file_brings_in_is_rendered_too(mock_osmo: MockOsmo) -> None:
    """A script with `${#…}` breaks the submit, as it does on the service."""
    (mock_osmo.folder / "script.sh").write_text('echo "${#array[@]}"\n')
    file = mock_osmo.folder / "local.yaml"
    task = "{name: t, image: i, command: [x], files: [{path: /x, localpath: script.sh}]}"
    file.write_text(f"workflow: {{name: demo, tasks: [{task}]}}\n")
    finished = mock_osmo.run("workflow", "submit", str(file))
    assert finished.returncode == 1
    assert "Missing end of comment tag" in finished.stdout


def test_registry_credential_is_renamed_in_place(mock_osmo: MockOsmo) -> None:
    """A credential for the same registry replaces the other, name and all."""
    for name in ("one", "two"):
        mock_osmo.run("credential", "set", name, "--type", "REGISTRY", "--payload", "registry=r.io", "auth=a")
    assert [each["name"] for each in mock_osmo.state["credentials"]] == ["two"]


def test_logs_of_a_live_workflow_follow_until_interrupted(mock_osmo: MockOsmo) -> None:
    """On a terminal lines come at once; in a pipe nothing comes before the interrupt; then exit code 3."""
    submitted(mock_osmo)
    arguments = ["osmo", "workflow", "logs", "demo-1"]
    reader, writer = pty.openpty()
    with subprocess.Popen(arguments, stdout=writer, env=mock_osmo.environ) as following:
        os.close(writer)
        assert os.read(reader, 100).startswith(b"Workflow demo-1 has logs:")
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 3
    os.close(reader)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=mock_osmo.environ) as following:
        while len(mock_osmo.asked("workflow", "logs")) < 2:
            time.sleep(0.02)
        time.sleep(0.5)
        following.terminate()
        assert following.communicate(timeout=20)[0] == b""


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        ("die", -9),
        ("die_after_send", -9),
        ("garbage", 0),
        ("empty", 0),
        ("truncated_json", 0),
        ("exit_42", 42),
        ("http_500", 10),
        ("http_429", 75),
        ("unreachable", 10),
    ],
)
def test_faults_end_as_they_are_called(mock_osmo: MockOsmo, fault: str, exit_code: int) -> None:
    """Each fault has its exit code, and hits the command that it is dialled in for, so often."""
    dialled = {"MOCK_OSMO_FAULT": f"{fault}*1:pool list"}
    assert mock_osmo.run("profile", "list", **dialled).returncode == 0
    assert mock_osmo.run("pool", "list", "-t", "json", **dialled).returncode == exit_code
    again = mock_osmo.run("pool", "list", "-t", "json", **dialled)
    assert json.loads(again.stdout)["node_sets"]


def test_hanging_and_slow_commands_take_their_time(mock_osmo: MockOsmo) -> None:
    """A hanging command doesn't answer; a slow one does."""
    environ = {**mock_osmo.environ, "MOCK_OSMO_FAULT": "hang"}
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["osmo", "version"], env=environ, timeout=1, check=False)
    assert mock_osmo.run("version", MOCK_OSMO_FAULT="slow").returncode == 0
