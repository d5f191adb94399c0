"""The embedded engine runs a workflow's groups as their inputs allow, and says how they ended."""

from __future__ import annotations

import os

from skill_tools.engines.local import graph, lock
from skill_tools.engines.local.run_folder import RunFolder, RunRequest
from skill_tools.engines.local.supervisor import Supervisor
from skill_tools.flows.render import load_workflow
from tests.engines.local_bench import Bench, group, shell, wait_for


def test_groups_run_after_the_groups_they_read_from(bench: Bench) -> None:
    """A task sees the finished output of the task that it names as an input."""
    done = bench.run(
        [
            group("first", shell("make", "sleep 0.2; echo made > {{output}}/thing")),
            group("second", shell("take", "cat {{input:0}}/thing", inputs=[{"task": "make"}])),
        ]
    )
    assert done.status == "COMPLETED"
    assert [task.exit_code for task in done.tasks] == [0, 0]
    assert bench.engine.logs(done.workflow_id, "take", tail=1)[0].endswith("[take] made")
    make, take = done.tasks
    assert make.ended is not None
    assert take.started is not None
    assert make.ended <= take.started


def test_independent_groups_run_at_the_same_time(bench: Bench) -> None:
    """Two groups without inputs can each wait for a word of the other."""
    one, other = bench.fifo("one"), bench.fifo("other")
    done = bench.run(
        [
            group("a", shell("ping", f"echo x > '{one.path}'; {other.blocks}")),
            group("b", shell("pong", f"{one.blocks}; echo x > '{other.path}'")),
        ]
    )
    assert done.status == "COMPLETED"


def test_tasks_of_a_group_run_at_the_same_time(bench: Bench) -> None:
    """Two tasks of one group can each wait for a word of the other."""
    one, other = bench.fifo("one"), bench.fifo("other")
    done = bench.run(
        [
            group(
                "both",
                shell("ping", f"echo x > '{one.path}'; {other.blocks}"),
                shell("pong", f"{one.blocks}; echo x > '{other.path}'"),
            )
        ]
    )
    assert [task.status for task in done.tasks] == ["COMPLETED", "COMPLETED"]


def test_states_are_the_words_of_osmo_along_the_way(bench: Bench) -> None:
    """A workflow is RUNNING while its first group runs, and groups below are WAITING meanwhile."""
    gate = bench.fifo("gate")
    workflow_id = bench.submit(
        [
            group("first", shell("make", gate.blocks)),
            group("second", shell("take", "true", inputs=[{"task": "make"}])),
        ]
    )
    wait_for(lambda: bench.task(workflow_id, "make").status == "RUNNING", "make runs")
    state = bench.engine.query(workflow_id)
    assert state.status == "RUNNING"
    assert state.started is not None
    assert bench.task(workflow_id, "take").status == "WAITING"
    gate.release()
    assert bench.end_of(workflow_id).status == "COMPLETED"


def test_a_failed_task_fails_what_reads_from_it_and_nothing_else(bench: Bench) -> None:
    """Groups below a failed one end as FAILED_UPSTREAM with 3000; independent groups complete."""
    done = bench.run(
        [
            group("bad", shell("breaks", "exit 7")),
            group("below", shell("starved", "true", inputs=[{"task": "breaks"}])),
            group("further", shell("starved_too", "true", inputs=[{"task": "starved"}])),
            group("apart", shell("fine", "sleep 0.2")),
        ]
    )
    ends = {task.name: (task.status, task.exit_code, task.failure) for task in done.tasks}
    assert ends == {
        "breaks": ("FAILED", 7, "Exit Code 7"),
        "starved": ("FAILED_UPSTREAM", 3000, "Upstream task failed."),
        "starved_too": ("FAILED_UPSTREAM", 3000, "Upstream task failed."),
        "fine": ("COMPLETED", 0, ""),
    }
    assert (done.status, done.failure) == ("FAILED", "breaks: Exit Code 7")


def test_a_failed_lead_ends_its_group(bench: Bench) -> None:
    """Siblings of a failed lead are stopped: FAILED, no exit code, `Lead task finished`."""
    done = bench.run([group("g", shell("lead", "exit 3"), shell("sibling", "sleep 600"))])
    lead, sibling = done.tasks
    assert (done.status, lead.exit_code) == ("FAILED", 3)
    assert (sibling.status, sibling.exit_code, sibling.failure) == ("FAILED", None, "Lead task finished")


def test_a_failed_non_lead_is_ignored_by_default(bench: Bench) -> None:
    """The group's end is the lead's, and groups below run on."""
    done = bench.run(
        [
            group("g", shell("lead", "sleep 0.2; echo ok > {{output}}/x"), shell("sibling", "exit 4")),
            group("next", shell("reads", "test -e {{input:0}}/x", inputs=[{"task": "lead"}])),
        ]
    )
    assert done.status == "COMPLETED"
    assert [task.status for task in done.tasks] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_a_failed_non_lead_counts_where_the_group_says_so(bench: Bench) -> None:
    """With `ignoreNonleadStatus: false` one failed task ends the group, the lead included."""
    done = bench.run(
        [group("g", shell("lead", "sleep 600"), shell("sibling", "exit 4"), ignoreNonleadStatus=False)]
    )
    assert [task.status for task in done.tasks] == ["FAILED", "FAILED"]
    assert [task.exit_code for task in done.tasks] == [None, 4]
    assert (done.status, done.failure) == ("FAILED", "sibling: Exit Code 4")


def test_siblings_may_finish_after_their_lead(bench: Bench) -> None:
    """What a sibling makes just after its lead has ended well reaches the tasks below."""
    done = bench.run(
        [
            group("g", shell("lead", "true"), shell("sibling", "sleep 0.5; echo late > {{output}}/x")),
            group("next", shell("reads", "cat {{input:0}}/x", inputs=[{"task": "sibling"}])),
        ]
    )
    assert [task.status for task in done.tasks] == ["COMPLETED"] * 3


def test_siblings_are_stopped_when_they_go_on_for_long_after_their_lead(bench: Bench) -> None:
    """A group whose lead has ended well doesn't wait for ever; its end is the lead's."""
    request = bench.request([group("g", shell("lead", "true"), shell("sibling", "sleep 600"))])
    spec = load_workflow(request.workflow_file, {})
    folder = RunFolder(bench.folder / "demo-1")
    folder.path.mkdir()
    as_submitted = RunRequest(
        workflow_file=request.workflow_file, values={}, pool="local", skill_dir=bench.folder
    )
    folder.write(as_submitted, spec, graph.new_state("demo-1", spec, 0.0))
    held = lock.take(folder.tasks_lock, patience_s=0)
    assert held is not None
    Supervisor(folder, tasks_lock=held, environ=os.environ, sibling_grace_s=0.0).run()
    os.close(held)
    done = folder.state()
    assert done.status == "COMPLETED"
    lead, sibling = done.tasks
    assert (lead.status, lead.exit_code) == ("COMPLETED", 0)
    assert (sibling.status, sibling.exit_code, sibling.failure) == ("FAILED", None, "Lead task finished")


def test_the_output_of_a_failed_task_is_no_input_for_others(bench: Bench) -> None:
    """As on OSMO, where it is never uploaded, a task below finds nothing; a person finds it all."""
    done = bench.run(
        [
            group("g", shell("lead", "sleep 0.2"), shell("sibling", "echo half > {{output}}/x; exit 1")),
            group(
                "next",
                shell("reads", "ls -A {{input:1}}", inputs=[{"task": "lead"}, {"task": "sibling"}]),
            ),
        ]
    )
    assert done.status == "COMPLETED"
    assert bench.engine.logs(done.workflow_id, "reads", tail=0) == ()
    assert (bench.run_folder(done.workflow_id).task("sibling").withheld / "x").read_text() == "half\n"


def test_a_command_that_is_not_there_fails_its_task(bench: Bench) -> None:
    """It ends as in a shell, with 127, and the log names the command."""
    missing = {"name": "t", "image": "ubuntu", "command": ["no-such-command-at-all"]}
    done = bench.run([group("g", missing)])
    assert (done.status, done.tasks[0].exit_code) == ("FAILED", 127)
    assert "no-such-command-at-all: No such file" in bench.engine.logs(done.workflow_id, "t", tail=1)[0]
