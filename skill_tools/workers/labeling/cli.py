"""The command line: `python -m skill_tools.workers.labeling --config FILE key=value …`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from skill_tools.ending import end_quickly, ended_by
from skill_tools.errors import EXIT_CODES, InputError, VdaError
from skill_tools.workers.labeling.config import load_config
from skill_tools.workers.labeling.job import run_job
from skill_tools.workers.labeling.summary import Summary

_EXAMPLE = """\
example:
  python -m skill_tools.workers.labeling \\
      --config assets/cookbooks/city_traffic/auto_labeling/auto_labeling_config.yaml \\
      data.input_video=clip.mp4 data.output_dir=labels data.video_name=clip \\
      data.question_bank=assets/cookbooks/city_traffic/auto_labeling/question_bank.json

environment:
  VDA_THREADS         frames that the detector looks at at the same time (2)
  VDA_MODELS_DIR      folder with nanodet*.onnx
  VDA_VLM_TIMEOUT_S   seconds that one request to the VLM may take (120)
  VLM_API_KEY, OPENAI_API_KEY, NVIDIA_API_KEY   the VLM's key; the first that is set
"""


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one labeling job; give the exit code of the error's family, 0 when all files are there."""
    end_quickly()
    try:
        with ended_by(signal.SIGTERM):
            options = _parser().parse_intermixed_args(arguments)
            config = load_config(Path(options.config) if options.config else None, options.overrides)
            summary = run_job(config, environ)
    except VdaError as problem:
        return _fail(str(problem), EXIT_CODES.get(problem.family, 1))
    except OSError as problem:
        return _fail(f"The labels can't be written: {problem}.", EXIT_CODES["artifact"])
    except KeyboardInterrupt:
        return _fail("Interrupted; nothing half-written was left.", 128 + signal.SIGINT)
    sys.stdout.write(_closing_line(summary))
    return 0


class _Parser(argparse.ArgumentParser):
    """Refuses a command line like any other input: by an error of one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(
            f"The command line: {message}",
            expected="--config FILE key=value …",
            remedy="see --help",
            code="input.command_line",
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m skill_tools.workers.labeling",
        description="Label one clip: tracked boxes (COCO, MOT), overlay, answers to a question bank, events.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file with the configuration")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="dotted key and value, laid over the file's"
    )
    return parser


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"{' '.join(message.split())}\n")
    return exit_code


def _closing_line(summary: Summary) -> str:
    tracks = ", ".join(f"{count} {name}" for name, count in summary.tracks.items() if count)
    seconds = summary.timings_s["pass"]
    return (
        f"{summary.video}: {summary.frames} frames in {seconds:.1f} s "
        f"({summary.frames / max(seconds, 1e-6):.1f} fps), tracks: {tracks or 'none'}\n"
    )
