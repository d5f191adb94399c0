"""The barrier at a group's end, with real processes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "osmo_barrier.py"
Rank = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def rank(port: int) -> Iterator[Rank]:
    """Start ranks of one group as processes; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        number: int, size: int = 8, timeout_s: float = 30, run: str = "w-1", linger_s: float = 0
    ) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), "--rank", str(number), "--size", str(size), "--run", run]
        command += [
            "--port",
            str(port),
            "--timeout-s",
            str(timeout_s),
            "--retry-s",
            "0.05",
            "--linger-s",
            str(linger_s),
        ]
        environ = {k: v for k, v in os.environ.items() if k != "VDA_BARRIER_PORT"}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a process's exit code and output."""
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    """Read a process's output up to a line with these words."""
    assert process.stdout is not None
    assert any(words in line for line in process.stdout)


def send(port: int, line: bytes) -> bytes:
    """Say something to the lead and return what it answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()


def test_eight_ranks_end_well_and_the_lead_last(rank: Rank) -> None:
    """Reports that come before the lead serves are retried until it does."""
    others = [rank(number) for number in range(1, 8)]
    lead = rank(0)
    assert [ends(process)[0] for process in others] == [0] * 7
    code, output = ends(lead)
    assert code == 0
    assert "all 8 workers are done" in output


def test_a_late_rank_is_waited_for(rank: Rank) -> None:
    """The lead goes on waiting while one is missing."""
    lead = rank(0, size=3)
    rank(1, size=3)
    wait_for_line(lead, "rank 1 is done, 1 to go")
    assert lead.poll() is None
    late = rank(2, size=3)
    assert ends(late)[0] == 0
    assert ends(lead)[0] == 0


def test_dead_ranks_are_named_when_the_time_is_over(rank: Rank) -> None:
    """Exit 3, with the ranks that never came."""
    lead = rank(0, size=4, timeout_s=2)
    alive = rank(2, size=4)
    assert ends(alive)[0] == 0
    code, output = ends(lead)
    assert code == 3
    assert "no word from rank(s) 1, 3 within 2 s" in output


def test_a_rank_without_a_lead_gives_up_when_the_time_is_over(rank: Rank) -> None:
    """Exit 3 as well: nobody answered."""
    code, output = ends(rank(1, timeout_s=0.3))
    assert code == 3
    assert "did not answer in time" in output


def test_a_second_process_of_a_rank_is_refused(rank: Rank) -> None:
    """It ends with 4, and the lead still waits for the others."""
    lead = rank(0, size=3)
    assert ends(rank(1, size=3))[0] == 0
    code, output = ends(rank(1, size=3))
    assert code == 4
    assert "reported already" in output
    assert lead.poll() is None
    assert ends(rank(2, size=3))[0] == 0
    assert ends(lead)[0] == 0


def test_a_report_that_is_sent_again_is_accepted_again(rank: Rank, port: int) -> None:
    """The answer may get lost on its way, so the same process may ask twice."""
    lead = rank(0, size=4)
    assert ends(rank(1, size=4))[0] == 0
    report = json.dumps({"run": "w-1", "size": 4, "rank": 2, "nonce": "n"}).encode() + b"\n"
    for _ in range(2):
        assert json.loads(send(port, report)) == {"accepted": True, "reason": ""}
    assert ends(rank(3, size=4))[0] == 0
    assert ends(lead)[0] == 0


@pytest.mark.parametrize(("size", "run"), [(4, "w-1"), (3, "w-2")])
def test_a_rank_of_another_run_or_size_is_refused(rank: Rank, size: int, run: str) -> None:
    """A stray worker can't stand in for one of the group."""
    lead = rank(0, size=3)
    code, output = ends(rank(1, size=size, run=run))
    assert code == 4
    assert "another run or size" in output
    assert lead.poll() is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b'{"rank": 9}\n',
        b'{"run": "w-1", "size": 2, "rank": true}\n',
        b"x" * 9000,
    ],
)
def test_noise_on_the_port_changes_nothing(rank: Rank, port: int, line: bytes) -> None:
    """Probes, garbage and floods are ignored; the group still ends well."""
    lead = rank(0, size=2)
    wait = rank(1, size=2, run="other")
    assert ends(wait)[0] == 4
    with contextlib.suppress(OSError):  # the lead may hang up on what is too long
        send(port, line)
    assert ends(rank(1, size=2))[0] == 0
    assert ends(lead)[0] == 0


def test_a_port_that_is_taken_is_said(rank: Rank, port: int) -> None:
    """Exit 5 instead of a wait for nobody."""
    with socket.create_server(("127.0.0.1", port)):
        code, output = ends(rank(0))
    assert code == 5
    assert str(port) in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rank", "3", "--size", "3"],
        ["--rank", "-1", "--size", "3"],
        ["--rank", "0"],
        ["--rank", "0", "--size", "2", "--port", "0"],
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    """A rank outside the group, a missing size, an impossible port."""
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, check=False)
    assert done.returncode == 2


def test_a_group_of_one_has_nobody_to_wait_for() -> None:
    """It opens no port at all."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rank", "0", "--size", "1"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_the_environments_port_goes_over_the_argument(port: int) -> None:
    """Several groups on one machine each get a port of their own."""
    command = [
        sys.executable,
        str(SCRIPT),
        "--size",
        "2",
        "--port",
        "1",
        "--timeout-s",
        "30",
        "--retry-s",
        "0.05",
    ]
    environ = {**os.environ, "VDA_BARRIER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [*command, "--rank", str(n), "--linger-s", "0"], stdout=subprocess.PIPE, text=True, env=environ
        )
        for n in (0, 1)
    ]
    assert [ends(process)[0] for process in processes] == [0, 0]
