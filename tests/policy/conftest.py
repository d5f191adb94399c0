"""Marks that say which rule a test breaks or keeps, and a run that waits for its submit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.tools.workspace_bench import Workspace


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    config.addinivalue_line(
        "markers", "breaks(*rules): the test makes a call that these rules don't let through"
    )
    config.addinivalue_line("markers", "keeps(*rules): the test makes a call that these rules let through")


@dataclass(frozen=True)
class Guarded:
    """A run that has passed the guard, and the values that would be submitted."""

    workspace: Workspace
    run_id: str
    values: dict[str, str]

    def with_values(self, **changed: str | None) -> dict[str, str]:
        """Return the guarded values with some changed; None takes one away."""
        return {name: value for name, value in {**self.values, **changed}.items() if value is not None}


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Give a run that waits for its submit, to tests that don't submit it."""
    return guarded_run(Workspace(tmp_path_factory.mktemp("guarded")))


def guarded_run(workspace: Workspace) -> Guarded:
    """Bring a run of one small clip so far that it needs nothing more than to be submitted."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "submit")
    with workspace.journal() as journal:
        guard = journal.passed_by_tool(run_id)["check_submission"]
    batches = guard["batches"]
    assert isinstance(batches, list)
    first = batches[0]
    assert isinstance(first, dict)
    values = first["values"]
    assert isinstance(values, dict)
    return Guarded(workspace, run_id, {name: str(value) for name, value in values.items()})
