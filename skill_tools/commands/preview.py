"""`vda preview`: its options, and the call of the tool `preview` that they stand for."""

from __future__ import annotations

import argparse
from typing import Any

from skill_tools.commands.answer import called
from skill_tools.commands.command import Command, add_result_json, add_variables, settings_of, variables
from skill_tools.errors import InputError


def _add_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clip", metavar="CLIP", help="a video file")
    add_variables(parser, "a variable's value")
    parser.add_argument(
        "--grid", metavar="NAME[,NAME]", help="every value of a variable, or a table of two variables' values"
    )
    parser.add_argument(
        "--strength",
        action="append",
        default=[],
        metavar="[NAME=]SHARE",
        help="from 0 to 1, of one variable or of all; may be repeated (default: drawn as in a run)",
    )
    parser.add_argument(
        "--at",
        type=float,
        metavar="SECONDS",
        help="the moment to show (default: 2, in a large clip sooner, of a film 0)",
    )
    parser.add_argument("--video", action="store_true", help="two seconds instead of a still")
    parser.add_argument("--alone", action="store_true", help="the variant alone, in its own size")
    parser.add_argument("--variant", type=int, metavar="K", help="the random choices of variant K of a run")
    parser.add_argument("--seed", type=int, metavar="N", help="other random choices than a run's")
    parser.add_argument("--output", metavar="FILE", help="in the workspace: .jpg, .png, or .mp4 with --video")
    add_result_json(parser)


def _preview(given: argparse.Namespace) -> int:
    from skill_tools.tools.preview_worker import started_early

    arguments = _arguments(given)
    with started_early(settings_of(given)):
        return called(given, "preview", arguments)


def _arguments(given: argparse.Namespace) -> dict[str, Any]:
    """Return the tool's arguments.

    Raises:
        InputError: a variable is no pair, or a strength no number.
    """
    shares = [_share(text) for text in given.strength]
    named = {
        "clip": given.clip,
        "variables": variables(given),
        "grid": [name.strip() for name in (given.grid or "").split(",") if name.strip()],
        "kind": "video" if given.video else "still",
        "at_s": given.at,
        "strength": next((share for name, share in shares if not name), None),
        "strengths": {name: share for name, share in shares if name},
        "aug_index": given.variant,
        "seed": given.seed,
        "alone": given.alone,
        "output": given.output,
    }
    return {name: value for name, value in named.items() if value is not None}


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    try:
        return name.strip(), float(share)
    except ValueError as error:
        raise InputError(
            f"--strength {text} is no strength",
            expected="NAME=SHARE or SHARE, such as weather=0.6 or 0.6",
            remedy="give a number from 0 to 1",
            code="input.pair",
        ) from error


PREVIEW = Command(
    name="preview",
    summary="Look at a variant before a run.",
    examples=(
        "vda preview clip.mp4 --set weather=rain --set time_of_day=evening",
        "vda preview clip.mp4 --set weather=fog --strength weather=0.4 --at 12.5 --output fog.png",
        "vda preview clip.mp4 --set weather=snow --video         two seconds of it",
        "vda preview clip.mp4 --grid weather                     every weather, side by side",
        "vda preview clip.mp4 --grid weather,time_of_day         a table of both",
    ),
    run=_preview,
    add_arguments=_add_preview,
)
