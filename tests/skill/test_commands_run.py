"""Every command that SKILL.md and README show is run, in a workspace that has a run in it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.workspace_bench import make_clip, one_object

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("SKILL.md", "README.md")
OURS = re.compile(r"(?:\$ )?((?:vda|bash scripts/|python3 scripts/).*)")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
STANDS_FOR = {
    "CLIP…": "clip.mp4",
    "CLIP": "clip.mp4",
    '"WORDS"': '"three variants of it, please"',
    "FLOW": "e2e",
    "SCENE": "piazza",
    "N": "2",
    "T": "setup",
    "ID": "ETA-FIRST",
    "TOOL": "derive_storage_url",
    "'<json>'": '\'{"dataset_url": "s3://lab/datasets/cars"}\'',
}
"""What a reader puts in the place of a word in capitals; RUN and NAME are the workspace's."""

SERVES = "vda mcp --http"
"""Goes on until it is stopped; `tests/test_mcp_server.py` holds it to what it says."""


def commands() -> Iterator[str]:
    """Yield each command of the pages once: lines of blocks, and code within sentences and tables."""
    seen = set()
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        blocks = "".join(FENCED.findall(text)).replace("\\\n", " ")
        lines = [line.partition("  #")[0].rstrip() for line in blocks.splitlines()]
        spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
        for found in map(OURS.fullmatch, [*lines, *spans]):
            if found and found[1] not in seen and not found[1].startswith(SERVES):
                seen.add(found[1])
                yield found[1]


COMMANDS = [line for line in commands() if '"…"' not in line]


@dataclass(frozen=True)
class Place:
    """A folder with clips, a cookbook of its own and a run that is complete."""

    folder: Path
    run_id: str

    @classmethod
    def prepared(cls, folder: Path) -> Place:
        """Make clips where the pages name them, a cookbook, and a run."""
        make_clip(folder / "clip.mp4")
        make_clip(folder / "clips" / "one.mp4")
        make_clip(folder / "assets" / "samples" / "campus_walkway.mp4")
        begun = cls(folder, "")
        assert begun.run("vda cookbook new dock").returncode == 0
        done = begun.run("vda run clip.mp4 --json --quiet")
        assert done.returncode == 0, done.stderr
        return cls(folder, str(one_object(done.stdout)["run_id"]))

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as a reader does, here, with nothing on standard input."""
        words = shlex.split(line)
        if words[0] == "vda":
            words = [sys.executable, "-m", "skill_tools.cli", *words[1:]]
        else:
            words[1] = str(ROOT / words[1])
        surroundings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "VDA_PYTHON": sys.executable,
            "VDA_ENGINE": "local",
        }
        return subprocess.run(
            words,
            cwd=self.folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def filled(self, line: str) -> str:
        """Return a command with everything in brackets taken, and something in each word's place."""
        line = re.sub(r"\[(--[^\]]+)\]", r"\1", line)
        name = "fresh" if "cookbook new" in line else "dock"
        for word, meant in {**STANDS_FOR, "RUN": self.run_id, "NAME": name}.items():
            line = re.sub(rf"(?<![\w=]){re.escape(word)}(?![\w=])", lambda _, meant=meant: meant, line)
        return line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give a prepared folder."""
    return Place.prepared(tmp_path_factory.mktemp("place"))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_works(line: str, place: Place) -> None:
    """The command ends well; one that shows or runs something says so."""
    shutil.rmtree(place.folder / "cookbooks" / "fresh", ignore_errors=True)
    shutil.rmtree(place.folder / "cookbooks" / "loading_dock", ignore_errors=True)
    if "--cookbook loading_dock" in line:
        place.run("vda cookbook new loading_dock")
    done = place.run(place.filled(line))
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    if line.startswith("vda run "):
        assert "report.html" in done.stdout
    elif line != "vda mcp":
        assert done.stdout.strip()


def test_the_commands_of_both_pages_are_found() -> None:
    """The reader of the pages sees what is known to stand in them."""
    assert len(COMMANDS) > 25
    assert {"vda doctor", "vda resume RUN", "bash scripts/vda.sh", "vda cookbook check NAME"} <= set(COMMANDS)
