"""The engine is what was asked for, else OSMO when it can be used, else this machine; and it says why."""

from __future__ import annotations

import pytest

from skill_tools.engines.base import EngineState
from skill_tools.engines.choose import choose_engine
from skill_tools.errors import EngineUnavailable

READY = EngineState(ready=True, client_version="6.3.1", service_version="6.3.1", user="ada")
LOGGED_OUT = EngineState(
    ready=False, client_version="6.3.1", service_version=None, user=None, reason="not logged in"
)


def never() -> EngineState:
    """Stand for a probe that nobody should make."""
    raise AssertionError("OSMO was asked")


def missing() -> EngineState:
    """Stand for a machine without `osmo`."""
    raise EngineUnavailable("osmo is not on PATH")


def test_local_is_taken_without_asking_osmo() -> None:
    """A person who wants this machine gets it, whatever else there is."""
    choice = choose_engine("local", never)
    assert (choice.name, choice.reason) == ("local", "the embedded engine was asked for")


def test_auto_takes_osmo_when_it_is_logged_in() -> None:
    """A usable OSMO comes first, and the reason names its user."""
    choice = choose_engine("auto", lambda: READY)
    assert choice.name == "osmo"
    assert "logged in as ada" in choice.reason


@pytest.mark.parametrize(
    ("probe", "why"), [(lambda: LOGGED_OUT, "not logged in"), (missing, "osmo is not on PATH")]
)
def test_auto_stays_here_when_osmo_cannot_be_used(probe: type, why: str) -> None:
    """The run goes on on this machine, and says what is wrong with OSMO."""
    choice = choose_engine("auto", probe)
    assert choice.name == "local"
    assert why in choice.reason


@pytest.mark.parametrize(
    ("probe", "why"), [(lambda: LOGGED_OUT, "not logged in"), (missing, "osmo is not on PATH")]
)
def test_osmo_by_name_is_not_replaced_by_anything(probe: type, why: str) -> None:
    """Who asks for OSMO gets OSMO or an error that says what is missing."""
    with pytest.raises(EngineUnavailable, match=why) as refused:
        choose_engine("osmo", probe)
    assert "--engine local" in refused.value.remedy
    assert choose_engine("osmo", lambda: READY).name == "osmo"
