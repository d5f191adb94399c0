"""End a run's workflows."""

from __future__ import annotations

from skill_tools.engines.base import has_ended
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.ensure_cache import CACHE_BATCH
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
    sent = [one for one in context.journal.submissions(run.run_id) if one.workflow_id]
    batches = {str(one.workflow_id): one.batch for one in sent}
    active = [one for one in batches if not has_ended(engine.query(one).status)]
    for workflow_id in active:
        engine.cancel(workflow_id)
    states = follow(engine, list(batches), context, wait_s=SETTLE_S if active else 0) if sent else []
    # A cache workflow that ended well says nothing of the run that it was for.
    of_run = [state for state in states if batches[state.workflow_id] != CACHE_BATCH]
    data = CancelOutput(state=overall(of_run) if of_run else "NOT_SUBMITTED", cancelled=active)
    said = data.state if of_run else "was not submitted, so there is nothing to end"
    return Outcome(data, run.run_id, messages=[Message(body=f"{run.run_id}: {said}.")])


CANCEL = Tool(
    name="cancel",
    summary="End a run's workflows; fine when they have ended already.",
    input_model=CancelInput,
    output_model=CancelOutput,
    effects=Effects(changes_remote=True, destructive=True),
    steps=cancel,
    guards=("SECRET-SILENT",),
)
