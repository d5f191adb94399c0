"""Command lines of every kind: none raises, none starts a process, and what passes is on the list."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skill_tools.dispatch import OSMO_VERBS, SCRIPTS, run_script
from skill_tools.settings import Settings

# The suite's share; `VDA_FUZZ_LINES=100000` makes the whole round.
LINES = int(os.environ.get("VDA_FUZZ_LINES", "3000"))
STARTS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "socket.connect",
}
PIECES = [
    *SCRIPTS,
    *(f"scripts/{name}" for name in SCRIPTS),
    *(f"osmo {verb}" for verb in OSMO_VERBS),
    *[
        "bash",
        "python3",
        "sh",
        "osmo",
        "workflow",
        "submit",
        "kubectl",
        "helm",
        "delete",
        "scale",
        "sudo",
        "env",
    ],
    *["--set-string", "--set", "--pool", "--workflow", "--run-id", "--video", "--dataset", "--storage-url"],
    *["-p", "-t", "-n", "--", "-", "a=b", "run_id=run-0a1b2c3d", "HF_TOKEN=x", "../x", "/etc/passwd", "~/x"],
    *["s3://lab", "{{x}}", "run-0a1b2c3d", "0", "-1", "1e9", "; id", "&& id", "| id", "> x", "< x", "$(id)"],
    *["`id`", "${x}", "\n", "\r", "\0", "\t", "'", '"', "\\", "#", "*", "\u202e", "\u200b", "\u2028"],
    *["\uff42ash", "b\u0430sh", "\u00a0", "\ud800", "\ue000", "\U0010ffff"],
]

watched: list[str] = []
is_watching = False


def _watch(event: str, _arguments: object) -> None:
    if is_watching and event in STARTS:
        watched.append(event)


sys.addaudithook(_watch)


@contextmanager
def watching() -> Iterator[list[str]]:
    """Note every start of a process and every connection meanwhile."""
    global is_watching  # noqa: PLW0603 - an audit hook can't be taken away again, only told to rest
    watched.clear()
    is_watching = True
    try:
        yield watched
    finally:
        is_watching = False


lines = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
        lambda parts: st.sampled_from([" ", "  ", ""]).map(lambda glue: glue.join(parts))
    ),
    st.text(max_size=60),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), max_size=9),
)
# What a line of the list may do when it is right is for other tests: here nothing may get that far.
HARMLESS = {"failed", "denied", "needs_input"}


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give a workspace in which no run was begun, and no `osmo` to be found."""
    nowhere = tmp_path_factory.mktemp("lines")
    return Settings.read(
        workspace=nowhere, engine="local", environ={"PATH": str(nowhere), "HOME": str(nowhere)}
    )


@settings(max_examples=LINES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(line=lines)
def test_no_line_raises_or_starts_anything(where: Settings, line: str | list[str]) -> None:
    """A result for each, with a problem that says what was expected, and nothing left behind."""
    with watching() as started:
        result = run_script(line, settings=where)
    assert started == []
    if not result.ok:
        assert result.problem
        assert result.problem.expected
        assert result.status in HARMLESS
    assert not [path for path in Path(where.workspace).rglob("*") if ".vda" not in path.parts]
