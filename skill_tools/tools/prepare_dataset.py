"""Put the user's clips flat below the data set's URL, verified; what is there already is not sent again."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from skill_tools.engines.base import Engine, Ticker
from skill_tools.errors import ArtifactError, ClipError, InputError
from skill_tools.journal import RunRecord
from skill_tools.media.probe import probe
from skill_tools.storage.url import dataset_name_like, file_path, is_stem
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import GoOn, Line, Name, PathText, RunId, Stem, Url

CHUNK_BYTES = 1 << 20


class PrepareDatasetInput(Closed):
    """The run whose clips are put in place."""

    run_id: RunId
    clips: Annotated[list[PathText], Field(max_length=1_000)] = Field(
        default_factory=list, description="The user's clips again; they can't be others."
    )
    go_on: GoOn = False


class PreparedClip(Closed):
    """A clip in the storage."""

    video: Stem
    source: PathText | None
    sha256: Line | None
    how: Literal["copied", "remuxed", "transcoded", "there"]
    sent: bool
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration_s: float | None = None


class PrepareDatasetOutput(Closed):
    """The data set as it lies in the storage now."""

    dataset: Name
    dataset_url: Url
    storage_url: Url
    clips: Annotated[list[PreparedClip], Field(max_length=10_000)]
    sent: int
    already_there: int


@dataclass(frozen=True)
class _Ready:
    """A clip that is ready to be sent, as the MP4 that will lie in the storage."""

    source: Path
    file: Path
    how: Literal["copied", "remuxed", "transcoded"]
    sha256: str


def prepare_dataset(given: PrepareDatasetInput, context: Context) -> Outcome[PrepareDatasetOutput]:
    """Send what is not there yet, look again, and say what lies where."""
    run = context.journal.run(given.run_id)
    storage = context.passed(run.run_id, "derive_storage_url")
    engine = context.engine(run)
    sources = _sources(run, context)
    if not sources:
        data = _present_dataset(engine, storage)
    else:
        data = _sent_dataset(sources, run, storage["storage_url"], engine, context)
    text = (
        f"Data set {data.dataset}: {len(data.clips)} clip(s) at {data.dataset_url}; "
        f"{data.sent} sent, {data.already_there} there already."
    )
    step = NextStep(
        tool="check_submission", arguments={"run_id": run.run_id}, why="checks what will be submitted"
    )
    return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])


def _sources(run: RunRecord, context: Context) -> list[Path]:
    if run.demo:
        return [Path(clip) for clip in context.passed(run.run_id, "prepare_demo")["clips"]]
    return [Path(clip) for clip in run.clips]


def _present_dataset(engine: Engine, storage: dict[str, str]) -> PrepareDatasetOutput:
    """Look at a data set that the user has in a storage already; nothing is sent."""
    listed = sorted(found.path for found in engine.list(storage["dataset_url"]))
    videos = [path.removesuffix(".mp4") for path in listed if path.endswith(".mp4") and "/" not in path]
    wanted = [video for video in videos if not storage["video"] or video == storage["video"]]
    if not wanted:
        raise InputError(
            f"{storage['dataset_url']} holds no .mp4 clip"
            + (f" named {storage['video']}" if storage["video"] else ""),
            expected="clips as .mp4 files directly below the data set's URL",
            remedy="check the URL; " + (f"found: {', '.join(listed[:5])}" if listed else "nothing was found"),
            code="input.empty_dataset",
        )
    bad = [video for video in wanted if not is_stem(video)]
    if bad:
        raise InputError(
            f"{bad[0]!r} can't name a run's clip",
            expected="letters, digits, '.', '_' and '-', first a letter or digit",
            remedy="rename it in the storage",
            code="input.clip_name",
        )
    clips = [PreparedClip(video=video, source=None, sha256=None, how="there", sent=False) for video in wanted]
    return PrepareDatasetOutput(
        dataset=storage["dataset"],
        dataset_url=storage["dataset_url"],
        storage_url=storage["storage_url"],
        clips=clips,
        sent=0,
        already_there=len(clips),
    )


def _sent_dataset(
    sources: list[Path], run: RunRecord, storage_url: str, engine: Engine, context: Context
) -> PrepareDatasetOutput:
    incoming = context.settings.state_dir / "incoming" / run.run_id
    try:
        ready = [_ready(source, incoming, context) for source in sources]
        dataset = _dataset_name(run, ready, storage_url, engine, context)
        url = f"{storage_url}/datasets/{dataset}"
        there = _equal_ones(ready, url, engine, context)
        missing = [clip for clip in ready if clip not in there]
        _refuse_replacing(missing, url, engine, explicit=run.dataset is not None)
        if missing:
            engine.upload([clip.file for clip in missing], url, _ticker(context))
        _verify(ready, url, engine)
        clips = [_prepared(clip, sent=clip in missing) for clip in ready]
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return PrepareDatasetOutput(
        dataset=dataset,
        dataset_url=url,
        storage_url=storage_url,
        clips=clips,
        sent=len(missing),
        already_there=len(there),
    )


def _ready(source: Path, incoming: Path, context: Context) -> _Ready:
    """Make the MP4 of a clip under the name it will have, and its digest."""
    from skill_tools.media.container import prepare_mp4

    incoming.mkdir(parents=True, exist_ok=True)
    target = incoming / f"{source.stem}.mp4"
    context.on_note(Note("data set", text=f"reading {source.name}"))
    if not source.is_file():
        raise ClipError(
            f"{source} is gone", expected="the clip that the run was begun with", remedy="put it back"
        )
    how = prepare_mp4(source, target)
    return _Ready(source, target, how, _sha256(target))


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _dataset_name(
    run: RunRecord, ready: list[_Ready], storage_url: str, engine: Engine, context: Context
) -> str:
    """Return the user's name for the data set, else one from the clips that holds no other clips.

    A name made here that is taken by other clips gets a suffix made from the clips' contents, so that the
    same clips always come to the same place and different ones never meet.
    """
    if run.dataset:
        return run.dataset
    first = ready[0].source
    name = dataset_name_like("vda_demo" if run.demo else first.stem if len(ready) == 1 else first.parent.name)
    url = f"{storage_url}/datasets/{name}"
    there = {found.path for found in engine.list(url)}
    ours = {clip.file.name for clip in ready}
    equal = {clip.file.name for clip in _equal_ones(ready, url, engine, context)}
    if not there or (there <= ours and there <= equal):
        return name
    contents = "".join(sorted(f"{clip.file.name}:{clip.sha256}\n" for clip in ready))
    return f"{name[:55]}-{hashlib.sha256(contents.encode()).hexdigest()[:8]}"


def _equal_ones(ready: list[_Ready], url: str, engine: Engine, context: Context) -> list[_Ready]:
    """Return the clips that lie in the storage already, with equal contents."""
    listed = {found.path: found.size for found in engine.list(url)}
    sent_before = _sent_before(url, context)
    equal = []
    for clip in ready:
        name = clip.file.name
        size_fits = listed.get(name) in {None, clip.file.stat().st_size}
        if name not in listed or not size_fits:
            continue
        if url.startswith("file://"):
            known = _sha256(file_path(f"{url}/{name}"))
        else:
            known = sent_before.get(clip.file.stem, "")
        if known == clip.sha256:
            equal.append(clip)
    return equal


def _sent_before(url: str, context: Context) -> dict[str, str]:
    """Return the digests of what this workspace sent to a URL: remote storages list none."""
    digests: dict[str, str] = {}
    for run in context.journal.runs():
        result = context.journal.passed(run.run_id, "prepare_dataset")
        if result and result.data["dataset_url"] == url:
            sent = PrepareDatasetOutput.model_validate(result.data)
            digests |= {clip.video: clip.sha256 for clip in sent.clips if clip.sha256}
    return digests


def _refuse_replacing(missing: list[_Ready], url: str, engine: Engine, *, explicit: bool) -> None:
    taken = {found.path for found in engine.list(url)} & {clip.file.name for clip in missing}
    if explicit and taken:
        name = min(taken)
        raise InputError(
            f"{url}/{name} is another clip of the same name",
            expected="a data set in which this name is free or holds the same clip",
            remedy="give another data set name; nothing was replaced",
            code="input.clip_taken",
        )


def _ticker(context: Context) -> Ticker:
    def tick(name: str, done: int, total: int | None) -> None:
        context.on_note(Note("data set", done, total, "B", text=name))

    return tick


def _verify(ready: list[_Ready], url: str, engine: Engine) -> None:
    listed = {found.path: found.size for found in engine.list(url)}
    for clip in ready:
        name, size = clip.file.name, clip.file.stat().st_size
        if name not in listed or listed[name] not in {None, size}:
            raise ArtifactError(
                f"{url}/{name} did not arrive whole",
                expected=f"{size} bytes, found {listed.get(name, 'nothing')}",
                remedy="call prepare_dataset again",
                retry="now",
            )


def _prepared(clip: _Ready, *, sent: bool) -> PreparedClip:
    found = probe(clip.file)
    return PreparedClip(
        video=clip.file.stem,
        source=str(clip.source),
        sha256=clip.sha256,
        how=clip.how,
        sent=sent,
        width=found.width,
        height=found.height,
        frames=found.frames,
        duration_s=round(found.duration_s, 3),
    )


PREPARE_DATASET = Tool(
    name="prepare_dataset",
    summary="Put the user's clips flat into the data set's folder of the storage, and verify them.",
    input_model=PrepareDatasetInput,
    output_model=PrepareDatasetOutput,
    effects=Effects(writes_local=True, changes_remote=True),
    steps=prepare_dataset,
    guards=("SECRET-SILENT", "ETA-FIRST", "INPUT-KEEP"),
)
