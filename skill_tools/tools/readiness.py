"""One thing that was checked before a run, and what to do where it isn't as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skill_tools.engines.base import Credential, EngineState, Pool
from skill_tools.tool import Closed
from skill_tools.tools.fields import Line, Name


@dataclass(frozen=True)
class ReadinessRequest:
    """How closely to look: a workflow file whose images are probed, whether to ask, whether to renew."""

    workflow: str | None = None
    probe: bool = True
    refresh: bool = False


class Check(Closed):
    """What was checked and found."""

    name: Name
    status: Literal["ok", "warning", "failed"]
    detail: Line = ""
    remedy: Line = ""
    input_fault: bool = False


@dataclass(frozen=True)
class Findings:
    """What a look at an engine and its surroundings brought; nothing was changed for it."""

    state: EngineState
    pools: tuple[Pool, ...]
    credentials: tuple[Credential, ...]
    checks: tuple[Check, ...]
