"""Get the demo's clips from the model hub into a folder, flat; used when the user named no clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from skill_tools.access.hub import Hub, HubFile
from skill_tools.access.secrets import hugging_face_token
from skill_tools.errors import ArtifactError, InputError
from skill_tools.journal import RunRecord
from skill_tools.media.clips import VIDEO_SUFFIXES
from skill_tools.media.probe import probe
from skill_tools.policy.inputs import DEMO_REPOSITORY
from skill_tools.settings import Settings
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import GoOn, Name, PathText, RunId


class PrepareDemoInput(Closed):
    """Where the clips go, and from which repository."""

    run_id: RunId | None = None
    directory: PathText | None = Field(
        None, description="A folder in the workspace or in a data root; media/vda/demo otherwise."
    )
    repository: Name | None = Field(None, description="Another repository, where the user asked for it.")
    repository_was_asked_for: bool = Field(
        default=False, description="The user named the other repository in so many words."
    )
    go_on: GoOn = False


class PrepareDemoOutput(Closed):
    """The clips and where they are from."""

    directory: PathText
    repository: Name
    clips: Annotated[list[PathText], Field(max_length=1_000)]
    fetched: int


def prepare_demo(given: PrepareDemoInput, context: Context) -> Outcome[PrepareDemoOutput]:
    """List the repository, refuse base names that meet, and fetch what is not here yet."""
    run = context.journal.run(given.run_id) if given.run_id else None
    folder = allowed_folder(given.directory, context.settings)
    repository = given.repository or DEMO_REPOSITORY
    hub = Hub.from_environment(context.settings.environ, token=hugging_face_token(context.settings.environ))
    listed = [file for file in hub.dataset_files(repository) if Path(file.path).suffix in VIDEO_SUFFIXES]
    by_name = _flat(listed, repository)
    fetched = [
        name for name, file in by_name.items() if _fetch(hub, repository, file, folder / name, context)
    ]
    clips = sorted(str(folder / name) for name in by_name)
    for clip in clips:
        probe(Path(clip))
    data = PrepareDemoOutput(directory=str(folder), repository=repository, clips=clips, fetched=len(fetched))
    text = f"The clips are the demo data set {repository}: {len(clips)} in {folder}."
    return Outcome(data, run.run_id if run else None, messages=[Message(body=text)], next=_next(run))


def allowed_folder(given: str | None, settings: Settings) -> Path:
    """Return a folder that clips may be put into.

    Raises:
        InputError: it lies neither in the workspace nor in a data root.
    """
    folder = (settings.workspace / (given or "media/vda/demo")).expanduser().resolve()
    roots = (settings.workspace, *(root.resolve() for root in settings.data_roots))
    if any(folder.is_relative_to(root) for root in roots):
        return folder
    raise InputError(
        f"{folder} is outside the workspace and the data roots",
        expected=f"a folder below {' or '.join(str(root) for root in roots)}",
        remedy="choose such a folder, or name another root in VDA_DATA_ROOTS",
        code="input.outside_roots",
    )


def _flat(files: list[HubFile], repository: str) -> dict[str, HubFile]:
    by_name: dict[str, HubFile] = {}
    for file in files:
        name = Path(file.path).name
        if name in by_name:
            raise InputError(
                f"{repository} holds two clips named {name}: {by_name[name].path} and {file.path}",
                expected="one clip a base name",
                remedy="rename one of them in the repository",
                code="input.same_name",
            )
        by_name[name] = file
    if not by_name:
        raise ArtifactError(f"{repository} holds no clips", expected="video files in the repository")
    return by_name


def _fetch(hub: Hub, repository: str, file: HubFile, target: Path, context: Context) -> bool:
    """Bring one clip here unless it is here whole; True when it was fetched."""
    import httpx

    if target.is_file() and file.size is not None and target.stat().st_size == file.size:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        hub.download(repository, file.path, target)
    except httpx.HTTPError as error:
        raise ArtifactError(
            f"{file.path} could not be fetched: {error}", expected="the whole clip", retry="now"
        ) from error
    context.on_note(Note("demo", text=target.name))
    return True


def _next(run: RunRecord | None) -> list[NextStep]:
    if run is None:
        return []
    return [
        NextStep(
            tool="prepare_dataset", arguments={"run_id": run.run_id}, why="puts the clips into the storage"
        )
    ]


PREPARE_DEMO = Tool(
    name="prepare_demo",
    summary="Fetch the demo data set's clips; only for a run for which the user named no clips.",
    input_model=PrepareDemoInput,
    output_model=PrepareDemoOutput,
    effects=Effects(writes_local=True),
    steps=prepare_demo,
    guards=("SECRET-SILENT", "INPUT-DEMO", "INPUT-DEMO-ONLY", "INPUT-NO-INVENT"),
)
