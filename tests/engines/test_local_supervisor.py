"""A supervised workflow can be stopped, killed and resumed at any time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from skill_tools.engines.base import SubmitRequest, has_ended
from skill_tools.engines.local import lock
from skill_tools.engines.local.engine import LocalEngine
from skill_tools.errors import EngineError, InputError
from skill_tools.storage import file_store
from tests.engines.local_bench import Bench, group, is_alive, shell, wait_for

FAMILY = "sleep 600 & echo $! > '{folder}/grandchild'; echo $$ > '{folder}/child'; wait"
"""A script with a process below it, both of which say their ids."""


def family(bench: Bench, name: str = "task") -> dict[str, object]:
    """Return a task that has a process below it and doesn't end."""
    return shell(name, FAMILY.format(folder=bench.folder))


def gone(*pids: int) -> None:
    """Wait until none of the processes exists."""
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid), f"the end of process {pid}")


def test_submit_does_not_wait_for_the_workflow(bench: Bench) -> None:
    """A workflow is still under way when its submit returns; its end comes without the submitter."""
    gate = bench.fifo("gate")
    workflow_id = bench.submit([group("g", shell("t", gate.blocks))])
    assert not has_ended(bench.engine.query(workflow_id).status)
    gate.release()
    assert bench.end_of(workflow_id).status == "COMPLETED"


def test_a_time_limit_ends_the_whole_process_group(bench: Bench) -> None:
    """After `exec_timeout` nothing lives, and what had not ended is FAILED_EXEC_TIMEOUT."""
    later = group("later", shell("reads", "true", inputs=[{"task": "task"}]))
    done = bench.run([group("g", family(bench)), later], timeout={"exec_timeout": "1s"})
    assert done.status == "FAILED_EXEC_TIMEOUT"
    for task in done.tasks:
        assert (task.status, task.exit_code) == ("FAILED_EXEC_TIMEOUT", None)
        assert task.failure == "Task ran longer than the set limit of 1 seconds."
    gone(bench.pid_in("child"), bench.pid_in("grandchild"))


def test_cancel_ends_every_task_and_says_who_wanted_it(bench: Bench) -> None:
    """A cancelled workflow leaves no process, and no group starts any more."""
    later = group("later", shell("reads", "true", inputs=[{"task": "task"}]))
    workflow_id = bench.submit([group("g", family(bench)), later])
    pids = bench.pid_in("child"), bench.pid_in("grandchild")
    bench.engine.cancel(workflow_id)
    done = bench.end_of(workflow_id)
    assert done.status == "FAILED_CANCELED"
    for task in done.tasks:
        assert (task.status, task.exit_code) == ("FAILED_CANCELED", None)
        assert task.failure == f"Task was canceled by user: {bench.engine.state().user}."
    gone(*pids)


def test_cancel_lets_a_task_clean_up_first(bench: Bench) -> None:
    """SIGTERM comes before SIGKILL, with time in between."""
    folder = bench.folder
    script = (
        f"trap 'echo clean > {folder}/cleaned; exit 0' TERM; echo $$ > '{folder}/child'; sleep 600 & wait"
    )
    workflow_id = bench.submit([group("g", shell("t", script))])
    child = bench.pid_in("child")
    bench.engine.cancel(workflow_id)
    assert bench.end_of(workflow_id).status == "FAILED_CANCELED"
    assert (folder / "cleaned").read_text() == "clean\n"
    gone(child)


def test_cancel_right_after_the_submit_starts_no_task(bench: Bench) -> None:
    """A workflow that is cancelled before it runs ends as cancelled."""
    workflow_id = bench.submit([group("g", shell("t", "sleep 600"))])
    bench.engine.cancel(workflow_id)
    assert bench.end_of(workflow_id).status == "FAILED_CANCELED"


def test_cancel_is_fine_on_an_ended_workflow(bench: Bench) -> None:
    """What has completed stays completed."""
    done = bench.run([group("g", shell("t", "true"))])
    bench.engine.cancel(done.workflow_id)
    assert bench.engine.query(done.workflow_id) == done


def test_a_killed_supervisor_takes_its_tasks_along(bench: Bench) -> None:
    """After `kill -9` nothing lives, and the state says what to do."""
    workflow_id = bench.submit([group("g", family(bench))])
    pids = bench.pid_in("child"), bench.pid_in("grandchild")
    bench.kill_supervisor(workflow_id)
    gone(*pids)
    state = bench.end_of(workflow_id)
    assert state.status == "FAILED_BACKEND_ERROR"
    assert "vda resume" in state.failure
    assert (state.tasks[0].status, state.tasks[0].exit_code) == ("FAILED_BACKEND_ERROR", 3001)


@pytest.mark.parametrize("delay_ms", [0, 60, 120, 250, 400, 550])
def test_a_supervisor_killed_at_any_moment_leaves_nothing_half_done(bench: Bench, delay_ms: int) -> None:
    """Whenever it dies: no task lives on, no half file lies in the storage, and a resume completes."""
    size = 6 << 20
    store = bench.folder / "store"
    make = shell(
        "make",
        # with a second name elsewhere the file is copied, not linked, into the storage
        f"head -c {size} /dev/zero > {{{{output}}}}/big; ln {{{{output}}}}/big twin",
        outputs=[{"url": (store / "a").as_uri()}, {"url": (store / "b").as_uri()}],
    )
    workflow_id = bench.submit([group("g", make)])
    wait_for(bench.run_folder(workflow_id).supervisor_pid.exists, "the supervisor's start")
    threading.Event().wait(delay_ms / 1000)
    if not has_ended(bench.engine.query(workflow_id).status):
        bench.kill_supervisor(workflow_id)
    bench.end_of(workflow_id)
    forerunners = lock.take(bench.run_folder(workflow_id).tasks_lock, patience_s=10)
    assert forerunners is not None
    os.close(forerunners)
    assert {found.size for found in file_store.files_below(store)} <= {size}
    bench.engine.resume(workflow_id)
    assert bench.end_of(workflow_id).status == "COMPLETED"
    assert [(found.path, found.size) for found in file_store.files_below(store)] == [
        ("a/big", size),
        ("b/big", size),
    ]


def test_a_killed_runner_takes_the_command_along(bench: Bench) -> None:
    """When the little process between supervisor and task is killed, the task ends and fails."""
    folder = bench.folder
    workflow_id = bench.submit(
        [group("g", shell("t", f"echo $PPID > '{folder}/runner'; echo $$ > '{folder}/child'; sleep 600"))]
    )
    child, runner = bench.pid_in("child"), bench.pid_in("runner")
    os.kill(runner, signal.SIGKILL)
    done = bench.end_of(workflow_id)
    assert (done.status, done.tasks[0].exit_code) == ("FAILED", 2002)
    gone(child)


def test_a_task_killed_by_the_system_ends_with_137(bench: Bench) -> None:
    """SIGKILL, as of a system out of memory, shows as in a container."""
    done = bench.run([group("g", shell("t", "kill -9 $$"))])
    assert (done.status, done.tasks[0].exit_code, done.tasks[0].failure) == ("FAILED", 137, "Exit Code 137")


def test_what_a_task_leaves_running_ends_with_it(bench: Bench) -> None:
    """A background process doesn't outlive its task, nor keep it from ending."""
    done = bench.run([group("g", shell("t", f"sleep 600 & echo $! > '{bench.folder}/grandchild'; echo bye"))])
    assert done.status == "COMPLETED"
    gone(bench.pid_in("grandchild"))
    assert bench.engine.logs(done.workflow_id, "t", tail=1)[0].endswith("[t] bye")


def test_resume_keeps_what_has_completed_and_redoes_the_rest(bench: Bench) -> None:
    """After `kill -9` a resumed workflow completes without repeating its finished groups."""
    gate, count = bench.fifo("gate"), bench.folder / "count"
    workflow_id = bench.submit(
        [
            group("first", shell("make", f"echo once >> '{count}'; echo made > {{{{output}}}}/x")),
            group(
                "second", shell("take", f"cat {{{{input:0}}}}/x; {gate.blocks}", inputs=[{"task": "make"}])
            ),
        ]
    )
    wait_for(lambda: bool(bench.engine.logs(workflow_id, "take", tail=0)), "take has begun")
    bench.kill_supervisor(workflow_id)
    bench.end_of(workflow_id)
    assert bench.engine.resume(workflow_id)
    wait_for(lambda: bench.task(workflow_id, "take").status == "RUNNING", "take runs again")
    gate.release()
    assert bench.end_of(workflow_id).status == "COMPLETED"
    assert count.read_text() == "once\n"
    assert len(bench.engine.logs(workflow_id, "take", tail=0)) == 2


def test_resume_leaves_a_living_or_completed_workflow_alone(bench: Bench) -> None:
    """Resuming what goes on, or has completed, changes nothing and says so."""
    gate = bench.fifo("gate")
    workflow_id = bench.submit([group("g", shell("t", gate.blocks))])
    assert not bench.engine.resume(workflow_id)
    gate.release()
    done = bench.end_of(workflow_id)
    assert not bench.engine.resume(workflow_id)
    assert bench.engine.query(workflow_id) == done


def test_a_cancelled_workflow_can_be_resumed(bench: Bench) -> None:
    """The request to cancel is for the attempt that it ended."""
    gate = bench.fifo("gate")
    workflow_id = bench.submit([group("g", shell("t", gate.blocks))])
    bench.engine.cancel(workflow_id)
    assert bench.end_of(workflow_id).status == "FAILED_CANCELED"
    assert bench.engine.resume(workflow_id)
    gate.release()
    assert bench.end_of(workflow_id).status == "COMPLETED"


def test_cancel_ends_a_workflow_that_lost_its_supervisor(bench: Bench) -> None:
    """Nobody has to be there for a workflow to be cancelled."""
    workflow_id = bench.submit([group("g", family(bench))])
    pids = bench.pid_in("child"), bench.pid_in("grandchild")
    bench.kill_supervisor(workflow_id)
    wait_for(lambda: not lock.is_held(bench.run_folder(workflow_id).supervisor_lock), "the lock is free")
    bench.engine.cancel(workflow_id)
    assert bench.engine.query(workflow_id).status == "FAILED_CANCELED"
    assert not any(is_alive(pid) for pid in pids)


def test_two_workflows_at_once_have_nothing_in_common(bench: Bench) -> None:
    """Two runs of one file have their own ids, paths, ports and outputs."""
    gates = [bench.fifo("one"), bench.fifo("other")]
    script = "echo $VDA_ROOT $VDA_BARRIER_PORT $TMPDIR > {{output}}/mine; "
    ids = [bench.submit([group("g", shell("t", script + gate.blocks))]) for gate in gates]
    assert ids == ["demo-1", "demo-2"]
    mine = [bench.run_folder(workflow_id).task("t").output / "mine" for workflow_id in ids]
    for file in mine:
        wait_for(lambda file=file: file.exists() and file.read_text().endswith("\n"), "both run")
    for gate in gates:
        gate.release()
    assert [bench.end_of(workflow_id).status for workflow_id in ids] == ["COMPLETED"] * 2
    one, other = (set(file.read_text().split()) for file in mine)
    assert len(one) == len(other) == 3
    assert not one & other


def test_many_submits_at_once_get_different_numbers(bench: Bench) -> None:
    """Ids are unique whoever submits at the same time."""
    request = bench.request([group("g", shell("t", "true"))])
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(bench.engine.submit(request).workflow_id))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == [f"demo-{number}" for number in range(1, 7)]
    assert all(bench.end_of(workflow_id).status == "COMPLETED" for workflow_id in ids)


def test_another_engine_object_sees_the_same_workflows(bench: Bench) -> None:
    """State is on the disk: any process can pick a workflow up by its id."""
    done = bench.run([group("g", shell("t", "echo hi"))], values={"run_id": "run-0123abcd", "batch": "1"})
    other = LocalEngine(bench.folder / "state")
    assert other.query(done.workflow_id) == done
    assert other.find("run-0123abcd", {}) == ("demo-1",)
    assert other.find("run-0123abcd", {"batch": "1"}) == ("demo-1",)
    assert other.find("run-0123abcd", {"batch": "0"}) == ()
    assert other.find("run-ffffffff", {}) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resources": {"default": {"platform": "h100"}}}, "platform h100"),
        ({"task": {"credentials": {"nvcr_io": {"A": "auth"}}}}, "Could not find the credential: nvcr_io."),
        ({"task": {"files": [{"path": "/etc/../../x", "contents": ""}]}}, "outside of its task's folder"),
        ({"task": {"inputs": [{"task": "gone-1:setup"}]}}, "gone-1:setup has not completed"),
        ({"task": {"inputs": [{"url": "file:///a;b"}]}}, "is no storage URL"),
    ],
)
def test_what_the_machine_cannot_do_is_refused_before_anything_starts(
    bench: Bench, change: dict[str, dict[str, object]], said: str
) -> None:
    """`validate` names it, `submit` refuses with the same words, and nothing is there afterwards."""
    task = shell("t", "true", **change.pop("task", {}))
    request = bench.request([group("g", task)], **change)
    (against,) = bench.engine.validate(request)
    assert said in against
    with pytest.raises(EngineError, match="refuses"):
        bench.engine.submit(request)
    assert not (bench.folder / "state").exists()


def test_a_storage_url_of_another_scheme_is_refused(bench: Bench) -> None:
    """The embedded engine knows `file://` and nothing else."""
    request = bench.request([group("g", shell("t", "true", outputs=[{"url": "s3://bucket/x"}]))])
    (against,) = bench.engine.validate(request)
    assert "Unknown URI scheme: s3://bucket/x" in against
    with pytest.raises(InputError):
        bench.engine.submit(request)


def test_what_is_left_out_is_said(bench: Bench) -> None:
    """Parts of a spec that mean nothing here are warned of, not dropped in silence."""
    task = shell("t", "true", exitActions={"COMPLETE": "0-3"})
    submission = bench.engine.submit(bench.request([group("g", task)]))
    assert submission.warnings == ("Task t: the embedded engine leaves out exitActions.",)
    assert bench.end_of(submission.workflow_id).status == "COMPLETED"


def test_an_earlier_workflow_can_be_an_input(bench: Bench) -> None:
    """`<workflow id>:<task>` reads the output of a task that has completed in another workflow."""
    first = bench.run([group("g", shell("make", "echo old > {{output}}/x"))])
    reads = shell("t", "cat {{input:0}}/x", inputs=[{"task": f"{first.workflow_id}:make"}])
    second = bench.run([group("g", reads)], name="next")
    assert bench.engine.logs(second.workflow_id, "t", tail=1)[0].endswith("[t] old")


def test_a_lock_is_free_when_its_holder_is(tmp_path: Path) -> None:
    """A lock can be taken once, is seen to be held, and is free again when it is closed."""
    path = tmp_path / "lock"
    assert not lock.is_held(path)
    held = lock.take(path, patience_s=0)
    assert held is not None
    assert lock.is_held(path)
    assert lock.take(path, patience_s=0.05) is None
    os.close(held)
    assert not lock.is_held(path)


def test_a_request_file_that_is_missing_is_bad_input(tmp_path: Path) -> None:
    """A workflow file that isn't there is the caller's to put right; nothing is made."""
    engine = LocalEngine(tmp_path / "state", clock=time.time)
    with pytest.raises(InputError, match="can't be read"):
        engine.submit(SubmitRequest(tmp_path / "none.yaml", {}, "local"))
    assert list(tmp_path.iterdir()) == []
