"""Run one workflow's graph to its end: `python -m skill_tools.engines.local.supervisor DIR`.

It is started with the workflow's lock in its hands and has it as long as it lives. The one thread here
owns the state; the tasks' threads only post events. Whatever kills this process takes the tasks along
(their runners see the end of a pipe) and leaves a state that can be resumed.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from skill_tools.ending import end_quickly
from skill_tools.engines.base import TaskState, has_ended, has_failed
from skill_tools.engines.local import graph, lock
from skill_tools.engines.local.environment import endpoint_keys, host_environment, worker_environment
from skill_tools.engines.local.run_folder import RunFolder, write_whole
from skill_tools.engines.local.staging import LOOPBACK, Stage
from skill_tools.engines.local.task_job import Ended, Event, Staged, Started, TaskJob
from skill_tools.errors import EngineError
from skill_tools.flows.spec import GroupSpec

POLL_S = 0.1
FORERUNNERS_S = 30.0
SIBLING_GRACE_S = 30.0
"""How long the others of a group may go on after their lead has ended well."""


@dataclass(frozen=True)
class _End:
    """Why tasks are stopped, as their state will say it."""

    status: str
    failure: str


@dataclass
class _GroupRun:
    """A group under way."""

    spec: GroupSpec
    jobs: Mapping[str, TaskJob]
    waiting: set[str]
    """Tasks that are neither staged nor ended yet."""
    others_until: float | None = None
    ends: dict[str, _End] = field(default_factory=dict)
    """Tasks that were told to stop."""


class Supervisor:
    """Runs the groups of one workflow as their inputs allow."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        tasks_lock: int,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        sibling_grace_s: float = SIBLING_GRACE_S,
    ) -> None:
        self._folder, self._tasks_lock, self._clock = folder, tasks_lock, clock
        self._sibling_grace_s = sibling_grace_s
        self._spec, request = folder.spec(), folder.request()
        self._state = self._saved = folder.state()
        self._tasks = graph.by_name(self._state.tasks)
        self._inherited = host_environment(environ, request.values)
        self._secrets = tuple(endpoint_keys(environ, request.values).values())
        self._imposed = worker_environment(Path(sys.executable), request.skill_dir, self._inherited["PATH"])
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._running: dict[str, _GroupRun] = {}
        self._begun = time.monotonic()
        self._stopped_all = False

    def run(self) -> None:
        """Run until every group has ended; the state on the disk is the workflow's end then."""
        while (status := graph.workflow_status(self._spec, self._tasks)) is None:
            self._heed_requests()
            self._start_groups()
            self._save()
            self._wait()
        self._state = replace(
            self._state,
            status=status,
            ended=self._clock(),
            failure="" if status == "COMPLETED" else graph.reason(self._tasks.values()),
        )
        self._save()

    def _wait(self) -> None:
        """Take the next event, and those that are there already behind it."""
        with suppress(queue.Empty):
            self._take(self._events.get(timeout=POLL_S))
            while not self._events.empty():
                self._take(self._events.get_nowait())

    def _take(self, event: Event) -> None:
        task = self._tasks[event.task]
        group = self._running[task.group]
        if isinstance(event, Started):
            self._put(replace(task, status="RUNNING", started=event.at))
            if self._state.status == "PENDING":
                self._state = replace(self._state, status="RUNNING", started=event.at)
            return
        group.waiting.discard(event.task)
        if isinstance(event, Ended):
            self._end(group, event)
        if not group.waiting:
            for job in group.jobs.values():
                job.go()
        elif isinstance(event, Staged) and not group.spec.barrier:
            group.jobs[event.task].go()

    def _end(self, group: _GroupRun, event: Ended) -> None:
        task = replace(self._tasks[event.task], ended=event.at, exit_code=event.exit_code)
        if event.exit_code is None:
            stopped = group.ends[event.task]
            task = replace(task, status=stopped.status, failure=stopped.failure)
        else:
            task = replace(task, status="FAILED" if event.exit_code else "COMPLETED", failure=event.failure)
        self._put(task)
        counts = task.lead or not group.spec.ignore_nonlead_status
        if has_failed(task.status) and counts:
            why = "Lead task finished" if task.lead else f"Task {task.name} of the group failed"
            self._stop(group, _End("FAILED", why))
        elif task.lead and group.spec.ignore_nonlead_status:
            group.others_until = time.monotonic() + self._sibling_grace_s

    def _stop(self, group: _GroupRun, end: _End, *, spare_deliveries: bool = False) -> None:
        for name, job in group.jobs.items():
            spared = name in group.ends or (spare_deliveries and job.delivering)
            if not spared and not has_ended(self._tasks[name].status):
                group.ends[name] = end
                job.stop()

    def _heed_requests(self) -> None:
        now = time.monotonic()
        for group in self._running.values():
            if group.others_until is not None and now >= group.others_until:
                self._stop(group, _End("FAILED", "Lead task finished"), spare_deliveries=True)
        limit = self._spec.timeout.exec_timeout_s
        if self._stopped_all:
            return
        if self._folder.cancel_file.exists():
            self._stop_all(graph.CANCELED, canceled_by(self._folder.cancel_file.read_text(encoding="utf-8")))
        elif limit is not None and now >= self._begun + limit:
            self._stop_all(
                "FAILED_EXEC_TIMEOUT", f"Task ran longer than the set limit of {limit:.15g} seconds."
            )

    def _stop_all(self, status: str, failure: str) -> None:
        self._stopped_all = True
        for group in self._running.values():
            self._stop(group, _End(status, failure))
        for task in self._tasks.values():
            if task.group not in self._running and not has_ended(task.status):
                self._put(replace(task, status=status, failure=failure, ended=self._clock()))

    def _start_groups(self) -> None:
        for group in self._spec.groups:
            if group.name in self._running or graph.group_status(group, self._tasks) is not None:
                continue
            startable = graph.startable(group, self._spec, self._tasks)
            if startable:
                self._start(group)
            elif startable is False:
                self._skip(group)

    def _skip(self, group: GroupSpec) -> None:
        for task in group.tasks:
            self._put(
                replace(
                    self._tasks[task.name],
                    status="FAILED_UPSTREAM",
                    exit_code=graph.UPSTREAM_EXIT,
                    failure="Upstream task failed.",
                    ended=self._clock(),
                )
            )

    def _start(self, group: GroupSpec) -> None:
        port = _free_port()
        jobs = {
            task.name: TaskJob(
                Stage(self._folder, group, task, self._inherited, self._imposed, port),
                self._events.put,
                tasks_lock=self._tasks_lock,
                secrets=self._secrets,
                clock=self._clock,
            )
            for task in group.tasks
        }
        self._running[group.name] = _GroupRun(group, jobs, set(jobs))
        for name, job in jobs.items():
            self._put(replace(self._tasks[name], status="INITIALIZING"))
            job.start()

    def _put(self, task: TaskState) -> None:
        self._tasks[task.name] = task
        self._state = replace(self._state, tasks=tuple(self._tasks.values()))

    def _save(self) -> None:
        if self._state != self._saved:
            self._folder.write_state(self._state)
            self._saved = self._state


def canceled_by(user: str) -> str:
    """Return what a task's state says of its cancel."""
    return f"Task was canceled by user: {user}."


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _give_up(failure: threading.ExceptHookArgs) -> None:
    """Die of a thread's unforeseen error: the tasks go too, and `vda resume` can start afresh."""
    threading.__excepthook__(failure)
    os._exit(1)


def main(arguments: Sequence[str]) -> None:
    """Supervise the workflow in a folder."""
    end_quickly()
    folder = RunFolder(Path(arguments[0]))
    threading.excepthook = _give_up
    write_whole(folder.supervisor_pid, f"{os.getpid()}\n".encode())
    tasks_lock = lock.take(folder.tasks_lock, patience_s=FORERUNNERS_S)
    if tasks_lock is None:
        raise EngineError(
            f"Tasks of an earlier attempt at {folder.workflow_id} are still alive",
            expected="no process that holds tasks.lock",
            remedy="end them, then resume again",
        )
    Supervisor(folder, tasks_lock=tasks_lock, environ=os.environ).run()


if __name__ == "__main__":
    main(sys.argv[1:])
