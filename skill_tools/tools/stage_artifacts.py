"""Bring a run's whole output and its input clips into the workspace, and check that nothing is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from skill_tools.engines.base import Engine, Ticker
from skill_tools.errors import ArtifactError, InputError
from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.configs import read_manifest
from skill_tools.journal import RunRecord
from skill_tools.media.atomic import whole_file
from skill_tools.media.playable import frames_of
from skill_tools.media.probe import probe
from skill_tools.storage.mirror import RunMirror
from skill_tools.storage.url import Layout, parse
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import GoOn, Line, Name, PathText, RunId, Stem, Url


class StageArtifactsInput(Closed):
    """A run of this workspace; or, for any other run, where it lies."""

    run_id: RunId
    storage_url: Url | None = None
    dataset: Name | None = None
    video: Stem | None = Field(None, description="The clip whose paths are printed; the first otherwise.")
    run_local_dir: PathText | None = Field(None, description="A folder in the workspace.")
    input_local_video: PathText | None = Field(None, description="The user's own copy of the clip.")
    go_on: GoOn = False


class StagedVariant(Closed):
    """A variant and the folder of its labels, as they lie here."""

    name: Name
    aug_idx: int
    video: PathText
    labels_dir: PathText | None
    sampled_vars: dict[Name, Line]


class StagedClip(Closed):
    """A source clip and what was made of it, as they lie here."""

    video: Stem
    input: PathText
    labels_dir: PathText | None
    variants: list[StagedVariant]


class StageArtifactsOutput(Closed):
    """The mirror of the run."""

    run_local_dir: PathText
    dataset: Name
    clips: Annotated[list[StagedClip], Field(max_length=1_000)]
    variants: list[Name]
    manifests: list[PathText]
    files: int
    seconds: float
    disclosure: Line = ""


def stage_artifacts(given: StageArtifactsInput, context: Context) -> Outcome[StageArtifactsOutput]:
    """Mirror, then look at every file that the run should have made."""
    begun = time.monotonic()
    run = context.journal.find(given.run_id)
    layout, engine = _place(given, run, context)
    if not engine.list(layout.run_url):
        raise ArtifactError(
            f"{layout.run_url} holds nothing",
            expected="the output of a run that was completed",
            remedy=f"poll {given.run_id} first; `logs` says what happened",
            code="artifact.nothing_to_stage",
        )
    root = _root(given, context)
    root.mkdir(parents=True, exist_ok=True)
    mirror = RunMirror(root)
    files = engine.download(layout.run_url, root, _ticker(context))
    clips = _staged_clips(mirror, _videos(given, run, context))
    for clip in clips:
        _stage_input(mirror, clip.video, layout, engine, given.input_local_video)
    _refuse_missing(mirror, clips, run)
    data = StageArtifactsOutput(
        run_local_dir=str(root),
        dataset=layout.dataset,
        clips=clips,
        variants=[variant.name for clip in clips for variant in clip.variants],
        manifests=[str(path) for path in mirror.manifests()],
        files=len(files),
        seconds=round(time.monotonic() - begun, 3),
        disclosure=_disclosure(run, context),
    )
    return _outcome(data, given, run)


def _place(given: StageArtifactsInput, run: RunRecord | None, context: Context) -> tuple[Layout, Engine]:
    """Return where the run lies: as given, else as the journal knows it."""
    if run is not None:
        known = context.passed(run.run_id, "prepare_dataset")
        layout = Layout(known["storage_url"], known["dataset"], run.run_id)
        for name, said, right in (
            ("storage_url", given.storage_url, layout.storage_url),
            ("dataset", given.dataset, layout.dataset),
        ):
            if said and said.rstrip("/") != right:
                raise InputError(
                    f"{name} {said} is not that of {run.run_id}",
                    expected=right,
                    remedy="leave it out",
                    code="input.other_place",
                )
        return layout, context.engine(run)
    if not given.storage_url or not given.dataset:
        raise InputError(
            f"{given.run_id} is no run of this workspace",
            expected="storage_url and dataset of a run that was made elsewhere",
            remedy="give both, or a run id that `vda runs` lists",
            code="input.unknown_run",
        )
    storage = parse(given.storage_url)
    engine = context.engines.named("local" if storage.scheme == "file" else "osmo")
    return Layout(str(storage), given.dataset, given.run_id), engine


def _root(given: StageArtifactsInput, context: Context) -> Path:
    if given.run_local_dir:
        return (context.settings.workspace / given.run_local_dir).expanduser().resolve()
    return context.settings.run_dir(given.run_id)


def _ticker(context: Context) -> Ticker:
    def tick(name: str, done: int, total: int | None) -> None:
        context.on_note(Note("staging", done, total, "B", text=name))

    return tick


def _videos(given: StageArtifactsInput, run: RunRecord | None, context: Context) -> list[str]:
    if run is None:
        return [given.video] if given.video else []
    return [clip["video"] for clip in context.passed(run.run_id, "prepare_dataset")["clips"]]


def _staged_clips(mirror: RunMirror, videos: Sequence[str]) -> list[StagedClip]:
    """Return the clips, and the variants that the manifests name, as they lie here."""
    variants: dict[str, list[StagedVariant]] = {stem: [] for stem in videos}
    for path in mirror.manifests():
        for config in read_manifest(path).configs:
            labels = mirror.variant_labels(config.video_name, config.aug_idx)
            staged = StagedVariant(
                name=config.name,
                aug_idx=config.aug_idx,
                video=str(mirror.variant(config.video_name, config.aug_idx)),
                labels_dir=str(labels) if labels.is_dir() else None,
                sampled_vars=dict(config.sampled_vars),
            )
            variants.setdefault(config.video_name, []).append(staged)
    return [
        StagedClip(
            video=stem,
            input=str(mirror.input(stem)),
            labels_dir=str(mirror.labels(stem)) if mirror.labels(stem).is_dir() else None,
            variants=sorted(of_clip, key=lambda variant: variant.aug_idx),
        )
        for stem, of_clip in variants.items()
    ]


def _stage_input(mirror: RunMirror, video: str, layout: Layout, engine: Engine, own_copy: str | None) -> None:
    from skill_tools.media.container import prepare_mp4

    target = mirror.input(video)
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if own_copy and Path(own_copy).stem == video:
        with whole_file(target) as part:
            part.unlink(missing_ok=True)
            prepare_mp4(Path(own_copy), part)
        return
    engine.download(f"{layout.dataset_url}/{video}.mp4", target.parent)


def _refuse_missing(mirror: RunMirror, clips: list[StagedClip], run: RunRecord | None) -> None:
    """Raise unless every clip, variant and label folder is here and every video decodes."""
    flow = FLOWS[run.flow] if run else None
    missing = []
    for clip in clips:
        missing += _unplayable(Path(clip.input))
        if flow and flow.labels_originals and clip.labels_dir is None:
            missing.append(str(mirror.labels(clip.video)))
        for variant in clip.variants:
            missing += _unplayable(Path(variant.video))
            if flow and flow.has_augmentation and variant.labels_dir is None:
                missing.append(str(mirror.variant_labels(clip.video, variant.aug_idx)))
    if missing or not clips:
        raise ArtifactError(
            f"The staged run lacks {', '.join(missing[:5]) or 'its manifest'}",
            expected="every clip, variant and label folder that the manifest names",
            remedy="call stage_artifacts again; if it stays, the run's logs say why",
            code="artifact.missing",
        )


def _unplayable(path: Path) -> list[str]:
    if not path.is_file():
        return [str(path)]
    probe(path)
    return []


def witness(outcome: Outcome[StageArtifactsOutput]) -> dict[str, JsonValue]:
    """Read again, from the files alone, how many frames each clip and each variant has.

    Containers tell; where they disagree, both are decoded: broken packets are told too, and make no frame.
    """
    frames: dict[str, JsonValue] = {}
    for clip in outcome.data.clips:
        source = Path(clip.input)
        frames[clip.input] = frames_of(source)
        for variant in clip.variants:
            frames[variant.video] = frames_of(Path(variant.video))
            if frames[variant.video] != frames[clip.input]:
                frames[clip.input] = frames_of(source, decoded=True)
                frames[variant.video] = frames_of(Path(variant.video), decoded=True)
    return {"frames": frames}


def _disclosure(run: RunRecord | None, context: Context) -> str:
    """Return where a demo run's clips are from, and nothing for other runs."""
    if run is None or not run.demo:
        return ""
    repository = context.passed(run.run_id, "prepare_demo")["repository"]
    return f"The clips are from the demo data set {repository}; none were given."


def _outcome(
    data: StageArtifactsOutput, given: StageArtifactsInput, run: RunRecord | None
) -> Outcome[StageArtifactsOutput]:
    shown = next((clip for clip in data.clips if clip.video == given.video), data.clips[0])
    lines = [f"LOCAL_RUN_DIR={data.run_local_dir}", f"LOCAL_INPUT_VIDEO={shown.input}"]
    if shown.variants:
        lines.append(f"LOCAL_AUGMENTED_VIDEO={shown.variants[0].video}")
    if data.manifests:
        lines.append(f"LOCAL_MANIFEST={data.manifests[0]}")
    if shown.variants and shown.variants[0].labels_dir:
        lines.append(f"LOCAL_AUG_LABEL_DIR={shown.variants[0].labels_dir}")
    if shown.labels_dir:
        lines.append(f"LOCAL_ORIG_LABEL_DIR={shown.labels_dir}")
    messages = [Message(body="\n".join(lines))]
    if data.disclosure:
        messages.append(Message(body=data.disclosure))
    following = []
    if run is not None:
        tool = "render_compare" if FLOWS[run.flow].has_augmentation else "report"
        following.append(NextStep(tool=tool, arguments={"run_id": run.run_id}, why="shows what was made"))
    return Outcome(data, given.run_id, messages=messages, next=following)


STAGE_ARTIFACTS = Tool(
    name="stage_artifacts",
    summary="Mirror a run's whole output and its input clips into the workspace, and verify it.",
    input_model=StageArtifactsInput,
    output_model=StageArtifactsOutput,
    effects=Effects(writes_local=True),
    steps=stage_artifacts,
    guards=("SECRET-SILENT", "STAGE-WORKSPACE", "INPUT-KEEP"),
    outcome_guards=("STAGE-FULL", "INPUT-DISCLOSE"),
    witness=witness,
)
