"""What every engine does alike; the tools know no more about an engine than this."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skill_tools.engines.base import TASK_ACTIVE, WORKFLOW_ACTIVE, Engine, has_ended
from skill_tools.errors import EngineError, VdaError
from tests.contract.conftest import Lab
from tests.engines.local_bench import wait_for

LOG_LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\](\[osmo\])? .*")


def clip(lab: Lab, name: str = "clip.mp4", text: str = "frames") -> Path:
    """Make a file to upload."""
    path = lab.folder / "clips" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_engine_that_is_ready_says_in_which_pool(lab: Lab) -> None:
    """State and pools agree: the default pool is listed, is online and has the platform."""
    state = lab.engine.state()
    assert state.ready
    assert state.user
    assert state.client_version
    (pool,) = (pool for pool in lab.engine.pools() if pool.name == state.default_pool)
    assert pool.status == "ONLINE"
    assert lab.platform in pool.platforms


def test_credentials_and_templates_are_read_without_a_change(engine: Engine) -> None:
    """What is asked twice is answered alike."""
    assert engine.credentials() == engine.credentials()
    assert engine.pod_templates() == engine.pod_templates()


def test_the_command_is_the_canonical_submit(lab: Lab) -> None:
    """One file first, one pool, and all values behind one `--set-string`, in their order."""
    request = lab.request()
    pairs = [f"{name}={value}" for name, value in request.values.items()]
    start = ("osmo", "workflow", "submit", str(request.workflow_file), "--pool", lab.pool)
    assert lab.engine.command(request) == (*start, "--set-string", *pairs)


def test_what_the_engine_would_take_validates(lab: Lab) -> None:
    """Nothing is said against a good submit."""
    assert lab.engine.validate(lab.request()) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"without": "run_id"}, "'run_id' is undefined"),
        ({"dataset": "demo-"}, "pattern"),
        ({"gpu_platform": "abacus"}, "abacus"),
        ({"storage_url": "gopher://lab"}, "gopher"),
    ],
)
def test_what_the_engine_refuses_is_named_and_not_submitted(
    lab: Lab, change: dict[str, str], said: str
) -> None:
    """`validate` says it, `submit` raises, and no workflow is found afterwards."""
    request = lab.request(**change)
    assert said in " ".join(lab.engine.validate(request))
    with pytest.raises(VdaError, match=re.escape(said)):
        lab.engine.submit(request)
    assert lab.engine.find("run-0a1b2c3d", request.values) == ()


def test_an_unknown_pool_is_refused(lab: Lab) -> None:
    """A pool that isn't there is no place to run in."""
    with pytest.raises(EngineError, match="nowhere"):
        lab.engine.submit(lab.request(pool="nowhere"))


def test_a_workflow_reads_the_storage_runs_and_writes_the_storage(lab: Lab) -> None:
    """From a clip in the storage to the outputs of the last group, in OSMO's states and words."""
    data = f"{lab.storage_url}/datasets/demo"
    lab.engine.upload([clip(lab)], data)
    workflow_id = lab.submit()
    assert re.fullmatch(r"demo-\d+", workflow_id)
    *before, done = lab.watch(workflow_id)
    assert {state.status for state in before} <= WORKFLOW_ACTIVE
    assert all(any(task.status in TASK_ACTIVE for task in state.tasks) for state in before)
    assert (done.workflow_id, done.status, done.failure) == (workflow_id, "COMPLETED", "")
    tasks = {task.name: (task.group, task.status, task.exit_code, task.lead) for task in done.tasks}
    assert tasks == {
        "setup": ("setup_group", "COMPLETED", 0, True),
        "worker_0": ("work_group", "COMPLETED", 0, True),
        "worker_1": ("work_group", "COMPLETED", 0, False),
    }
    assert done.submitted is not None
    assert done.started is not None
    assert done.ended is not None
    assert done.submitted <= done.started <= done.ended
    assert lab.holds(f"{data}-outputs/run-0a1b2c3d/setup_b0", config=6)
    assert lab.holds(f"{data}-outputs/run-0a1b2c3d", **{"setup_b0/config": 6, "outputs/made": 6})


def test_a_failure_shows_where_it_happened_and_what_it_kept_from_running(lab: Lab) -> None:
    """The failed task has its exit code; what needed it is FAILED_UPSTREAM with 3000."""
    done = lab.end_of(lab.submit(setup="exit 9"))
    ends = {task.name: (task.status, task.exit_code) for task in done.tasks}
    assert done.status == "FAILED"
    assert ends["setup"] == ("FAILED", 9)
    assert ends["worker_0"] == ends["worker_1"] == ("FAILED_UPSTREAM", 3000)
    assert next(task.failure for task in done.tasks if task.name == "setup") == "Exit Code 9"


def test_a_running_workflow_tells_its_log_and_can_be_cancelled(lab: Lab) -> None:
    """Logs come while a task runs; once cancelled, tasks say so without exit codes; again is no error."""
    workflow_id = lab.submit(setup="sleep 600")
    wait_for(
        lambda: any("configured" in line for line in lab.engine.logs(workflow_id, "setup", tail=5)), "log"
    )
    assert not has_ended(lab.engine.query(workflow_id).status)
    lab.engine.cancel(workflow_id)
    done = lab.end_of(workflow_id)
    assert done.status == "FAILED_CANCELED"
    assert {(task.status, task.exit_code) for task in done.tasks} == {("FAILED_CANCELED", None)}
    assert all(task.failure.startswith("Task was canceled by user: ") for task in done.tasks)
    lab.engine.cancel(workflow_id)
    assert lab.engine.query(workflow_id).status == "FAILED_CANCELED"


def test_logs_are_lines_with_time_and_task_the_newest_last(lab: Lab) -> None:
    """A task's lines or the workflow's, in one form, and no more than were asked for."""
    lab.engine.upload([clip(lab)], f"{lab.storage_url}/datasets/demo")
    workflow_id = lab.submit()
    lab.end_of(workflow_id)
    whole = lab.engine.logs(workflow_id, None, tail=100)
    assert all(LOG_LINE.fullmatch(line) for line in whole)
    assert {line.partition("[")[2].partition("]")[0] for line in whole} >= {"setup", "worker_0"}
    everything = lab.engine.logs(workflow_id, "worker_0", tail=100)
    own = [line.partition("] ")[2] for line in everything if "[osmo]" not in line]
    assert own == ["one", "two", "three"]
    assert lab.engine.logs(workflow_id, "worker_0", tail=1) == everything[-1:]


def test_a_submit_is_found_by_its_run(lab: Lab) -> None:
    """Who doesn't know whether a submit was taken can find out, batch by batch."""
    first, second = lab.request(), lab.request(batch="1")
    assert lab.engine.find("run-0a1b2c3d", first.values) == ()
    one = lab.submit()
    assert lab.engine.find("run-0a1b2c3d", first.values) == (one,)
    two = lab.submit(batch="1")
    assert one != two
    assert lab.engine.find("run-0a1b2c3d", second.values) == (two,)
    assert lab.engine.find("run-ffffffff", {**first.values, "run_id": "run-ffffffff"}) == ()


def test_a_workflow_that_does_not_exist_is_an_error(engine: Engine) -> None:
    """Nobody gets the state of a workflow that isn't there."""
    with pytest.raises(EngineError, match="demo-77"):
        engine.query("demo-77")
    with pytest.raises(EngineError, match="demo-77"):
        engine.logs("demo-77", None, tail=5)


def test_uploads_are_flat_and_replace(lab: Lab) -> None:
    """A file lands directly below the URL under its own name; another upload of it replaces it."""
    url = f"{lab.storage_url}/datasets/demo"
    assert lab.holds(url)
    lab.engine.upload([clip(lab, "a.mp4", "1"), clip(lab, "b.mp4", "22")], url)
    assert lab.holds(url, **{"a.mp4": 1, "b.mp4": 2})
    lab.engine.upload([clip(lab, "a.mp4", "333")], url)
    assert lab.holds(url, **{"a.mp4": 3, "b.mp4": 2})
    assert lab.holds(f"{lab.storage_url}/datasets", **{"demo/a.mp4": 3, "demo/b.mp4": 2})
    assert lab.holds(f"{url}/a.mp4")


def test_downloads_keep_the_structure_below_the_url(lab: Lab) -> None:
    """Everything below the URL, or the one file that it names, or nothing."""
    url = f"{lab.storage_url}/datasets/demo"
    lab.engine.upload([clip(lab, "a.mp4", "1")], url)
    lab.engine.upload([clip(lab, "b.mp4", "22")], f"{url}/deep")
    into, one = lab.folder / "into", lab.folder / "one"
    into.mkdir()
    one.mkdir()
    assert set(lab.engine.download(url, into)) == {into / "a.mp4", into / "deep" / "b.mp4"}
    assert (into / "deep" / "b.mp4").read_text() == "22"
    assert lab.engine.download(f"{url}/deep/b.mp4", one) == (one / "b.mp4",)
