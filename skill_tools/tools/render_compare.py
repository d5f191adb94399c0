"""Render the labelled side by sides of a staged run: the original on the left, the variant on the right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue

from skill_tools.errors import ArtifactError, InputError, VdaError
from skill_tools.media.playable import frames_of
from skill_tools.media.probe import probe
from skill_tools.storage.mirror import RunMirror, variant_name
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import Line, Name, PathText, RunId, Stem
from skill_tools.tools.stage_artifacts import StageArtifactsOutput, StagedClip, StagedVariant

if TYPE_CHECKING:
    from skill_tools.media.compare import Comparison

Kind = Literal["video", "picture", "pair"]
RENDER_ATTEMPTS = 2


class RenderCompareInput(Closed):
    """The staged run; clip and variant where only one shall be rendered."""

    run_id: RunId | None = None
    run_local_dir: PathText | None = Field(None, description="The staged copy, in the workspace.")
    dataset: Name | None = None
    video: Stem | None = None
    aug_index: int | None = Field(None, ge=0, le=63)


class RenderedComparison(Closed):
    """One side by side. A pair is an original and a variant that could not be put into one picture."""

    name: Name
    video: Stem
    aug_idx: int
    kind: Kind
    path: PathText | None
    input: PathText
    augmented: PathText
    frames: int | None = None
    split: float = 0.5
    failures: list[Line] = Field(default_factory=list, description="What failed before this came out.")
    no_encoder: bool = False


class RenderCompareOutput(Closed):
    """All side by sides of the run, rendered now or before, and the contact sheets by clip."""

    comparisons: list[RenderedComparison]
    contact_sheets: dict[Stem, PathText]
    seconds: float
    notes: list[Line]


def render_compare(given: RenderCompareInput, context: Context) -> Outcome[RenderCompareOutput]:
    """Render what was asked for; one that fails is tried again, then becomes a picture, then a pair."""
    begun = time.monotonic()
    staged, run_id = _staged(given, context)
    mirror = RunMirror(Path(staged.run_local_dir))
    wanted = _wanted(staged, given)
    comparisons = [_rendered(mirror, staged.dataset, clip, variant, context) for clip, variant in wanted]
    clips = {clip.video: clip for clip, _ in wanted}
    data = RenderCompareOutput(
        comparisons=_with_earlier(comparisons, run_id, context),
        contact_sheets={video: str(_sheet(mirror, clip)) for video, clip in clips.items()},
        seconds=round(time.monotonic() - begun, 3),
        notes=[f"{one.name}: {failure}"[:2_000] for one in comparisons for failure in one.failures],
    )
    messages = [message for comparison in comparisons for message in messages_of(comparison)]
    following = []
    if run_id and context.journal.find(run_id):
        following.append(NextStep(tool="report", arguments={"run_id": run_id}, why="writes the report"))
    return Outcome(data, run_id, messages=messages, next=following)


def messages_of(comparison: RenderedComparison) -> list[Message]:
    """Return the bubbles of a comparison: its paths, then its media lines."""
    shown = comparison.path or comparison.augmented
    text = "\n".join(
        [
            f"COMPARE_VIDEO={shown}",
            f"INPUT_VIDEO={comparison.input}",
            f"AUGMENTED_VIDEO={comparison.augmented}",
        ]
    )
    return [Message(body=text), *media_of(comparison)]


def media_of(comparison: RenderedComparison) -> list[Message]:
    """Return the media lines: the side by side, or original and variant where there is none."""
    paths = [comparison.path] if comparison.path else [comparison.input, comparison.augmented]
    return [Message(kind="media", body=f"MEDIA:{path}") for path in paths]


def _staged(given: RenderCompareInput, context: Context) -> tuple[StageArtifactsOutput, str]:
    """Return the staged run: by id, by its folder, or the one that is open."""
    folder = (context.settings.workspace / given.run_local_dir).resolve() if given.run_local_dir else None
    run_id = given.run_id or (folder.name if folder else None)
    if run_id is None:
        run = context.open_run(None)
        run_id = run.run_id if run else ""
    result = context.journal.passed(run_id, "stage_artifacts")
    if result is not None:
        return StageArtifactsOutput.model_validate(result.data), run_id
    if folder is None or given.dataset is None or given.video is None:
        raise InputError(
            "There is no staged run to render from",
            expected="run_id of a staged run, or run_local_dir, dataset and video",
            remedy="call stage_artifacts first",
            code="input.not_staged",
        )
    return _foreign(folder, given.dataset, given.video, given.aug_index or 0), run_id


def _foreign(folder: Path, dataset: str, video: str, aug_idx: int) -> StageArtifactsOutput:
    """Describe a staged folder that this workspace's journal doesn't know."""
    mirror = RunMirror(folder)
    variant = StagedVariant(
        name=variant_name(video, aug_idx),
        aug_idx=aug_idx,
        video=str(mirror.variant(video, aug_idx)),
        labels_dir=None,
        sampled_vars={},
    )
    missing = [path for path in (mirror.input(video), mirror.variant(video, aug_idx)) if not path.is_file()]
    if missing:
        raise ArtifactError(
            f"{missing[0]} is missing", expected="a staged run", remedy="call stage_artifacts first"
        )
    clip = StagedClip(video=video, input=str(mirror.input(video)), labels_dir=None, variants=[variant])
    return StageArtifactsOutput(
        run_local_dir=str(folder),
        dataset=dataset,
        clips=[clip],
        variants=[variant.name],
        manifests=[],
        files=0,
        seconds=0,
    )


def _wanted(
    staged: StageArtifactsOutput, given: RenderCompareInput
) -> list[tuple[StagedClip, StagedVariant]]:
    wanted = [
        (clip, variant)
        for clip in staged.clips
        for variant in clip.variants
        if given.video in {None, clip.video} and given.aug_index in {None, variant.aug_idx}
    ]
    if not wanted:
        raise InputError(
            "There is no such variant in the staged run",
            expected=f"one of {', '.join(staged.variants[:10]) or 'none: the flow makes no variants'}",
            remedy="correct video or aug_index",
            code="input.no_variant",
        )
    return wanted


def _rendered(
    mirror: RunMirror,
    dataset: str,
    clip: StagedClip,
    variant: StagedVariant,
    context: Context,
) -> RenderedComparison:
    """Render one; the first failure is retried, the second becomes a still, and that a pair."""
    from skill_tools.media.compare import still_comparison

    target = mirror.compare(dataset, clip.video, variant.aug_idx)
    common: dict[str, Any] = {
        "name": variant.name,
        "video": clip.video,
        "aug_idx": variant.aug_idx,
        "input": clip.input,
        "augmented": variant.video,
    }
    failures: list[str] = []
    no_encoder = False
    while len(failures) < RENDER_ATTEMPTS and not no_encoder:
        try:
            made = _side_by_side(clip, variant, target, context)
        except (VdaError, OSError) as error:
            failures.append(str(error)[:1_000])
            no_encoder = getattr(error, "code", "") == "artifact.no_encoder"
        else:
            common |= {"failures": failures}
            return RenderedComparison(
                **common, kind="video", path=str(target), frames=made.frames, split=made.split
            )
    common |= {"failures": failures, "no_encoder": no_encoder}
    still = target.with_suffix(".png")
    try:
        still_comparison(
            Path(clip.input),
            Path(variant.video),
            still,
            left=clip.video,
            right=variant.name,
            caption=variant.sampled_vars,
        )
    except (VdaError, OSError):
        return RenderedComparison(**common, kind="pair", path=None)
    return RenderedComparison(**common, kind="picture", path=str(still))


def _side_by_side(clip: StagedClip, variant: StagedVariant, target: Path, context: Context) -> Comparison:
    from skill_tools.media.compare import render_compare as render_side_by_side

    begun = time.monotonic()

    def on_frame(done: int, total: int | None) -> None:
        rate = done / max(time.monotonic() - begun, 1e-6)
        left = (total - done) / rate if total and rate else None
        context.on_note(Note("side by side", done, total, "frames", rate, left, variant.name))

    return render_side_by_side(
        Path(clip.input),
        Path(variant.video),
        target,
        left=f"{clip.video} · original",
        right=variant.name,
        caption=variant.sampled_vars,
        on_frame=on_frame,
    )


def _with_earlier(
    comparisons: list[RenderedComparison], run_id: str, context: Context
) -> list[RenderedComparison]:
    """Return the comparisons together with those that earlier calls made of other variants."""
    earlier = context.journal.passed(run_id, "render_compare")
    if earlier is None:
        return comparisons
    done = {comparison.name for comparison in comparisons}
    kept = [
        comparison
        for comparison in RenderCompareOutput.model_validate(earlier.data).comparisons
        if comparison.name not in done and Path(comparison.path or comparison.augmented).is_file()
    ]
    return sorted([*kept, *comparisons], key=lambda one: (one.video, one.aug_idx))


def _sheet(mirror: RunMirror, clip: StagedClip) -> Path:
    from skill_tools.media.contact_sheet import contact_sheet

    target = mirror.contact_sheet(clip.video)
    rows = [(", ".join(one.sampled_vars.values()) or one.name, Path(one.video)) for one in clip.variants]
    return contact_sheet(Path(clip.input), rows, target)


def witness(outcome: Outcome[RenderCompareOutput]) -> dict[str, JsonValue]:
    """Read again, from the files alone, how many frames each film has, and how many its sides allow for."""
    films: dict[str, JsonValue] = {}
    for one in outcome.data.comparisons:
        if one.kind == "video" and one.path:
            films[one.name] = _frames(Path(one.path), Path(one.input), Path(one.augmented))
    return {"films": films}


def _frames(film: Path, original: Path, variant: Path) -> dict[str, JsonValue]:
    """Return a film's frames, the fewest and the most that it may have: it is as long as the shorter side."""
    made, sides = frames_of(film), (frames_of(original), frames_of(variant))
    if made is None or None in sides:
        return {"frames": made, "fewest": 1, "most": 0}
    if made != min(filter(None, sides)):
        sides = (frames_of(original, decoded=True), frames_of(variant, decoded=True))
    rates = [probe(path).fps for path in (original, variant)]
    told = [round((frames or 0) * max(rates) / rate) for frames, rate in zip(sides, rates, strict=True)]
    # Clips of one rate pair frame by frame; at two rates the shorter ends anywhere within a frame's time.
    slack = 0 if rates[0] == rates[1] else 1
    return {"frames": made, "fewest": min(told) - slack, "most": min(told) + slack}


RENDER_COMPARE = Tool(
    name="render_compare",
    summary="Render the labelled side by sides of a staged run, original left, variant right.",
    input_model=RenderCompareInput,
    output_model=RenderCompareOutput,
    effects=Effects(writes_local=True, open_world=False),
    steps=render_compare,
    guards=("SECRET-SILENT", "STAGE-WORKSPACE", "RENDER-LOCAL", "INPUT-KEEP"),
    outcome_guards=("MEDIA-FORM", "RENDER-LOCAL", "RENDER-RETRY", "RENDER-FALLBACK"),
    witness=witness,
)
