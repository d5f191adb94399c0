"""Prepare a task's folder as OSMO prepares a container, and deliver what the task has made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skill_tools.engines.local.run_folder import RunFolder, TaskFolder
from skill_tools.errors import EngineError
from skill_tools.flows.render import resolve_tokens
from skill_tools.flows.spec import GroupSpec, InputSpec, TaskSpec
from skill_tools.storage import file_store

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Command:
    """A command as it is started: every token and path resolved."""

    arguments: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Stage:
    """One task's place in a run: from its spec to a command, and from its output to the storage."""

    run: RunFolder
    group: GroupSpec
    task: TaskSpec
    inherited: Mapping[str, str]
    """What a task sees of this machine's environment, unless its spec says otherwise."""
    imposed: Mapping[str, str]
    """What the engine sets whatever the spec says."""
    barrier_port: int

    @property
    def folder(self) -> TaskFolder:
        """The task's part of the disk."""
        return self.run.task(self.task.name)

    def prepare(self, tick: file_store.Ticker) -> Command:
        """Put files and inputs in place and return the command.

        Raises:
            EngineError: an input can't be read, or the disk is full.
        """
        folder = self.folder
        self.tidy()
        for left in (folder.output, folder.withheld):  # by an attempt before this one
            shutil.rmtree(left, ignore_errors=True)
        folder.progress_file.unlink(missing_ok=True)
        for made in (folder.root, folder.output, *self._inputs):
            made.mkdir(parents=True, exist_ok=True)
        for source, target in zip(self.task.inputs, self._inputs, strict=True):
            self._fetch(source, target, tick)
        staged = {file.path: self._write(file.path, file.contents) for file in self.task.files}
        temporary = folder.root / "tmp"
        temporary.mkdir(exist_ok=True)
        return Command(
            arguments=tuple(
                # a container's absolute path, where an argument is nothing but that of a staged file
                str(staged.get(text, self.resolved(text)))
                for text in (*self.task.command, *self.task.args)
            ),
            directory=folder.root,
            environment={
                **self.inherited,
                "TMPDIR": str(temporary),
                **{name: self.resolved(text) for name, text in self.task.environment.items()},
                **self.imposed,
                "VDA_ROOT": str(folder.root),
                "VDA_PROGRESS_FILE": str(folder.progress_file),
                "VDA_BARRIER_PORT": str(self.barrier_port),
            },
        )

    def deliver(self, tick: file_store.Ticker) -> tuple[str, ...]:
        """Upload the output to every URL that the task names; return what was done, a line for each.

        Raises:
            EngineError: the storage can't be written, or the disk is full.
        """
        made = sorted(self.folder.output.iterdir())
        told = []
        for target in self.task.outputs:
            url = self.resolved(target.url)
            put = file_store.upload(made, url, tick, regex=target.regex, may_link=True)
            told.append(f"Uploaded {len(put)} files to {url}")
        return tuple(told)

    def withhold(self) -> None:
        """Take the output of a task that has not ended well out of the reach of others.

        What a killed command was still writing is nobody's to look at, and goes.
        """
        with suppress(FileNotFoundError):
            self.folder.output.replace(self.folder.withheld)
        for half in self.folder.withheld.rglob(".*.part"):
            half.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what only the command needed; output and log stay."""
        shutil.rmtree(self.folder.root, ignore_errors=True)
        shutil.rmtree(self.folder.inputs, ignore_errors=True)

    def resolved(self, text: str) -> str:
        """Return a text of the task with OSMO's tokens replaced."""
        return resolve_tokens(
            text,
            output=str(self.folder.output),
            inputs=[str(path) for path in self._inputs],
            input_names={
                source.task: number for number, source in enumerate(self.task.inputs) if source.task
            },
            workflow_id=self.run.workflow_id,
            hosts={task.name: LOOPBACK for task in self.group.tasks},
        )

    @property
    def _inputs(self) -> tuple[Path, ...]:
        return tuple(self.folder.input(number) for number in range(len(self.task.inputs)))

    def _fetch(self, source: InputSpec, target: Path, tick: file_store.Ticker) -> None:
        if source.url is not None:
            file_store.download(self.resolved(source.url), target, tick, regex=source.regex)
        elif source.task is not None:
            # copies, not links: a task may write to its inputs, and must not reach the output above
            file_store.copy_files(self._output_of(source.task), target, tick, regex=source.regex)

    def _output_of(self, reference: str) -> Path:
        workflow_id, _, task = reference.rpartition(":")
        run = RunFolder(self.run.path.with_name(workflow_id)) if workflow_id else self.run
        return run.task(task).output

    def _write(self, path: str, contents: bytes) -> Path:
        target = staged_path(self.folder.root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_text(self.resolved(contents.decode("utf-8")), encoding="utf-8", newline="")
        except UnicodeDecodeError:  # no text, so there are no tokens in it
            target.write_bytes(contents)
        return target


def staged_path(root: Path, path: str) -> Path:
    """Return where a container's path lies below a task's root.

    Raises:
        EngineError: the path leads out of the root.
    """
    parts = PurePosixPath(path.lstrip("/")).parts
    if ".." in parts or not parts:
        raise EngineError(
            f"The file {path!r} of the workflow would lie outside of its task's folder",
            expected="a path without `..`",
            remedy="correct `files:` in the workflow file",
            code="engine.refused",
        )
    return root.joinpath(*parts)
