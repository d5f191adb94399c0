"""What a run on OSMO needs: credentials, a GPU pool, images that can be pulled."""

from __future__ import annotations

from skill_tools.engines.base import Engine
from skill_tools.journal import RunRecord
from skill_tools.tools.context import Context
from skill_tools.tools.readiness import Check, ReadinessRequest


def checks(run: RunRecord | None, engine: Engine, context: Context, request: ReadinessRequest) -> list[Check]:
    """Check the cluster's side."""
    del run, context, request
    return [Check(name="credentials", status="ok", detail=", ".join(c.name for c in engine.credentials()))]
