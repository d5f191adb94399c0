"""What the policy costs; `python tests/bench/policy.py` prints it.

The rules on a typical call, beside a validation of the same call; and `run_script` from a line to its
result, validation, policy and durable journal included, above the tool's own steps, beside one durable write
of the same disk; and the same once the run has had thousands of calls.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from skill_tools.dispatch import run_script
from skill_tools.policy.engine import EVERY_CALL, RULES, judge
from skill_tools.registry import TOOLS, opened
from tests.tools.workspace_bench import Workspace

ROUNDS = 300
MANY = 3_000
WANTED_RULES, WANTED_LINE = ", wanted 0.1", ", wanted 1.0"


def median_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median duration of some work in milliseconds, after a few rounds to warm up."""
    for _ in range(5):
        work()
    spans = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        spans.append(time.perf_counter() - begun)
    return statistics.median(spans) * 1e3


def durable_write_ms(folder: Path) -> float:
    """Return what one durable SQLite commit costs on this disk, the floor of any recorded call."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (x TEXT)")
    try:
        return median_ms(lambda: connection.execute("INSERT INTO t VALUES (?)", ("x" * 2_000,)))
    finally:
        connection.close()


def rules(workspace: Workspace, run_id: str) -> Iterator[tuple[str, float, str]]:
    """Give what the rules cost on a submit with all its values, the call that most of them look at."""
    with opened(workspace.settings) as context:
        submit = TOOLS["submit"]
        guarded = context.passed(run_id, "check_submission")["batches"][0]["values"]
        arguments = {"run_id": run_id, "values": guarded}
        model = submit.input_model.model_validate(arguments)
        facts = context.facts("submit", model.model_dump(mode="json"), context.journal.run(run_id))
        guards = (*EVERY_CALL, *submit.guards)
        yield f"{len(guards)} rules on a submit", median_ms(lambda: judge(guards, facts)), WANTED_RULES
        yield f"all {len(RULES)} rules on it", median_ms(lambda: judge(RULES, facts)), ""
        yield "its validation", median_ms(lambda: submit.input_model.model_validate(arguments)), ""


def lines(workspace: Workspace, run_id: str) -> Iterator[tuple[str, float, str]]:
    """Give what `run_script` costs above the steps of the tool that a line is for."""
    settings = workspace.settings
    passing = f"python3 scripts/check_message.py --run-id {run_id} 'Preflight: 5 of 5 checks are green.'"
    submit = "osmo workflow submit assets/configs/osmo/auto_labeling.yaml"
    refused = f"{submit} --pool local --set-string run_id={run_id} --set video=car"
    with opened(settings) as context:
        tool = TOOLS["check_message"]
        given = {"run_id": run_id, "messages": [{"body": "Preflight: 5 of 5 checks are green."}]}
        model = tool.input_model.model_validate(given)
        own = median_ms(lambda: tool.steps(model, context))
    assert run_script(passing, settings=settings).ok
    assert not run_script(refused, settings=settings).ok
    yield "a line that passes", median_ms(lambda: run_script(passing, settings=settings)) - own, WANTED_LINE
    yield "a line that is refused", median_ms(lambda: run_script(refused, settings=settings)), WANTED_LINE


def main() -> None:
    """Measure and print, each figure with what it is held against."""
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
        workspace.pass_until(run_id, "submit")
        floor = ("one durable write on this disk, the floor", durable_write_ms(Path(place)), "")
        figures = [*rules(workspace, run_id), floor, *lines(workspace, run_id)]
        with opened(workspace.settings) as context:
            result = context.journal.calls(run_id)[-1].result
            for _ in range(MANY):
                context.journal.record(run_id, {}, result)
        figures += [
            (f"{what}, {MANY} calls later", value, wanted) for what, value, wanted in lines(workspace, run_id)
        ]
    for what, value, wanted in figures:
        print(f"{what:48} {value:7.3f} ms{wanted}")
    print(f"({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
