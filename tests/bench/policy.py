"""What the policy costs; `python tests/bench/policy.py` prints it.

The rules on a typical call, beside a validation of the same call; and a `run_script` line to its result,
journal written durably, beside the tool's own work and one durable write of the same disk.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from skill_tools.dispatch import run_script
from skill_tools.policy.engine import EVERY_CALL, RULES, judge
from skill_tools.registry import TOOLS, opened
from tests.tools.workspace_bench import Workspace

ROUNDS = 300
WANTED_RULES_MS, WANTED_LINE_MS = 0.1, 1.0


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


def main() -> None:
    """Measure and print, each figure with what it is held against."""
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
        workspace.pass_until(run_id, "submit")
        settings = workspace.settings
        file = "assets/configs/osmo/auto_labeling.yaml"
        line = f"osmo workflow submit {file} --pool local --set-string run_id={run_id}"
        with opened(settings) as context:
            submit, overview = TOOLS["submit"], TOOLS["estimate_time"]
            guarded = context.passed(run_id, "check_submission")["batches"][0]["values"]
            arguments = {"run_id": run_id, "values": guarded}
            model = submit.input_model.model_validate(arguments)
            facts, _ = context._facts(submit, model)
            guards = (*EVERY_CALL, *submit.guards)
            rules_ms = median_ms(lambda: judge(guards, facts))
            every_ms = median_ms(lambda: judge(RULES, facts))
            validate_ms = median_ms(lambda: submit.input_model.model_validate(arguments))
            own = overview.input_model.model_validate({"run_id": run_id})
            own_ms = median_ms(lambda: overview.steps(own, context))
            call_ms = median_ms(lambda: overview.call({"run_id": run_id}, context))
        refused_ms = median_ms(lambda: run_script(line, settings=settings), 100)
        floor_ms = durable_write_ms(Path(place))
    above_ms = call_ms - own_ms
    print(f"{len(guards)} rules on a submit with values     {rules_ms:8.3f} ms, wanted {WANTED_RULES_MS}")
    print(f"all {len(RULES)} rules on it                {every_ms:8.3f} ms")
    print(f"validation of the same call        {validate_ms:8.3f} ms")
    print(f"a recorded call above its own work {above_ms:8.3f} ms, wanted {WANTED_LINE_MS}")
    print(f"one durable write on this disk     {floor_ms:8.3f} ms")
    print(f"a refused line, journal opened     {refused_ms:8.3f} ms")
    print(f"({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
