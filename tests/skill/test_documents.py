"""What the pages for people tell is true: links lead somewhere, commands are read, examples run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from skill_tools import cli
from skill_tools.dispatch import SCRIPTS
from skill_tools.media.video import ClipWriter
from skill_tools.registry import TOOLS

ROOT = Path(__file__).resolve().parents[2]
TOP = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SKILL.md")]
PAGES = [*TOP, *sorted((ROOT / "references").rglob("*.md")), *sorted((ROOT / "assets").rglob("*.md"))]
OURS = re.compile(r"^(?:\$ )?(?:vda|bash scripts/|python3 scripts/)")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOREIGN = re.compile(r"/root/|/home/(?!you/)|pypi\.|registry\.npmjs|proxy\.golang")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _commands(page: Path) -> list[str]:
    """Return the lines in a page's blocks that start our own programs, continued ones joined; no drawings."""
    blocks = "".join(FENCED.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in blocks.splitlines() if OURS.match(line) and "─" not in line]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TOP, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link and picture of a page at the top names a file that is there, and an anchor that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = ROOT / path if path else page
        assert file.is_file(), target
        assert not anchor or anchor in _anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_are_read(page: Path) -> None:
    """Each command line of ours in a page is one that the programs know, with options that they have."""
    for line in _commands(page):
        words = shlex.split(line.partition("  #")[0])
        if words[0] == "vda" and "[" not in line:
            given = cli.command_line().parse_args(words[1:])
            assert given.command is None or given.command in cli.COMMANDS
        elif words[0] != "vda":
            assert ROOT.joinpath(words[1]).is_file(), line
            assert Path(words[1]).name in {*SCRIPTS, "vda.sh"}, line


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_called_tools_and_named_commands_exist(page: Path) -> None:
    """`vda` commands and tools that a page's sentences name are there."""
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"`vda ([a-z]+)", text)) <= set(cli.COMMANDS)
    assert set(re.findall(r"vda call (\w+)", text)) - {"TOOL"} <= set(TOOLS)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_page_knows_another_machine(page: Path) -> None:
    """No page names a folder of the machine that it was written on, or a package registry."""
    assert FOREIGN.findall(page.read_text(encoding="utf-8")) == []


def _python_examples() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _small_clip(path: Path) -> None:
    """Write twelve frames in which a bright block moves over a textured ground."""
    ground = np.random.default_rng(1).integers(60, 140, (120, 160, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True)
    with ClipWriter(path, width=160, height=120, rate=Fraction(10)) as writer:
        for index in range(12):
            picture = ground.copy()
            picture[50:80, 10 + 8 * index : 40 + 8 * index] = 230
            writer.write_bgr(picture, index)


@pytest.mark.parametrize("example", _python_examples(), ids=["run_script", "call"])
def test_python_examples_of_the_readme_run(example: str, tmp_path: Path) -> None:
    """Each Python example of the README runs as it stands, in an empty folder with a clip of that name."""
    ast.parse(example)
    _small_clip(tmp_path / "assets" / "samples" / "campus_walkway.mp4")
    environ = {**os.environ, "VDA_ENGINE": "local", "PYTHONPATH": str(ROOT)}
    environ.pop("VDA_WORKSPACE", None)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout or "done" in done.stdout


def test_readme_shows_a_picture_that_loads_fast() -> None:
    """The picture of the first screen is a JPEG of at most 250 KB."""
    picture = (ROOT / "assets" / "samples" / "side_by_side.jpg").read_bytes()
    assert picture.startswith(b"\xff\xd8\xff")
    assert len(picture) <= 250_000
