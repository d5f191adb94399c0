"""Show a variant of a clip before anything is run: a still, a two-second sample, or a grid of values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from skill_tools.errors import EngineError, InputError, VdaError
from skill_tools.media.playable import PICTURE_SUFFIXES, get_ready
from skill_tools.settings import PREVIEWS_FOLDER
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Line, Name, PathText
from skill_tools.tools.preview_worker import preview_worker, unanswered

PATIENCE_S = 300.0
_SAMPLING_SEED = 42
_VIDEO_SUFFIX = ".mp4"

Share = Annotated[float, Field(ge=0, le=1)]


class PreviewInput(Closed):
    """The clip, and what its variant shall show."""

    clip: PathText
    variables: dict[Name, Name] = Field(
        default_factory=dict, max_length=8, description="Variable to value, such as weather: rain."
    )
    grid: list[Name] = Field(
        default_factory=list,
        max_length=2,
        description="A variable to show every value of, or two for a table; a still.",
    )
    kind: Literal["still", "video"] = Field("still", description="`video` is a sample of two seconds.")
    at_s: float | None = Field(
        None,
        ge=0,
        description="Moment in the clip; by default two seconds in, in a large clip sooner, of a video 0.",
    )
    strength: Share | None = Field(None, description="Of every variable; drawn as in a run by default.")
    strengths: dict[Name, Share] = Field(
        default_factory=dict, max_length=8, description="By variable; these win over `strength`."
    )
    aug_index: int = Field(0, ge=0, le=63, description="Of the run's variant that is foreseen.")
    seed: int | None = Field(None, ge=0, description="Of all random choices; by default as in a run.")
    alone: bool = Field(default=False, description="The variant alone, in its own size, without words.")
    output: PathText | None = Field(
        None, description="File in the workspace to write: .jpg or .png for a still, .mp4 for a video."
    )


class PreviewedWish(Closed):
    """What one picture shows, contradictions resolved. No values: the original."""

    values: dict[Name, Name]
    strengths: dict[Name, float]


class PreviewOutput(Closed):
    """The picture or film, and what is on it; in a grid cell by cell, row by row."""

    path: PathText
    at_s: float
    frames: int
    cells: Annotated[list[PreviewedWish], Field(max_length=200)]
    notes: list[Line]


def preview(given: PreviewInput, context: Context) -> Outcome[PreviewOutput]:
    """Let the augmentation worker make the picture, and say what is on it."""
    clip = Path(given.clip).expanduser().resolve()
    target = _target(given, clip, context)
    request = {
        "clip": str(clip),
        "output": str(target),
        "kind": given.kind,
        "at_s": given.at_s,
        "variables": given.variables,
        "grid": given.grid,
        "strength": given.strength,
        "strengths": given.strengths,
        "seed": variant_seed(clip.stem, given.aug_index) if given.seed is None else given.seed,
        "name": f"{clip.stem}_aug{given.aug_index}",
        "alone": given.alone,
    }
    data = PreviewOutput.model_validate(_asked(request, context))
    messages = [Message(body=_said(data, clip)), Message(kind="media", body=f"MEDIA:{data.path}")]
    return Outcome(data, messages=messages)


def variant_seed(video: str, aug_index: int) -> int:
    """Return the seed that setup gives a run's variant: 31 bits of SHA-256 over seed, clip and index."""
    digest = hashlib.sha256(f"{_SAMPLING_SEED}:{video}:{aug_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _target(given: PreviewInput, clip: Path, context: Context) -> Path:
    film = given.kind == "video"
    if film and given.grid:
        raise InputError(
            "A grid is a still",
            expected="kind still with a grid, or kind video without one",
            remedy="leave one of them out",
            code="input.grid",
        )
    if given.output is None:
        words = [*(f"grid-{'-'.join(given.grid)}" for _ in given.grid[:1]), *given.variables.values()]
        name = "_".join([clip.stem, *words, *([f"{given.at_s:g}s"] if given.at_s is not None else [])])
        folder = context.settings.workspace / PREVIEWS_FOLDER
        return folder / f"{name}{_VIDEO_SUFFIX if film else '.jpg'}"
    target = (context.settings.workspace / given.output).resolve()
    allowed = {_VIDEO_SUFFIX} if film else PICTURE_SUFFIXES
    if target.suffix.lower() not in allowed:
        raise InputError(
            f"{target.name} is no name for a {given.kind}",
            expected=f"a name that ends in {' or '.join(sorted(allowed))}",
            remedy="give the file another ending",
            code="input.output_name",
        )
    return target


def _asked(request: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """Ask the worker and return its answer."""
    document = TypeAdapter(dict[str, Any])
    with preview_worker(context.settings) as worker, ThreadPoolExecutor(1) as beside:
        beside.submit(get_ready, Path(request["output"]))
        told = worker.answer(document.dump_json(dict(request)), PATIENCE_S)
    try:
        answer = document.validate_json(told)
    except ValueError as error:
        raise unanswered(str(error)) from error
    if "problem" in answer:
        raise _error(answer["problem"])
    return answer


def _error(problem: Mapping[str, str]) -> VdaError:
    kind = InputError if problem["code"].startswith("input.") else EngineError
    return kind(
        problem["message"], expected=problem["expected"], remedy=problem["remedy"], code=problem["code"]
    )


def _said(data: PreviewOutput, clip: Path) -> str:
    if len(data.cells) > 1:
        shown = f"{len(data.cells)} cells"
    else:
        (cell,) = data.cells
        pairs = (f"{name}={value} ({cell.strengths[name]:.2f})" for name, value in cell.values.items())
        shown = ", ".join(pairs) or "the original, since no value was given"
    return "\n".join([f"Preview of {clip.stem} at {data.at_s:.1f} s: {shown}.", *data.notes])


PREVIEW = Tool(
    name="preview",
    summary="Show a variant of a clip before a run: a still, two seconds, or a grid of values.",
    input_model=PreviewInput,
    output_model=PreviewOutput,
    effects=Effects(writes_local=True, open_world=False),
    steps=preview,
    guards=("SECRET-SILENT", "STAGE-WORKSPACE", "INPUT-KEEP"),
    outcome_guards=("MEDIA-FORM",),
)
