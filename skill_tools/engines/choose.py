"""Choose the engine of a run, and say why it is this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from skill_tools.engines.base import EngineState
from skill_tools.errors import EngineUnavailable

EngineName = Literal["osmo", "local"]
Wanted = Literal["auto", "local", "osmo"]


@dataclass(frozen=True)
class Choice:
    """The engine that a run uses, and the reason in words."""

    name: EngineName
    reason: str


def choose_engine(wanted: Wanted, probe_osmo: Callable[[], EngineState]) -> Choice:
    """Choose what was asked for; for `auto`, OSMO when it can be used now, else this machine.

    Raises:
        EngineUnavailable: OSMO was asked for by name and can't be used.
    """
    if wanted == "local":
        return Choice("local", "the embedded engine was asked for")
    try:
        osmo = probe_osmo()
    except EngineUnavailable as error:
        osmo = EngineState(
            ready=False, client_version=None, service_version=None, user=None, reason=error.message
        )
    if osmo.ready:
        user = f" as {osmo.user}" if osmo.user else ""
        asked = "OSMO was asked for and is" if wanted == "osmo" else "osmo is on PATH and"
        return Choice("osmo", f"{asked} logged in{user}")
    reason = osmo.reason or "osmo can't be used here"
    if wanted == "auto":
        return Choice("local", f"OSMO can't be used ({reason}), so the run stays on this machine")
    raise EngineUnavailable(
        f"OSMO was asked for but can't be used: {reason}",
        expected="the `osmo` CLI on PATH, logged in to a service that answers",
        remedy="log in with `osmo login URL`, or run on this machine with `--engine local`",
    )
