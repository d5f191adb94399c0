"""`vda run` and `vda resume`: a run to its end, with progress, and an interrupt that ends it."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from skill_tools.commands.answer import finish, print_messages
from skill_tools.commands.command import (
    Command,
    add_quiet,
    add_result_json,
    add_variables,
    settings_of,
    variables,
)

if TYPE_CHECKING:
    from skill_tools.settings import Settings
    from skill_tools.tool import ToolResult

INTERRUPTED = 130


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips", nargs="*", metavar="CLIP", help="files, folders or patterns; none: the demo data set"
    )
    parser.add_argument(
        "--flow", help="auto_labeling, augmentation_and_al (default), e2e, e2e_super_resolution"
    )
    parser.add_argument("--cookbook", help="the scene: city_traffic (default), one of `vda cookbook list`")
    parser.add_argument("--variants", type=int, metavar="N", help="variants of each clip")
    add_variables(parser, "fix a variable")
    parser.add_argument("--dataset", metavar="NAME", help="a name for the data set")
    parser.add_argument("--dataset-url", metavar="URL", help="a data set that is in a storage already")
    parser.add_argument(
        "--storage-url", metavar="URL", help="where the clips are put for OSMO (s3://bucket, …)"
    )
    parser.add_argument(
        "--engine", choices=["auto", "local", "osmo"], help="where the run goes (default: auto)"
    )
    parser.add_argument("--request", metavar="TEXT", help="what you want in your own words; picks the flow")
    parser.add_argument("--vlm-url", metavar="URL", help="a VLM endpoint of your own")
    parser.add_argument("--llm-url", metavar="URL", help="an LLM endpoint of your own")
    _add_output(parser)


def _add_resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN")
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    add_result_json(parser)
    add_quiet(parser)


def _run(given: argparse.Namespace) -> int:
    from skill_tools.walk import walk

    arguments: dict[str, Any] = {
        "clips": given.clips,
        "variables": variables(given),
        "flow": given.flow,
        "cookbook": given.cookbook,
        "variants": given.variants,
        "dataset": given.dataset,
        "dataset_url": given.dataset_url,
        "storage_url": given.storage_url,
        "engine": given.engine,
        "request": given.request or "",
        "vlm_url": given.vlm_url,
        "llm_url": given.llm_url,
    }
    return _walked(given, lambda **road: walk(arguments, **road))


def _resume(given: argparse.Namespace) -> int:
    from skill_tools.walk import resume

    return _walked(given, lambda **road: resume(given.run_id, **road))


def _walked(given: argparse.Namespace, walk: Callable[..., ToolResult]) -> int:
    """Walk with progress; an interrupt cancels the run before the process leaves."""
    from skill_tools.terminal import ProgressLine
    from skill_tools.tools.run import SILENT_STEPS

    settings = settings_of(given)
    seen: list[ToolResult] = []

    def on_result(result: ToolResult) -> None:
        seen.append(result)
        if not given.json and result.ok and result.tool not in SILENT_STEPS:
            print_messages(result)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ProgressLine(quiet=given.quiet) as progress:
            result = walk(settings=settings, on_result=on_result, on_note=progress)
    except KeyboardInterrupt:
        return _cancelled(seen, settings, as_json=given.json)
    if result.ok and not given.json:
        print_messages(result)
    return finish(result, as_json=given.json)


def _cancelled(seen: Sequence[ToolResult], settings: Settings, *, as_json: bool) -> int:
    from skill_tools.registry import call

    run_id = next((result.run_id for result in seen if result.run_id), None)
    if run_id is None:
        print("interrupted; nothing was begun", file=sys.stderr)
        return INTERRUPTED
    # A second interrupt would leave the run going: it is held back until the run has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"interrupted; ending {run_id} …", file=sys.stderr)
    result = call("cancel", {"run_id": run_id}, settings=settings)
    for message in result.messages:
        print(message.body, file=sys.stderr)
    if as_json:
        print(result.model_dump_json(indent=2))
    return INTERRUPTED


RUN = Command(
    name="run",
    summary="Make variants of clips, from choosing the flow to the report.",
    examples=("vda run clip.mp4 --variants 2 --set weather=rain",),
    run=_run,
    add_arguments=_add_run,
)
RESUME = Command(
    name="resume",
    summary="Go on with a run where it stopped, also after a crash.",
    examples=("vda resume run-1a2b3c4d",),
    run=_resume,
    add_arguments=_add_resume,
)
