"""End a run's workflows."""

from __future__ import annotations

from skill_tools.engines.base import has_ended
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Name, RunId
from skill_tools.tools.following import follow, overall

SETTLE_S = 20.0


class CancelInput(Closed):
    """The run to end."""

    run_id: RunId


class CancelOutput(Closed):
    """The run's state after the request, and which workflows were asked to end."""

    state: Name
    cancelled: list[Name]


def cancel(given: CancelInput, context: Context) -> Outcome[CancelOutput]:
    """Ask the engine to end what has not ended, and wait a little for it to do so."""
    run = context.journal.run(given.run_id)
    engine = context.engine(run)
    ids = [each.workflow_id for each in context.journal.submissions(run.run_id) if each.workflow_id]
    if not ids:
        data = CancelOutput(state="NOT_SUBMITTED", cancelled=[])
        return Outcome(data, run.run_id, messages=[Message(body=f"{run.run_id} was not submitted.")])
    active = [one for one in ids if not has_ended(engine.query(one).status)]
    for workflow_id in active:
        engine.cancel(workflow_id)
    state = overall(follow(engine, ids, context, wait_s=SETTLE_S if active else 0))
    data = CancelOutput(state=state, cancelled=active)
    return Outcome(data, run.run_id, messages=[Message(body=f"{run.run_id}: {state}.")])


CANCEL = Tool(
    name="cancel",
    summary="End a run's workflows; fine when they have ended already.",
    input_model=CancelInput,
    output_model=CancelOutput,
    effects=Effects(changes_remote=True, destructive=True),
    steps=cancel,
    guards=("SECRET-SILENT",),
)
