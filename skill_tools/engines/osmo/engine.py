"""NVIDIA OSMO, through its command line client."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from skill_tools.engines.base import (
    Credential,
    EngineState,
    Pool,
    StoredObject,
    Submission,
    SubmitRequest,
    Ticker,
    WorkflowState,
)
from skill_tools.engines.osmo import credentials as storing
from skill_tools.engines.osmo import refusals, replies, transfer
from skill_tools.engines.osmo.client import Client, unwritten, was_cut_short
from skill_tools.engines.osmo.process import Limits, Run, run
from skill_tools.errors import ArtifactError, EngineError, EngineUnavailable, InputError
from skill_tools.flows.render import load_workflow
from skill_tools.flows.spec import OSMO_SCHEMES

SUBMIT = Limits(time_s=240)
LISTING = Limits(time_s=180, output_bytes=64 * 2**20)
TRANSFER = Limits(time_s=12 * 3600, silent_s=600, output_bytes=64 * 2**20)
FOLLOW = Limits(time_s=75, quiet_s=2)

NEWEST = 100
"""How many of the user's workflows `find` asks for."""
SPECS_TO_SEARCH = 24
"""How many of them it looks into."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class OsmoEngine:
    """The Engine protocol over `osmo`, 6.3.1 or newer.

    Every command is an argument list with a time limit and a bounded output. Reads are tried up to three
    times when OSMO can't be reached; writes once. Every failure is a typed error with the CLI's own words
    in it.
    """

    name = "osmo"

    def __init__(
        self,
        executable: str | None = None,
        environ: Mapping[str, str] = os.environ,
        run: Run = run,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._osmo = Client(executable, environ, run, sleep=sleep, clock=clock)

    def state(self) -> EngineState:
        """Tell whether OSMO can be used now: installed, reachable, logged in."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            who = thread.submit(
                self._osmo.read,
                "asking who is logged in",
                ("profile", "list", "--format-type", "json"),
                replies.profile,
            )
            try:
                client, service = self._osmo.read(
                    "asking for OSMO's version", ("version", "--format-type", "json"), replies.version
                )
            except EngineError as error:
                return _not_ready(error)
        try:
            user, pool = who.result()
        except EngineError as error:
            return _not_ready(error, client, service)
        return EngineState(
            ready=True, client_version=client, service_version=service, user=user, default_pool=pool
        )

    def pools(self) -> tuple[Pool, ...]:
        """List the pools with their platforms."""
        return self._osmo.read("listing the pools", ("pool", "list", "--format-type", "json"), replies.pools)

    def credentials(self) -> tuple[Credential, ...]:
        """List the stored credentials."""
        return self._osmo.read(
            "listing the credentials", ("credential", "--format-type", "json", "list"), replies.credentials
        )

    def local_profiles(self) -> frozenset[str]:
        """Return the storages (`s3://bucket` …) that this machine holds keys for.

        The others work inside workflows, and not for `list`, `download` and `upload` from here.
        """
        return self._osmo.read("listing the credentials", ("credential", "list"), replies.local_profiles)

    def set_credential(self, name: str, kind: str, payload: Mapping[str, str], *, replace: bool) -> None:
        """Store a credential; every value goes through a file that only this user can read.

        A stored payload can't be read back. So where OSMO doesn't overwrite in place, the new one is stored
        under a name of its own first, and the old one is deleted only after that was taken.

        Raises:
            InputError: a name, kind or payload that OSMO would not take. EngineError:
            `engine.credential_exists` or `engine.credential_renames` without `replace`, or OSMO's refusal.
        """
        storing.store(self, name, kind, payload, replace=replace)

    def delete_credential(self, name: str) -> None:
        """Delete a stored credential."""
        what = f"deleting the credential {name}"
        finished = self._osmo.write(what, ("credential", "delete", name))
        if f"Deleted credential {name}." not in finished.stdout:
            raise unwritten(finished, what)

    def put_credential(self, name: str, kind: str, payload: Mapping[str, str]) -> None:
        """Ask OSMO once to store a credential, whatever is there."""
        what = f"storing the credential {name}"
        hidden = storing.secrets_of(payload)
        with storing.as_files(payload) as pairs:
            arguments = ("credential", "set", name, "--type", kind, "--payload-file", *pairs)
            finished = self._osmo.write(what, arguments, hidden=hidden)
        if f"Set {kind} credential {name}." not in finished.stdout:
            raise unwritten(finished, what, hidden)

    def pod_templates(self) -> Mapping[str, object]:
        """Return the pod templates by name; OSMO may show them to administrators only."""
        return self._osmo.read(
            "reading the pod templates", ("config", "show", "POD_TEMPLATE"), replies.pod_templates
        )

    def validate(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return what OSMO has against this submit; empty when it would take it.

        What can be told from the file alone is told from it: OSMO counts a refused validation as a
        submission, and a number of the name is used up.
        """
        try:
            load_workflow(request.workflow_file, request.values, schemes=OSMO_SCHEMES)
        except InputError as objection:
            return (objection.message,)
        what = f"validating {request.workflow_file.name}"
        finished = self._osmo.call(("workflow", "validate", *_canonical(request)), SUBMIT)
        if was_cut_short(finished):
            raise refusals.cut_short(finished, what, SUBMIT.time_s)
        if finished.exit_code == 0 and "Workflow validation succeeded." in finished.stdout:
            return ()
        error = refusals.refused(finished, what)
        if isinstance(error, EngineUnavailable):
            raise error
        return (error.message,)

    def command(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return the canonical submit as an argument list."""
        return ("osmo", "workflow", "submit", *_canonical(request))

    def submit(self, request: SubmitRequest) -> Submission:
        """Submit once.

        Raises:
            OutcomeUnknown: nobody can tell whether OSMO took it; `find` can.
            EngineError: OSMO refused it; nothing runs.
        """
        what = f"submitting {request.workflow_file.name}"
        finished = self._osmo.write(what, ("workflow", "submit", *_canonical(request)), SUBMIT)
        try:
            return replies.submission(finished.stdout)
        except replies.UnreadableReplyError as error:
            raise unwritten(finished, what) from error

    def find(self, run_id: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the ids of the user's newest workflows whose spec carries this run id, the newest first.

        With `batch` among `values` only those of that batch. Of the newest hundred workflows those named
        like the data set are looked into first, two dozen in all.
        """
        arguments = ("workflow", "list", "--count", str(NEWEST), "--format-type", "json")
        names = self._osmo.read("listing the workflows", arguments, replies.workflow_names)
        likely = f"{values.get('dataset', '')}-".lower()
        candidates = sorted(names, key=lambda name: not name.lower().startswith(likely))[:SPECS_TO_SEARCH]
        batch = values.get("batch")
        wanted = [run_id, *([f"setup_b{batch}"] if batch else [])]
        with ThreadPoolExecutor(max_workers=4) as threads:
            specs = list(threads.map(self._spec, candidates))
        found = zip(candidates, specs, strict=True)
        return tuple(name for name, spec in found if all(_mentions(spec, word) for word in wanted))

    def query(self, workflow_id: str) -> WorkflowState:
        """Return the workflow's state now."""
        arguments = ("workflow", "query", _identifier(workflow_id), "--format-type", "json")
        return self._osmo.read(f"querying {workflow_id}", arguments, replies.workflow)

    def logs(self, workflow_id: str, task: str | None, *, tail: int) -> tuple[str, ...]:
        """Return the newest `tail` log lines of a task, or of the whole workflow; all of them for 0.

        `osmo` follows a workflow that is alive; it is interrupted once it has caught up.
        """
        of_task = () if task is None else ("--task", _identifier(task))
        arguments = ("workflow", "logs", _identifier(workflow_id), *of_task, "-n", str(max(tail, 0)))
        lines = self._osmo.read(f"reading the logs of {workflow_id}", arguments, replies.log_lines, FOLLOW)
        return lines[-tail:] if tail > 0 else lines

    def cancel(self, workflow_id: str) -> None:
        """Ask for the end of a workflow; fine if it has ended already."""
        what = f"cancelling {workflow_id}"
        finished = self._osmo.write(what, ("workflow", "cancel", _identifier(workflow_id)))
        accepted = f"Cancel job for workflow {workflow_id} is submitted"
        if accepted not in finished.stdout and "is already finished" not in finished.stdout:
            raise unwritten(finished, what)

    def resume(self, workflow_id: str) -> bool:  # noqa: ARG002 - the protocol's
        """Do nothing: OSMO looks after its workflows itself."""
        return False

    def list(self, url: str) -> tuple[StoredObject, ...]:
        """List all objects below a URL, recursively; OSMO's CLI doesn't tell their sizes."""
        return self._objects(url, "--recursive")

    def download(self, url: str, directory: Path, tick: Ticker | None = None) -> tuple[Path, ...]:
        """Copy what is below a URL flat into an existing directory, structure below it kept.

        A URL of one object lands as `directory/<name>`; one with nothing behind it gives nothing. Files
        arrive in a hidden folder of `directory`, are compared with the listing and with the total that the
        CLI names (its exit code says nothing), and are then moved into place. When a download fails the
        hidden folder stays, and the same call goes on from there.

        Raises:
            ArtifactError: not all of it arrived.
        """
        if not directory.is_dir():
            raise transfer.storage_error(
                f"{directory} is no directory to download into", "an existing directory"
            )
        listed = [each.path for each in self.list(url)]
        with transfer.staging(url, directory) as folder:
            lacking = self._fetch(url, folder, listed, tick)
            if lacking:
                transfer.clear(folder)
                lacking = self._fetch(url, folder, listed, tick)
            if lacking:
                raise ArtifactError(
                    f"downloading {url}: osmo ended without an error, but there is lacking {lacking}",
                    expected="every listed object, whole",
                    remedy="look with `osmo data list` whether it is there, then again",
                    code="artifact.not_downloaded",
                )
            return transfer.settle(folder, directory)

    def upload(self, paths: Sequence[Path], url: str, tick: Ticker | None = None) -> None:
        """Copy files flat below a URL, folders under their own name, and make sure that all are there.

        Raises:
            ArtifactError: OSMO's CLI ended without an error, but not all was sent.
            OutcomeUnknown: the CLI was cut short; sending the same files again is safe.
        """
        keys = transfer.keys_of(paths)
        transfer.key_prefix(url)
        what = f"uploading to {url}"
        with transfer.as_arguments(paths) as sources:
            watch = transfer.watching(url, tick)
            finished = self._osmo.write(what, ("data", "upload", url, *sources), TRANSFER, watch=watch)
        if finished.exit_code != 0:
            raise unwritten(finished, what)
        there = {each.path for each in self.list(url)}
        lacking = [key for key in keys if key not in there]
        bar = transfer.read_bar(finished.stderr)
        short = bar is not None and not bar.total.can_be(sum(keys.values()))
        if lacking or short or transfer.NOT_SENT in finished.stderr + finished.stdout:
            raise ArtifactError(
                f"{what}: not all was sent: {', '.join(lacking[:5]) or 'bytes are lacking'}. "
                f"osmo says: {refusals.words_of(finished)}",
                expected="every file is listed after the upload",
                remedy="upload again; what is there already does no harm",
                code="artifact.not_uploaded",
            )

    def _objects(self, url: str, *options: str) -> tuple[StoredObject, ...]:
        prefix = transfer.key_prefix(url)
        arguments = ("data", "list", "--no-pager", *options, url)
        return self._osmo.read(f"listing {url}", arguments, partial(replies.objects, prefix=prefix), LISTING)

    def _fetch(self, url: str, folder: Path, listed: Sequence[str], tick: Ticker | None) -> str:
        """Download into a folder; return what is lacking afterwards, nothing when all is there."""
        arguments = ("data", "download", "--resume", url, str(folder))
        once = partial(
            self._osmo.checked, f"downloading {url}", arguments, TRANSFER, transfer.watching(url, tick)
        )
        finished = self._osmo.persistently(once, TRANSFER)
        missing = transfer.missing_below(folder, listed)
        if missing:
            return f"{len(missing)} of {len(listed)} objects, {missing[0]} among them"
        bar, size_bytes = transfer.read_bar(finished.stderr), transfer.size_below(folder)
        if bar is not None and not bar.total.can_be(size_bytes):
            return f"a part: {size_bytes} of about {bar.total.size_bytes} bytes arrived"
        return ""

    def _spec(self, workflow_id: str) -> str:
        return self._osmo.read(f"reading the spec of {workflow_id}", ("workflow", "spec", workflow_id), str)


def _not_ready(error: EngineError, client: str | None = None, service: str | None = None) -> EngineState:
    return EngineState(
        ready=False, client_version=client, service_version=service, user=None, reason=str(error)
    )


def _canonical(request: SubmitRequest) -> tuple[str, ...]:
    """Return the workflow file first (the options are greedy), then the pool, then the one `--set-string`."""
    file = str(request.workflow_file)
    pairs = [f"{key}={value}" for key, value in request.values.items()]
    return (
        f"./{file}" if file.startswith("-") else file,
        "--pool",
        request.pool,
        *(("--set-string", *pairs) if pairs else ()),
    )


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise InputError(
            f"{value!r} is no name of a workflow or task",
            expected="letters, digits, `-`, `_` and `.`",
            remedy="take it from `osmo workflow list` or `osmo workflow query`",
            code="input.identifier",
        )
    return value


def _mentions(text: str, word: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_-]){re.escape(word)}(?![A-Za-z0-9_-])", text) is not None
