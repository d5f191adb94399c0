"""`vda runs`, `show`, `logs` and `cancel`: what was run here, where a run stands, its logs, its end."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from skill_tools.commands.answer import called, finish
from skill_tools.commands.command import Command, add_json, add_quiet, add_result_json, settings_of

if TYPE_CHECKING:
    from skill_tools.tools.context import Context

MOST_RUNS = 1_000


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN")
    add_json(parser)


def _add_cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN")
    add_result_json(parser)
    add_quiet(parser)


def _add_logs(parser: argparse.ArgumentParser) -> None:
    _add_cancel(parser)
    parser.add_argument("--task", metavar="T", help="one task's log")
    parser.add_argument("-n", "--tail", type=int, metavar="N", help="the newest N lines")


def _runs(given: argparse.Namespace) -> int:
    from datetime import datetime

    from skill_tools.registry import opened

    with opened(settings_of(given)) as context:
        rows = [
            {
                "run_id": run.run_id,
                "created": datetime.fromtimestamp(run.created).astimezone().isoformat(timespec="seconds"),
                "flow": run.flow,
                "engine": run.engine,
                "clips": len(run.clips) or run.dataset_url or "demo",
                "state": _state(run.run_id, context),
            }
            for run in context.journal.runs(limit=MOST_RUNS)
        ]
    if given.json:
        print(json.dumps(rows, indent=2))
    for row in [] if given.json else rows:
        print("  ".join(str(value) for value in row.values()))
    if not rows and not given.json:
        print("There are no runs here yet. `vda run CLIP` begins one.")
    return 0


def _state(run_id: str, context: Context) -> str:
    """Return where a run stands, from the journal alone."""
    if "report" in context.journal.passed_by_tool(run_id):
        return "complete"
    calls = context.journal.calls(run_id)
    last = calls[-1].result if calls else None
    if last is not None and last.problem is not None:
        return f"stopped at {last.tool}: {last.problem.code}"
    return f"after {last.tool}" if last else "begun"


def _show(given: argparse.Namespace) -> int:
    from skill_tools.registry import opened

    with opened(settings_of(given)) as context:
        shown = _shown(given.run_id, context)
    if given.json:
        print(json.dumps(shown, indent=2))
    else:
        _print_run(shown)
    return 0


def _shown(run_id: str, context: Context) -> dict[str, Any]:
    """Return all that is told of a run.

    Raises:
        InputError: there is no such run.
    """
    from skill_tools.tools.walking import next_step

    run = context.journal.run(run_id)
    state = _state(run_id, context)
    step = None if state == "complete" else next_step(run_id, context)
    reported = context.journal.passed(run_id, "report")
    return {
        "run": run.model_dump(mode="json"),
        "state": state,
        "calls": [
            {"at": call.at, "tool": call.tool, "status": call.result.status}
            for call in context.journal.calls(run_id)
        ],
        "next": step.model_dump(mode="json") if step else None,
        "result": reported.data if reported else None,
    }


def _print_run(shown: dict[str, Any]) -> None:
    run, step, result = shown["run"], shown["next"], shown["result"]
    print(f"{run['run_id']}  {run['flow']}  {run['engine']}  {shown['state']}")
    fixed = run["variables"] or "nothing"
    print(f"  cookbook {run['cookbook']}, variants {run['n_augmentations']}, fixed {fixed}")
    for clip in run["clips"]:
        print(f"  clip {clip}")
    for call in shown["calls"]:
        print(f"  {call['tool']}: {call['status']}")
    if step:
        print(f"  next: vda call {step['tool']} '{json.dumps(step['arguments'])}'")
    if result:
        print(f"  report: {result['report']}")


def _cancel(given: argparse.Namespace) -> int:
    return called(given, "cancel", {"run_id": given.run_id})


def _logs(given: argparse.Namespace) -> int:
    from skill_tools.registry import call

    wanted = {"run_id": given.run_id, "task": given.task, "tail": given.tail}
    known = {name: value for name, value in wanted.items() if value is not None}
    result = call("logs", known, settings=settings_of(given))
    if result.ok and not given.json:
        lines = result.data["lines"]
        print("\n".join(map(str, lines if isinstance(lines, list) else [])))
    return finish(result, as_json=given.json)


RUNS = Command(
    name="runs",
    summary="List the runs of this workspace, newest first.",
    examples=("vda runs --json",),
    run=_runs,
    add_arguments=add_json,
)
SHOW = Command(
    name="show",
    summary="Show a run: what was asked for, what was done, what comes next.",
    examples=("vda show run-1a2b3c4d",),
    run=_show,
    add_arguments=_add_show,
)
CANCEL = Command(
    name="cancel",
    summary="End a run.",
    examples=("vda cancel run-1a2b3c4d",),
    run=_cancel,
    add_arguments=_add_cancel,
)
LOGS = Command(
    name="logs",
    summary="Show a run's log.",
    examples=("vda logs run-1a2b3c4d",),
    run=_logs,
    add_arguments=_add_logs,
)
