"""What this machine has for either engine, as far as can be seen without changing anything."""

from __future__ import annotations

import platform
import sys

from skill_tools.cookbooks.shelf import Shelf
from skill_tools.engines.here import EnginesHere
from skill_tools.errors import VdaError
from skill_tools.settings import Settings
from skill_tools.tools import readiness_local
from skill_tools.tools.readiness import Check


def examine(settings: Settings) -> list[Check]:
    """Check Python, this machine, the cookbooks, and whether OSMO can be used."""
    here = readiness_local.machine_checks(settings)
    return [_python(), *here, _cookbooks(settings), _osmo(settings)]


def _python() -> Check:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check(name="python", status="ok", detail=f"{version}, {sys.executable}")


def _cookbooks(settings: Settings) -> Check:
    """Read every cookbook; one of the user's own that is broken hinders no run but its own."""
    shelf = Shelf.of(settings)
    for name in shelf.names():
        try:
            shelf.named(name)
        except VdaError as error:
            status = "warning" if shelf.is_own(name) else "failed"
            return Check(name="cookbooks", status=status, detail=error.message, remedy=error.remedy)
    return Check(name="cookbooks", status="ok", detail=", ".join(shelf.names()))


def _osmo(settings: Settings) -> Check:
    """Look at OSMO; that it can't be used is no fault, for the embedded engine needs none."""
    try:
        state = EnginesHere(settings).named("osmo").state()
    except VdaError as error:
        return Check(name="osmo", status="warning", detail=error.message, remedy=error.remedy)
    if not state.ready:
        return Check(
            name="osmo", status="warning", detail=state.reason, remedy="not needed for --engine local"
        )
    return Check(name="osmo", status="ok", detail=f"{state.client_version}, logged in as {state.user}")
