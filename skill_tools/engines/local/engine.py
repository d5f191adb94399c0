"""The embedded engine: OSMO's workflow files on this machine, with `file://` storage.

Everything it knows lies in one folder, a folder a workflow; any process can ask and continue. What it
starts belongs to nobody's terminal, and dies with its supervisor.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import skill_tools
from skill_tools.engines.base import (
    Credential,
    EngineState,
    Pool,
    StoredObject,
    Submission,
    SubmitRequest,
    Ticker,
    WorkflowState,
    has_ended,
)
from skill_tools.engines.local import detached, graph, lock, log_reader
from skill_tools.engines.local.environment import host_environment
from skill_tools.engines.local.run_folder import RunFolder, RunRequest, write_whole
from skill_tools.engines.local.staging import staged_path
from skill_tools.engines.local.supervisor import FORERUNNERS_S, canceled_by
from skill_tools.errors import EngineError, InputError, VdaError
from skill_tools.flows.render import load_document
from skill_tools.flows.spec import WorkflowSpec, parse
from skill_tools.settings import PACKAGE_ROOT, own_skill_dir
from skill_tools.storage import file_store
from skill_tools.storage.url import file_path

POOL = Pool("local", "ONLINE", ("embedded",), "embedded", "This machine")
LAUNCH_S = 30.0
LEAVE_S = 10.0
BRIEFLY_S = 0.2
"""Whoever only asks whether a lock is held has it for an instant."""
BACKEND_EXIT = 3001
DIED = "The supervisor of this workflow died; `vda resume` continues where it was"

_WORKFLOW_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*-\d+")


class LocalEngine:
    """Runs workflows as processes of this machine.

    Args:
        root: the folder for what the engine knows of its workflows; made when the first is submitted.
        environ: what tasks may inherit parts of.
        skill_dir: the folder that holds `assets`; this package's own otherwise.
        clock: the time now, in Unix seconds.
    """

    name = "local"

    def __init__(
        self,
        root: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        skill_dir: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root.absolute()
        self._environ, self._skill_dir, self._clock = environ, skill_dir or own_skill_dir(), clock

    def state(self) -> EngineState:
        """Tell that the engine is ready: it needs nothing but this machine."""
        return EngineState(
            ready=True,
            client_version=skill_tools.__version__,
            service_version=None,
            user=_user(),
            reason="the embedded engine needs no service",
            default_pool=POOL.name,
        )

    def pools(self) -> tuple[Pool, ...]:
        """List the one pool: this machine."""
        return (POOL,)

    def credentials(self) -> tuple[Credential, ...]:
        """List nothing: the engine stores no secrets."""
        return ()

    def set_credential(self, name: str, kind: str, payload: Mapping[str, str], *, replace: bool) -> None:  # noqa: ARG002 - the protocol's
        """Refuse: there is nothing here that needs a credential.

        Raises:
            EngineError: always.
        """
        raise EngineError(
            f"The embedded engine stores no credentials, so {name} was not set",
            expected="no credential: storage is `file://`, images are not pulled",
            remedy="leave it out, or use OSMO with `--engine osmo`",
            code="engine.no_credentials",
            retry="never",
        )

    def pod_templates(self) -> Mapping[str, object]:
        """Return nothing: there are no pods."""
        return {}

    def validate(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return what the engine has against this submit; empty when it would take it."""
        try:
            spec = _load(request)
        except InputError as error:
            return (error.message,)
        return tuple(self._against(spec, request))

    def command(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return the canonical submit as an argument list: what would do the same on OSMO."""
        pairs = (f"{name}={value}" for name, value in request.values.items())
        submit = ("osmo", "workflow", "submit", str(request.workflow_file))
        return (*submit, "--pool", request.pool, "--set-string", *pairs)

    def submit(self, request: SubmitRequest) -> Submission:
        """Write the workflow down and start its supervisor.

        Raises:
            InputError: the file can't be rendered, or OSMO would refuse it.
            EngineError: this engine refuses it, or can't start it.
        """
        spec = _load(request)
        against = tuple(self._against(spec, request))
        if against:
            raise EngineError(
                f"The embedded engine refuses the workflow: {' '.join(against)}",
                expected=f"pool {POOL.name}, platform {POOL.default_platform}, file:// URLs, no credentials",
                remedy="correct the values, or use OSMO with `--engine osmo`",
                code="engine.refused",
            )
        folder = self._claim(spec.name)
        supervising = lock.take(folder.supervisor_lock, patience_s=BRIEFLY_S)
        if supervising is None:
            raise EngineError(f"{folder.path} is in use by another process", retry="now")
        try:
            folder.write(
                RunRequest(
                    workflow_file=request.workflow_file.absolute(),
                    values=dict(request.values),
                    pool=request.pool,
                    skill_dir=self._skill_dir,
                ),
                spec,
                graph.new_state(folder.workflow_id, spec, self._clock()),
            )
            self._launch(folder, supervising)
        finally:
            os.close(supervising)
        return Submission(folder.workflow_id, folder.path.as_uri(), tuple(_left_out(spec)))

    def find(self, run_id: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the ids of workflows of this run id that were submitted with these values."""
        wanted = {**values, "run_id": run_id}.items()
        return tuple(
            folder.workflow_id
            for folder in sorted(self._submitted(), key=lambda folder: folder.path)
            if wanted <= folder.request().values.items()
        )

    def query(self, workflow_id: str) -> WorkflowState:
        """Return the workflow's state now; one whose supervisor was killed is a FAILED_BACKEND_ERROR."""
        folder = self._folder(workflow_id)
        supervised = lock.is_held(folder.supervisor_lock)
        state = folder.state()  # read after the lock was looked at: a supervisor's last word is in it
        if supervised or has_ended(state.status):
            return state
        return _ended_as(state, "FAILED_BACKEND_ERROR", DIED, exit_code=BACKEND_EXIT, at=None)

    def logs(self, workflow_id: str, task: str | None, *, tail: int) -> tuple[str, ...]:
        """Return the newest `tail` log lines of a task, or of the whole workflow; all of them for 0."""
        folder = self._folder(workflow_id)
        names = [known.name for known in folder.state().tasks]
        if task is not None and task not in names:
            raise EngineError(
                f"Workflow {workflow_id} has no task {task}.",
                expected=f"one of {', '.join(names)}",
                code="engine.unknown_task",
            )
        return log_reader.newest((folder.task(name).log for name in names if task in {None, name}), tail)

    def cancel(self, workflow_id: str) -> None:
        """Ask for the end of a workflow; fine if it has ended already."""
        folder = self._folder(workflow_id)
        if has_ended(folder.state().status):
            return
        write_whole(folder.cancel_file, _user().encode())
        supervising = lock.take(folder.supervisor_lock, patience_s=BRIEFLY_S)
        if supervising is not None:  # nobody is there to see the request
            try:
                self._end_unsupervised(folder)
            finally:
                os.close(supervising)

    def resume(self, workflow_id: str) -> bool:
        """Go on with a workflow that failed, was cancelled, or lost its supervisor.

        Groups that ended well are kept, all others are redone as wholes, as OSMO's `restart` does.

        Returns:
            Whether a supervisor was started: not for one that is alive or has completed.
        """
        folder = self._folder(workflow_id)
        leaving = has_ended(folder.state().status)  # a supervisor that is still there is on its way out
        supervising = lock.take(folder.supervisor_lock, patience_s=LEAVE_S if leaving else BRIEFLY_S)
        if supervising is None:
            return False
        try:
            state = folder.state()
            if state.status == "COMPLETED":
                return False
            folder.cancel_file.unlink(missing_ok=True)
            folder.write_state(graph.renewed(state, folder.spec()))
            self._launch(folder, supervising)
        finally:
            os.close(supervising)
        return True

    def list(self, url: str) -> tuple[StoredObject, ...]:
        """List all objects below a URL, recursively; empty when there are none."""
        return tuple(StoredObject(found.path, found.size) for found in file_store.list_files(url))

    def download(self, url: str, directory: Path, tick: Ticker | None = None) -> tuple[Path, ...]:
        """Copy what is below a URL flat into an existing directory, structure below it kept."""
        return file_store.download(url, directory, tick)

    def upload(self, paths: Sequence[Path], url: str, tick: Ticker | None = None) -> None:
        """Copy files flat below a URL; what is there under the same name is replaced at once."""
        file_store.upload(paths, url, tick)

    def _against(self, spec: WorkflowSpec, request: SubmitRequest) -> Iterator[str]:
        """Yield what a service would find by looking around: pool, platforms, credentials, places."""
        if request.pool != POOL.name:
            yield f"Pool {request.pool} not found; there is {POOL.name}."
        for name, resource in spec.resources.items():
            if resource.platform not in {None, *POOL.platforms}:
                yield f"Resource {name}: platform {resource.platform} is not in pool {POOL.name}."
        for credential in sorted(spec.credentials):
            yield f"Could not find the credential: {credential}."
        for source in (source.task for task in spec.tasks for source in task.inputs if source.task):
            if ":" in source and not self._has_completed(source):
                yield f"Task input {source} has not completed."
        yield from _bad_places(spec)

    def _has_completed(self, reference: str) -> bool:
        workflow_id, _, name = reference.partition(":")
        try:
            tasks = self.query(workflow_id).tasks
        except EngineError:
            return False
        return any(task.name == name and task.status == "COMPLETED" for task in tasks)

    def _claim(self, name: str) -> RunFolder:
        """Make the folder of the next number; two processes never get the same."""
        self._root.mkdir(parents=True, exist_ok=True)
        numbered = re.compile(rf"{re.escape(name)}-(\d+)")
        used = (numbered.fullmatch(entry.name) for entry in self._root.iterdir())
        number = max((int(match[1]) for match in used if match), default=0)
        while True:
            number += 1
            folder = RunFolder(self._root / f"{name}-{number}")
            try:
                folder.path.mkdir()
            except FileExistsError:
                continue
            return folder

    def _launch(self, folder: RunFolder, supervising: int) -> None:
        """Start a supervisor that holds the lock from here on."""
        environment = host_environment(self._environ, folder.request().values)
        supervisor = ("-m", "skill_tools.engines.local.supervisor", str(folder.path))
        with folder.supervisor_log.open("ab") as log:
            launched = subprocess.run(
                [sys.executable, "-I", "-S", detached.__file__, sys.executable, *supervisor],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                env={**environment, "PYTHONPATH": str(PACKAGE_ROOT)},
                pass_fds=(supervising,),
                start_new_session=True,
                timeout=LAUNCH_S,
                check=False,
            )
        if launched.returncode != 0:
            raise EngineError(
                f"The supervisor of {folder.workflow_id} could not be started",
                expected=f"an interpreter that runs: {sys.executable}",
                remedy=f"see {folder.supervisor_log}, then `vda resume`",
            )

    def _end_unsupervised(self, folder: RunFolder) -> None:
        tasks = lock.take(folder.tasks_lock, patience_s=FORERUNNERS_S)
        try:
            state = folder.state()
            if not has_ended(state.status):
                failure = canceled_by(_user())
                folder.write_state(_ended_as(state, graph.CANCELED, failure, at=self._clock()))
        finally:
            if tasks is not None:
                os.close(tasks)

    def _submitted(self) -> Iterator[RunFolder]:
        if self._root.is_dir():
            folders = (RunFolder(path) for path in self._root.iterdir() if path.is_dir())
            yield from (folder for folder in folders if folder.was_submitted)

    def _folder(self, workflow_id: str) -> RunFolder:
        folder = RunFolder(self._root / workflow_id)
        if not _WORKFLOW_ID.fullmatch(workflow_id) or not folder.was_submitted:
            raise EngineError(
                f"Workflow {workflow_id} is not found.",
                expected=f"the id of a workflow in {self._root}",
                remedy="`vda runs` lists the runs of this workspace",
                code="engine.unknown_workflow",
            )
        return folder


def _load(request: SubmitRequest) -> WorkflowSpec:
    return parse(load_document(request.workflow_file, request.values), schemes=frozenset({"file"}))


def _bad_places(spec: WorkflowSpec) -> Iterator[str]:
    for task in spec.tasks:
        urls = [*(source.url for source in task.inputs), *(target.url for target in task.outputs)]
        try:
            for url in filter(None, urls):
                file_path(url)
            for file in task.files:
                staged_path(Path("/"), file.path)
        except VdaError as error:
            yield f"Task {task.name}: {error.message}."


def _left_out(spec: WorkflowSpec) -> Iterator[str]:
    """Yield what a spec asks for and this machine doesn't do."""
    for task in spec.tasks:
        asked = {
            "checkpoint": task.checkpoint,
            "exitActions": task.exit_actions,
            "kpis": task.kpis,
            "volumeMounts": task.volume_mounts,
        }
        for name in (name for name, value in asked.items() if value):
            yield f"Task {task.name}: the embedded engine leaves out {name}."


def _ended_as(
    state: WorkflowState, status: str, failure: str, *, at: float | None, exit_code: int | None = None
) -> WorkflowState:
    tasks = tuple(
        task
        if has_ended(task.status)
        else replace(task, status=status, failure=failure, exit_code=exit_code, ended=at)
        for task in state.tasks
    )
    return replace(state, status=status, tasks=tasks, failure=failure, ended=at)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
