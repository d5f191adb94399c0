"""Complete a run: the summaries, the report page, and one result that names every file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue

from skill_tools.errors import ArtifactError
from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.configs import read_manifest
from skill_tools.journal import RunRecord
from skill_tools.media.probe import probe
from skill_tools.media.report_data import (
    ClipReport,
    DecisionEntry,
    Evaluator,
    LabelCounts,
    Question,
    ReportData,
    StageTiming,
    VariantReport,
)
from skill_tools.storage.mirror import RunMirror
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.estimate_time import megapixels
from skill_tools.tools.fields import Line, Name, PathText, RunId, Stem
from skill_tools.tools.poll import PollOutput
from skill_tools.tools.render_compare import RenderCompareOutput, RenderedComparison, media_of
from skill_tools.tools.stage_artifacts import StageArtifactsOutput, StagedClip, StagedVariant

MAX_MEDIA = 12
COCO_FILE = "annotations_coco.json"
MAX_NAMED = 5


class ReportInput(Closed):
    """The run to complete."""

    run_id: RunId


class ReportedVariant(Closed):
    """A variant: its video, the values it was sampled with, its labels, the side by side."""

    video: PathText
    sampled_vars: dict[Name, Line]
    labels_dir: PathText | None
    compare: PathText | None


class ReportedClip(Closed):
    """A clip: what went in, what came out."""

    video: Stem
    input: PathText
    variants: list[ReportedVariant]
    labels_dir: PathText | None


class ReportOutput(Closed):
    """The whole run in one object."""

    run_id: RunId
    run_local_dir: PathText
    flow: Name
    engine: Name
    dataset: Name
    clips: Annotated[list[ReportedClip], Field(max_length=1_000)]
    report: PathText
    timings_s: dict[Name, float]
    speeds_mpx_s: dict[Name, float]
    disclosure: Line = ""


def report(given: ReportInput, context: Context) -> Outcome[ReportOutput]:
    """Read what was staged and rendered, write the page, say what there is."""
    from skill_tools.media.report import write_report

    run = context.journal.run(given.run_id)
    staged = StageArtifactsOutput.model_validate(context.passed(run.run_id, "stage_artifacts"))
    rendered = _rendered(run, context)
    poll = PollOutput.model_validate(context.passed(run.run_id, "poll"))
    mirror = RunMirror(Path(staged.run_local_dir))
    stages = _stages(poll, staged, rendered)
    by_name = {one.name: one for one in rendered.comparisons}
    clips = tuple(_clip(clip, mirror, by_name, rendered.contact_sheets) for clip in staged.clips)
    page = ReportData(
        run_id=run.run_id,
        flow=run.flow,
        engine=run.engine,
        engine_reason=run.engine_reason,
        created=datetime.fromtimestamp(run.created, UTC),
        dataset=staged.dataset,
        cookbook=run.cookbook,
        demo_source=staged.disclosure or None,
        clips=clips,
        stages=tuple(stages),
        decisions=tuple(
            DecisionEntry(one.rule, one.outcome, one.reason, one.tool, one.at)
            for one in context.journal.decisions(run.run_id)
        ),
        notes=(*rendered.notes, *_notes(clips)),
    )
    write_report(page, mirror.report)
    data = _data(run, staged, by_name, mirror, stages)
    return Outcome(data, run.run_id, messages=_messages(data, page, by_name))


def _rendered(run: RunRecord, context: Context) -> RenderCompareOutput:
    if FLOWS[run.flow].has_augmentation:
        return RenderCompareOutput.model_validate(context.passed(run.run_id, "render_compare"))
    return RenderCompareOutput(comparisons=[], contact_sheets={}, seconds=0, notes=[])


def _stages(
    poll: PollOutput, staged: StageArtifactsOutput, rendered: RenderCompareOutput
) -> list[StageTiming]:
    """Return the groups of the workflows with their durations, then what was done here."""
    spans: dict[str, tuple[float, float]] = {}
    for task in (task for workflow in poll.workflows for task in workflow.tasks):
        if task.started is not None and task.ended is not None:
            begun, ended = spans.get(task.group, (task.started, task.ended))
            spans[task.group] = (min(begun, task.started), max(ended, task.ended))
    first = min((begun for begun, _ in spans.values()), default=0.0)
    groups = [
        StageTiming(name, round(ended - begun, 2), start_s=round(begun - first, 2))
        for name, (begun, ended) in sorted(spans.items(), key=lambda item: item[1])
    ]
    here = [StageTiming("staging", staged.seconds), StageTiming("side by sides", rendered.seconds)]
    return groups + [stage for stage in here if stage.seconds]


def _clip(
    clip: StagedClip,
    mirror: RunMirror,
    rendered: Mapping[str, RenderedComparison],
    sheets: Mapping[str, str],
) -> ClipReport:
    labels = mirror.labels(clip.video)
    summary = _json(labels / "summary.json")
    sheet = Path(sheets[clip.video]) if clip.video in sheets else None
    return ClipReport(
        video=clip.video,
        input=Path(clip.input),
        overlay=_existing(labels / "overlay.mp4"),
        label_counts=LabelCounts.of(summary, None),
        questions=Question.all_of(_json(labels / "mcq.json"), None),
        labels_dir=Path(clip.labels_dir) if clip.labels_dir else None,
        variants=tuple(
            _variant(clip, variant, mirror, rendered[variant.name], sheet) for variant in clip.variants
        ),
    )


def _variant(
    clip: StagedClip,
    variant: StagedVariant,
    mirror: RunMirror,
    comparison: RenderedComparison,
    sheet: Path | None,
) -> VariantReport:
    from skill_tools.media.found_again import FoundAgain

    originals, labels = mirror.labels(clip.video), mirror.variant_labels(clip.video, variant.aug_idx)
    metadata = _json(mirror.metadata(clip.video, variant.aug_idx)) or {}
    path = Path(comparison.path) if comparison.path else None
    return VariantReport(
        name=variant.name,
        aug_idx=variant.aug_idx,
        sampled_vars=variant.sampled_vars,
        video=Path(variant.video),
        compare=path if comparison.kind == "video" else None,
        split=comparison.split,
        still=path if comparison.kind == "picture" else None,
        overlay=_existing(labels / "overlay.mp4"),
        contact_sheet=sheet,
        label_counts=LabelCounts.of(_json(originals / "summary.json"), _json(labels / "summary.json")),
        found_again=FoundAgain.of(_json(originals / COCO_FILE), _json(labels / COCO_FILE)),
        evaluators=Evaluator.all_of(metadata),
        questions=Question.all_of(_json(originals / "mcq.json"), _json(labels / "mcq.json")),
        metadata=metadata,
        labels_dir=Path(variant.labels_dir) if variant.labels_dir else None,
    )


def _notes(clips: Sequence[ClipReport]) -> list[str]:
    """Return what the augmentation noted, each note once, with the variants that it is about."""
    about: dict[str, list[str]] = {}
    for variant in (variant for clip in clips for variant in clip.variants):
        noted = variant.metadata.get("notes")
        for note in noted if isinstance(noted, list) else []:
            about.setdefault(str(note), []).append(variant.name)
    return [
        f"{', '.join(names[:MAX_NAMED])}{' …' * (len(names) > MAX_NAMED)}: {note}"
        for note, names in about.items()
    ]


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object that a worker wrote; None where there is none.

    Raises:
        ArtifactError: the file is there and is not a JSON object.
    """
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is no JSON: {error}", expected="a JSON object") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is no JSON object", expected="a JSON object")
    return document


def _data(
    run: RunRecord,
    staged: StageArtifactsOutput,
    rendered: Mapping[str, RenderedComparison],
    mirror: RunMirror,
    stages: list[StageTiming],
) -> ReportOutput:
    sampled = _manifest_values(mirror)
    clips = [
        ReportedClip(
            video=clip.video,
            input=clip.input,
            labels_dir=clip.labels_dir,
            variants=[
                ReportedVariant(
                    video=variant.video,
                    sampled_vars=_named(variant.name, sampled),
                    labels_dir=variant.labels_dir,
                    compare=rendered[variant.name].path,
                )
                for variant in clip.variants
            ],
        )
        for clip in staged.clips
    ]
    timings = {stage.name: stage.seconds for stage in stages}
    return ReportOutput(
        run_id=run.run_id,
        run_local_dir=staged.run_local_dir,
        flow=run.flow,
        engine=run.engine,
        dataset=staged.dataset,
        clips=clips,
        report=str(mirror.report),
        timings_s=timings | {"total": round(datetime.now(UTC).timestamp() - run.created, 2)},
        speeds_mpx_s=_speeds(clips, timings),
        disclosure=staged.disclosure,
    )


def _manifest_values(mirror: RunMirror) -> dict[str, dict[str, str]]:
    """Return every variant's sampled values as the manifests have them, which alone are the truth."""
    return {
        config.name: dict(config.sampled_vars)
        for path in mirror.manifests()
        for config in read_manifest(path).configs
    }


def _named(name: str, sampled: Mapping[str, dict[str, str]]) -> dict[str, str]:
    if name not in sampled:
        raise ArtifactError(f"No manifest names {name}", expected="an entry in the manifest")
    return sampled[name]


def witness(outcome: Outcome[ReportOutput]) -> dict[str, JsonValue]:
    """Read again, from the files alone, what the summaries have to agree with."""
    mirror = RunMirror(Path(outcome.data.run_local_dir))
    manifest: dict[str, JsonValue] = {name: dict(values) for name, values in _manifest_values(mirror).items()}
    labels: dict[str, JsonValue] = {}
    unreadable: list[JsonValue] = []
    for folder in mirror.label_folders():
        documents = {path.name: _json_or_none(path) for path in sorted(folder.glob("*.json"))}
        unreadable += [
            str(folder / name) for name, document in documents.items() if not _is_label(name, document)
        ]
        summary = documents.get("summary.json")
        if summary is not None and _is_label("summary.json", summary):
            labels[folder.name] = {name: count for name, count in summary["tracks"].items() if count}
    return {"manifest": manifest, "labels": labels, "unreadable": unreadable}


LABEL_SHAPES: Mapping[str, Mapping[str, type]] = {
    "annotations_coco.json": {"images": list, "annotations": list, "categories": list},
    "summary.json": {"tracks": dict},
    "mcq.json": {"questions": list},
    "events.json": {"events": list},
}
"""What a label file has to hold to be one."""


def _is_label(name: str, document: Mapping[str, Any] | None) -> bool:
    """Tell whether a label file can be read and holds what its name says."""
    shape = LABEL_SHAPES.get(name, {})
    if document is None or not all(isinstance(document.get(key), kind) for key, kind in shape.items()):
        return False
    if name == "summary.json":
        return all(isinstance(count, int) for count in document["tracks"].values())
    return name != "annotations_coco.json" or _is_coco(document)


def _is_coco(document: Mapping[str, Any]) -> bool:
    """Tell whether each annotation is of an image and a category that are there."""
    try:
        images, categories = ({one["id"] for one in document[key]} for key in ("images", "categories"))
        return all(
            one["image_id"] in images and one["category_id"] in categories for one in document["annotations"]
        )
    except (KeyError, TypeError):
        return False


def _json_or_none(path: Path) -> dict[str, Any] | None:
    try:
        return _json(path)
    except ArtifactError:
        return None


def _speeds(clips: list[ReportedClip], timings: Mapping[str, float]) -> dict[str, float]:
    """Return megapixels a second by kind of work, from which the next estimate is made."""
    done = {clip.input: megapixels(probe(Path(clip.input))) for clip in clips}
    source = sum(done.values())
    variants = sum(done[clip.input] * len(clip.variants) for clip in clips)
    labelled = variants or source
    label_s = timings.get("auto_labeling_augmented") or timings.get("auto_labeling", 0.0)
    augment_s = timings.get("augmentation", 0.0)
    speeds = {"augment": (variants, augment_s), "label": (labelled, label_s)}
    return {name: round(mpx / seconds, 3) for name, (mpx, seconds) in speeds.items() if mpx and seconds}


def _messages(
    data: ReportOutput, page: ReportData, rendered: Mapping[str, RenderedComparison]
) -> list[Message]:
    """Return the bubbles: what was sampled, what was labelled, the side by sides, the report."""
    messages = [
        Message(body="\n".join(_clip_summary(clip, shown)))
        for clip, shown in zip(data.clips, page.clips, strict=True)
    ]
    if data.disclosure:
        messages.append(Message(body=data.disclosure))
    shown_media = [media for one in rendered.values() for media in media_of(one)][:MAX_MEDIA]
    return [*messages, *shown_media, Message(body=f"Report: {data.report}")]


def _clip_summary(clip: ReportedClip, page: ClipReport) -> list[str]:
    lines = [f"{clip.video}"]
    if page.label_counts is not None and not clip.variants:
        lines.append(f"  labels: {_tracks(page.label_counts, 'original')}")
    for variant, shown in zip(clip.variants, page.variants, strict=True):
        values = ", ".join(f"{name}: {value}" for name, value in variant.sampled_vars.items())
        lines.append(f"  {shown.name}: {values}")
        if shown.label_counts is not None:
            if page.labels_dir is not None:
                lines.append(f"    labels of the original: {_tracks(shown.label_counts, 'original')}")
            lines.append(f"    labels of the variant: {_tracks(shown.label_counts, 'augmented')}")
    return lines


def _tracks(counts: LabelCounts, side: str) -> str:
    found = {name: getattr(count, side) for name, count in counts.tracks.items()}
    return ", ".join(f"{number} {name}" for name, number in found.items() if number) or "nothing tracked"


REPORT = Tool(
    name="report",
    summary="Complete a run: summaries from manifest and label files, the report page, all paths.",
    input_model=ReportInput,
    output_model=ReportOutput,
    effects=Effects(writes_local=True, open_world=False),
    steps=report,
    guards=("SECRET-SILENT", "EVIDENCE-REQUIRED"),
    outcome_guards=("MEDIA-FORM", "SUMMARY-TRUTH", "INPUT-DISCLOSE"),
    witness=witness,
)
