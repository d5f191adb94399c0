"""Submits, queries, logs and cancels of the OSMO engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skill_tools.engines.base import has_ended
from skill_tools.errors import EngineError, EngineUnavailable, OutcomeUnknown
from tests.mock_osmo.bench import VALUES, MockOsmo


def ended(mock: MockOsmo, workflow_id: str, **environ: str) -> None:
    """Ask until the workflow has ended; the mock moves on with every query."""
    engine = mock.engine(**environ)
    while not has_ended(engine.query(workflow_id).status):
        pass


def test_submit_is_the_canonical_command_and_nothing_else(mock_osmo: MockOsmo) -> None:
    """File first, then the pool, then one `--set-string` with all pairs in their order."""
    request = mock_osmo.request()
    submission = mock_osmo.engine().submit(request)
    pairs = [f"{key}={value}" for key, value in VALUES.items()]
    wanted = ["workflow", "submit", str(request.workflow_file), "--pool", "default", "--set-string", *pairs]
    assert mock_osmo.asked("workflow", "submit") == [wanted]
    assert mock_osmo.engine().command(request) == ("osmo", *wanted)
    assert submission.workflow_id == "demo-1"
    assert submission.overview.endswith("/demo-1")


def test_released_client_takes_the_same_submit(mock_osmo: MockOsmo) -> None:
    """6.3.1 keeps the last `--set-string` only; with one that is all of them."""
    engine = mock_osmo.engine(MOCK_OSMO_VERSION="6.3.1")
    assert engine.submit(mock_osmo.request()).workflow_id == "demo-1"


def test_values_reach_the_workflow_to_the_letter(mock_osmo: MockOsmo) -> None:
    """Spaces, equals signs, dollars and quotes in a value are no one's syntax."""
    value = "s3://lab/a b=$HOME'`x`"
    mock_osmo.engine().submit(mock_osmo.request({"storage_url": value}))
    assert f"{value}/datasets" in mock_osmo.state["workflows"]["demo-1"]["spec"].replace("''", "'")


@pytest.mark.parametrize(
    ("change", "values", "code", "words"),
    [
        ({}, {"gpu_platform": "microk8s"}, "wrong_platform", "Platform microk8s does not exist in pool"),
        ({}, {"dataset": "demo-"}, "bad_name", "String should match pattern"),
        ({}, {"dataset": "a" * 65}, "name_too_long", "is too long. It must be 64 characters or less."),
        ({}, {"storage_url": "swift://e/a/c"}, "missing_credential", "No credentials configured for swift"),
        ({}, {"storage_url": "file:///x"}, "bad_url", "Unknown URI scheme: file"),
        ({}, {"storage_url": "s3://lab/a,b"}, "bad_url", "Incorrectly formatted S3 URI"),
        ({}, {"storage_url": 's3://"lab'}, "bad_yaml", "not properly formatted"),
        ({"user": None}, {}, "not_logged_in", "Must login first"),
        ({"reachable": False}, {}, "unreachable", "Connection refused"),
    ],
)
def test_refused_submit_has_code_words_and_remedy(
    mock_osmo: MockOsmo, change: dict[str, object], values: dict[str, str], code: str, words: str
) -> None:
    """Each refusal is told apart, keeps the CLI's own words, and is sent once."""
    request = mock_osmo.request(values)
    mock_osmo.change(**change)
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().submit(request)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.code == f"engine.{code}"
    assert words in caught.value.message
    assert caught.value.remedy
    assert len(mock_osmo.asked("workflow", "submit")) == 1


TASK = "workflow: {name: demo, tasks: [{name: t, image: i, command: [x]%s}]%s}\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TASK % (", args: ['{{nosuch}}']", ""), "undefined_variable"),
        (TASK % (", args: ['{{ 1 + }}']", ""), "template"),
        (TASK % (", credentials: {nvcr_io: {A: auth}}", ""), "missing_credential"),
        (TASK % (", files: [{path: /x, localpath: nosuch.sh}]", ""), "missing_file"),
        (TASK % (", inputs: [{task: nosuch}]", ""), "bad_spec"),
        (TASK % ("", ", resources: {default: {cpu: 500}}"), "resource_too_large"),
        (f"workflow: {{name: demo, tasks: [{', '.join(['{name: t}'] * 21)}]}}\n", "too_many_tasks"),
        ("more: 1\nworkflow: {name: '{{dataset}}'}\n", "bad_spec"),
        ("nothing: 1\n", "bad_spec"),
    ],
)
def test_refused_file_has_its_code(mock_osmo: MockOsmo, text: str, code: str) -> None:
    """What is wrong with the file itself is told apart as well."""
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().submit(mock_osmo.request(text=text))
    assert caught.value.code == f"engine.{code}"


def test_pools_that_cannot_take_it_have_their_codes(mock_osmo: MockOsmo) -> None:
    """An unknown pool and one in maintenance are told apart; an OFFLINE one takes the workflow."""
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().submit(mock_osmo.request(pool="nosuch"))
    assert caught.value.code == "engine.unknown_pool"
    pool = mock_osmo.state["pools"][0]
    mock_osmo.change(pools=[{**pool, "status": "MAINTENANCE"}])
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().submit(mock_osmo.request())
    assert caught.value.code == "engine.pool_maintenance"
    mock_osmo.change(pools=[{**pool, "status": "OFFLINE"}])
    workflow_id = mock_osmo.engine().submit(mock_osmo.request()).workflow_id
    assert mock_osmo.engine().query(workflow_id).status == "PENDING"


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ("die_after_send", True),
        ("garbage", True),
        ("empty", True),
        ("die", False),
        ("timeout", False),
        ("http_502", False),
        ("http_500", False),
        ("exit_3", False),
        ("exit_10", False),
    ],
)
def test_unknown_outcome_is_said_and_can_be_found_out(mock_osmo: MockOsmo, fault: str, taken: bool) -> None:
    """When nobody can tell, the submit isn't sent again, and `find` tells whether it was taken."""
    request = mock_osmo.request()
    with pytest.raises(OutcomeUnknown) as caught:
        mock_osmo.faulty(f"{fault}:workflow submit").submit(request)
    assert caught.value.retry == "inspect"
    assert len(mock_osmo.asked("workflow", "submit")) == 1
    found = mock_osmo.engine().find("run-0a1b2c3d", request.values)
    assert found == (("demo-1",) if taken else ())


def test_find_tells_runs_and_batches_apart(mock_osmo: MockOsmo) -> None:
    """A run id is matched as a whole word, a batch too, and the newest comes first."""
    engine = mock_osmo.engine()
    for values in ({"batch": "0"}, {"batch": "1"}, {"run_id": "run-0a1b2c3d4"}, {"batch": "11"}):
        engine.submit(mock_osmo.request(values))
    assert engine.find("run-0a1b2c3d", {}) == ("demo-4", "demo-2", "demo-1")
    assert engine.find("run-0a1b2c3d", {"dataset": "demo", "batch": "1"}) == ("demo-2",)
    assert engine.find("run-ffffffff", {"dataset": "demo"}) == ()


def test_validate_returns_the_objections_and_raises_when_nobody_answers(mock_osmo: MockOsmo) -> None:
    """An objection is a result; a service out of reach is an error."""
    engine = mock_osmo.engine()
    assert engine.validate(mock_osmo.request()) == ()
    (objection,) = engine.validate(mock_osmo.request({"gpu_platform": "nope"}))
    assert "Platform nope does not exist in pool default!" in objection
    with pytest.raises(EngineUnavailable):
        mock_osmo.faulty("unreachable").validate(mock_osmo.request())
    assert mock_osmo.asked("workflow", "submit") == []


def test_query_gives_states_times_and_the_order_of_the_groups(mock_osmo: MockOsmo) -> None:
    """Tasks come with those that others wait for first, whatever the service's order, and times in UTC."""
    engine = mock_osmo.engine()
    workflow_id = engine.submit(mock_osmo.request()).workflow_id
    first = engine.query(workflow_id)
    assert [(task.name, task.group, task.lead) for task in first.tasks] == [
        ("setup", "setup_group", True),
        ("worker_0", "work_group", True),
        ("worker_1", "work_group", False),
    ]
    assert first.status == "PENDING"
    ended(mock_osmo, workflow_id)
    last = engine.query(workflow_id)
    assert (last.status, last.failure) == ("COMPLETED", "")
    assert {task.exit_code for task in last.tasks} == {0}
    assert last.submitted is not None
    assert last.started is not None
    assert last.ended is not None
    assert last.submitted <= last.started <= last.ended


def test_failed_workflow_names_the_task_that_began_it(mock_osmo: MockOsmo, tmp_path: Path) -> None:
    """The failure is that of the task itself, not of its siblings or of those behind it."""
    script = tmp_path / "script.json"
    how = {"status": "FAILED", "exit_code": 137, "failure_message": "Exit Code 137"}
    script.write_text(json.dumps({"worker_1": how}))
    workflow_id = mock_osmo.engine().submit(mock_osmo.request()).workflow_id
    ended(mock_osmo, workflow_id, MOCK_OSMO_SCRIPT=str(script))
    state = mock_osmo.engine().query(workflow_id)
    assert (state.status, state.failure) == ("FAILED", "worker_1: Exit Code 137")
    assert state.tasks[1].failure == "Lead task finished"


def test_tasks_behind_a_failed_group_are_failed_upstream(mock_osmo: MockOsmo, tmp_path: Path) -> None:
    """What waited for a failed group never ran and says so."""
    script = tmp_path / "script.json"
    how = {"status": "FAILED_IMAGE_PULL", "exit_code": None, "failure_message": "no such image"}
    script.write_text(json.dumps({"setup": how}))
    workflow_id = mock_osmo.engine().submit(mock_osmo.request()).workflow_id
    ended(mock_osmo, workflow_id, MOCK_OSMO_SCRIPT=str(script))
    state = mock_osmo.engine().query(workflow_id)
    assert state.failure == "setup: no such image"
    assert [task.status for task in state.tasks] == [
        "FAILED_IMAGE_PULL",
        "FAILED_UPSTREAM",
        "FAILED_UPSTREAM",
    ]


def test_logs_of_a_live_workflow_come_back_without_waiting_for_its_end(mock_osmo: MockOsmo) -> None:
    """The CLI follows a live workflow for ever; what there is comes back all the same."""
    engine = mock_osmo.engine()
    workflow_id = engine.submit(mock_osmo.request()).workflow_id
    assert engine.logs(workflow_id, None, tail=10) == ()
    for _ in range(2):
        engine.query(workflow_id)
    (newest,) = engine.logs(workflow_id, "setup", tail=1)
    assert newest.endswith("[setup] lab: working")
    assert len(engine.logs(workflow_id, None, tail=0)) == 2


def test_logs_of_a_failed_workflow_end_with_the_last_line_of_a_task(
    mock_osmo: MockOsmo, tmp_path: Path
) -> None:
    """Heading and closing frame are no log lines."""
    script = tmp_path / "script.json"
    how = {"status": "FAILED", "exit_code": 7, "failure_message": "Exit Code 7"}
    script.write_text(json.dumps({"worker_0": how}))
    workflow_id = mock_osmo.engine().submit(mock_osmo.request()).workflow_id
    ended(mock_osmo, workflow_id, MOCK_OSMO_SCRIPT=str(script))
    lines = mock_osmo.engine().logs(workflow_id, None, tail=100)
    assert "hello from setup" in lines[0]
    assert any("failing with 7" in line for line in lines)
    assert not any("terminated" in line or "----" in line for line in lines)


def test_logs_of_an_unknown_task_are_a_typed_error(mock_osmo: MockOsmo) -> None:
    """A task that the workflow doesn't have is named."""
    workflow_id = mock_osmo.engine().submit(mock_osmo.request()).workflow_id
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().logs(workflow_id, "nosuch", tail=5)
    assert caught.value.code == "engine.unknown_task"


def test_cancel_is_fine_for_an_ended_workflow_and_not_for_an_unknown_one(mock_osmo: MockOsmo) -> None:
    """The CLI says no with exit code 0; its words decide."""
    engine = mock_osmo.engine()
    workflow_id = engine.submit(mock_osmo.request()).workflow_id
    engine.cancel(workflow_id)
    assert engine.query(workflow_id).status == "FAILED_CANCELED"
    assert "canceled by user: testuser" in engine.query(workflow_id).failure
    engine.cancel(workflow_id)
    with pytest.raises(EngineError) as caught:
        engine.cancel("nosuch-1")
    assert caught.value.code == "engine.unknown_workflow"
    with pytest.raises(OutcomeUnknown):
        mock_osmo.faulty("die_after_send").cancel(workflow_id)
