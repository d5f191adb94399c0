"""Derive where a run's data lies from the data set itself; never guessed."""

from __future__ import annotations

from skill_tools.errors import NeedsInput
from skill_tools.journal import RunRecord
from skill_tools.storage.url import derive, file_url, parse
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Name, RunId, Url


class DeriveStorageUrlInput(Closed):
    """A run, a data set's URL, or both."""

    run_id: RunId | None = None
    dataset_url: Url | None = None
    storage_url: Url | None = None


class DeriveStorageUrlOutput(Closed):
    """The storage and what the URL says of the data set."""

    storage_url: Url
    scheme: Name
    dataset: Name | None
    dataset_url: Url | None
    video: Name | None


def derive_storage_url(given: DeriveStorageUrlInput, context: Context) -> Outcome[DeriveStorageUrlOutput]:
    """Take the data set's URL apart, or name the embedded engine's own storage."""
    run = context.journal.run(given.run_id) if given.run_id else None
    url = given.dataset_url or (run.dataset_url if run else None)
    if url:
        found = derive(url)
        data = DeriveStorageUrlOutput(
            storage_url=found.storage_url,
            scheme=parse(url).scheme,
            dataset=found.dataset,
            dataset_url=found.dataset_url,
            video=found.video,
        )
    else:
        named = given.storage_url or (run.storage_url if run else None)
        storage = str(parse(named)) if named else _own_storage(run, context)
        data = DeriveStorageUrlOutput(
            storage_url=storage,
            scheme=parse(storage).scheme,
            dataset=run.dataset if run else None,
            dataset_url=None,
            video=None,
        )
    return Outcome(
        data,
        run.run_id if run else None,
        messages=[Message(body=f"Storage: {data.storage_url}")],
        next=_next(run) if run else [],
    )


def _own_storage(run: RunRecord | None, context: Context) -> str:
    if run is not None and run.engine == "local":
        return file_url(context.settings.local_storage)
    raise NeedsInput(
        "Which storage URL shall the clips go to?",
        expected="s3://bucket, azure://account/container, gs://bucket, swift://… or tos://…",
        remedy="give storage_url, or the dataset_url of a data set that is there already",
        code="needs_input.STORAGE-DERIVE",
    )


def _next(run: RunRecord) -> list[NextStep]:
    tool, why = (
        ("prepare_demo", "gets the demo's clips")
        if run.demo
        else ("prepare_dataset", "puts the clips into the storage")
    )
    return [NextStep(tool=tool, arguments={"run_id": run.run_id, "go_on": True}, why=why)]


DERIVE_STORAGE_URL = Tool(
    name="derive_storage_url",
    summary="Derive the storage URL from the data set's own URL; asks when it can't be known.",
    input_model=DeriveStorageUrlInput,
    output_model=DeriveStorageUrlOutput,
    effects=Effects(read_only=True, open_world=False),
    steps=derive_storage_url,
    guards=("SECRET-SILENT", "INPUT-KEEP", "STORAGE-NO-STALE"),
    outcome_guards=("STORAGE-DERIVE",),
)
