"""Send one workflow of a run once, whatever happens: claimed, then sent, refused or to be looked into."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

from skill_tools.engines.base import Engine, SubmitRequest
from skill_tools.errors import EngineError, OutcomeUnknown
from skill_tools.journal import Journal, SubmissionRecord

CLAIM_LASTS_S = 600.0
"""Longer than any submit takes; an older claim is of a process that is gone, whoever has its number now."""


@dataclass(frozen=True)
class Receipt:
    """What the engine has of one workflow."""

    workflow_id: str
    overview: str = ""
    found_again: bool = False


@dataclass(frozen=True)
class Sender:
    """Sends the workflows of one run to one engine."""

    run_id: str
    engine: Engine
    journal: Journal

    def send(self, batch: str, request: SubmitRequest) -> Receipt:
        """Claim, send, settle; a workflow that was sent before is not sent again.

        Raises:
            OutcomeUnknown: nobody can tell whether it was taken, or another process is sending it now. The
                next call looks among the engine's workflows before it sends anything.
            EngineError: the engine refused it; nothing runs.
        """
        if not self.journal.claim(self.run_id, batch, request.values, request.pool):
            earlier = next(one for one in self.journal.submissions(self.run_id) if one.batch == batch)
            if earlier.state == "sent" and earlier.workflow_id:
                return Receipt(earlier.workflow_id)
            found = self._taken_over(earlier, request)
            if found is not None:
                return Receipt(found, found_again=True)
        return self._sent(batch, request)

    def _taken_over(self, earlier: SubmissionRecord, request: SubmitRequest) -> str | None:
        """Make an earlier claim one's own; return the workflow that it did start, if it started one."""
        if earlier.state == "claimed" and _still_sending(earlier):
            raise self._busy("Another process is submitting")
        if not self.journal.reclaim(
            self.run_id, replace(earlier, values=dict(request.values), pool=request.pool)
        ):
            raise self._busy("Another process has just taken over")
        if earlier.state == "refused":
            return None
        try:
            found = self.engine.find(self.run_id, request.values)
        except BaseException:
            self.journal.settle(self.run_id, earlier.batch, "unknown")
            raise
        if not found:
            return None
        self.journal.settle(self.run_id, earlier.batch, "sent", found[0])
        return found[0]

    def _sent(self, batch: str, request: SubmitRequest) -> Receipt:
        try:
            submission = self.engine.submit(request)
        except OutcomeUnknown:
            self.journal.settle(self.run_id, batch, "unknown")
            raise
        except EngineError:
            self.journal.settle(self.run_id, batch, "refused")
            raise
        except BaseException:  # an interrupt: the command may have arrived
            self.journal.settle(self.run_id, batch, "unknown")
            raise
        self.journal.settle(self.run_id, batch, "sent", submission.workflow_id)
        return Receipt(submission.workflow_id, submission.overview)

    def _busy(self, what: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"{what} {self.run_id} at this moment",
            expected="one submit of a run id",
            remedy=f"call poll for {self.run_id} in a moment",
        )


def _still_sending(claim: SubmissionRecord) -> bool:
    if time.time() - claim.at > CLAIM_LASTS_S:
        return False
    try:
        os.kill(claim.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
