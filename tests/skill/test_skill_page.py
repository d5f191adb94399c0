"""SKILL.md is valid, short, true, and says what agents and scanners look for."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skill_tools import __version__, cli
from skill_tools.errors import EXIT_CODES
from skill_tools.flows.catalog import DEFAULT_FLOW, FLOWS
from skill_tools.policy.clauses import clauses
from skill_tools.registry import TOOLS, call
from skill_tools.settings import Settings
from skill_tools.tools.select_flow import DEFAULT_COOKBOOK
from tests.cookbooks.cookbook_bench import shelf

ROOT = Path(__file__).resolve().parents[2]
NAME = "physical-ai-video-data-augmentation"
TEXT = (ROOT / "SKILL.md").read_text(encoding="utf-8")
BODY = TEXT.split("---\n", 2)[2]
SAMPLE = ROOT / "assets" / "samples" / "campus_walkway.mp4"
BOUND = re.compile(r"\b(?:must|never|always|only)\b", re.IGNORECASE)


def _front() -> dict[str, object]:
    front = yaml.safe_load(TEXT.split("---\n", 2)[1])
    assert isinstance(front, dict)
    return front


def _commands() -> list[str]:
    """Return the lines of the section of examples."""
    return BODY.split("## Examples")[1].split("```bash\n")[1].split("```")[0].strip().splitlines()


def test_validator_takes_it(tmp_path: Path) -> None:
    """The reference validator of the Agent Skills specification finds a copy named as the skill valid."""
    folder = tmp_path / NAME
    folder.mkdir()
    shutil.copy(ROOT / "SKILL.md", folder)
    validator = Path(sys.executable).with_name("agentskills")
    done = subprocess.run(
        [validator, "validate", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_front_matter() -> None:
    """It has the specification's six keys and no other, a bounded description, an author with an address."""
    front = _front()
    assert list(front) == ["name", "description", "license", "compatibility", "metadata", "allowed-tools"]
    assert front["name"] == NAME
    description = str(front["description"])
    assert len(description) <= 150
    assert "Do not use for" in description
    metadata = front["metadata"]
    assert isinstance(metadata, dict)
    assert re.fullmatch(r"[^<>]+ <[^@<>\s]+@[^@<>\s]+>", metadata["author"])
    assert metadata["version"] == __version__


@pytest.mark.filterwarnings("ignore:open_binary is deprecated")  # the tokenizer reads its tables the old way
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_it_is_short(encoding: str) -> None:
    """It costs an agent at most 250 lines, and 2,700 tokens in OpenAI's encodings of today and before."""
    from bpe_openai import get_encoding

    assert len(TEXT.splitlines()) <= 250
    assert len(get_encoding(encoding).encode(TEXT)) <= 2_700


def test_sections() -> None:
    """It has the sections that agents and quality checkers look for, in their order."""
    assert re.findall(r"^## (.+)$", BODY, re.MULTILINE) == [
        "Purpose",
        "When to use",
        "Prerequisites",
        "Instructions",
        "Rules",
        "Examples",
        "Output",
        "Limitations",
        "Troubleshooting",
    ]


def unbound(text: str) -> list[str]:
    """Return the sentences of a SKILL.md, front matter included, that bind and carry no rule's id."""
    ids = set(clauses(TEXT))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    sentences = [
        sentence
        for paragraph in re.split(r"\n\n|\n(?=- |\||#|\w+: )", prose)
        for sentence in re.split(r"(?<=[.!?])\s+", paragraph)
    ]
    return [
        sentence
        for sentence in sentences
        if BOUND.search(sentence) and not ids & set(re.findall(r"\(([A-Z-]+)\)", sentence))
    ]


def test_binding_sentences_have_an_id() -> None:
    """Each sentence that says must, never, always or only carries the id of a rule."""
    assert unbound(TEXT) == []


@pytest.mark.parametrize("word", ["must", "Never", "always", "ONLY"])
def test_a_binding_sentence_without_an_id_is_found_wherever_it_stands(word: str) -> None:
    """Planted behind any line outside of code, alone or with the id of no rule, it is named."""
    lines = TEXT.splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for number in range(1, len(lines)):
        if sum(fence < number for fence in fences) % 2:
            continue
        for planted in (f"You {word} do this.", f"You {word} do this (NO-RULE)."):
            text = "\n".join([*lines[:number], "", f"- {planted}", "", *lines[number:]])
            assert any(planted in one for one in unbound(text)), lines[number]


def test_links_are_one_level_deep() -> None:
    """Each link is relative and leads to a file of the skill."""
    links = re.findall(r"\]\(([^)\s]+)\)", BODY)
    assert links
    for link in links:
        assert ROOT.joinpath(link).is_file(), link


def test_tables_agree_with_the_code() -> None:
    """The tables list all flows, and all scenes with their variables; the defaults are marked."""
    books = shelf(ROOT / "none")
    rows = [line for line in BODY.splitlines() if line.startswith("| `")]
    words = {row[0]: set(row[1:]) for row in (re.findall(r"`(\w+)`", row) for row in rows)}
    assert set(words) == {*FLOWS, *books.names()}
    for name in books.names():
        assert words[name] - {"set"} == set(books.named(name).variables)
    marked = {re.findall(r"`(\w+)`", row)[0] for row in rows if "(default)" in row}
    assert marked == {DEFAULT_FLOW, DEFAULT_COOKBOOK}


def test_steps_and_exit_codes_are_those_of_the_code() -> None:
    """Each step is a tool, and each exit code is explained."""
    steps = re.findall(r"[a-z_]+", BODY.split("\nselect_flow →")[1].split("\n\n")[0])
    assert set(steps) - {"or"} <= set(TOOLS)
    explained = BODY.split("Exit codes:")[1].split("\n\n")[0]
    assert set(re.findall(r"\b\d\b", explained)) == {"0", *map(str, EXIT_CODES.values())}


def test_named_commands_exist() -> None:
    """Every `vda` command that it names is one."""
    named = set(re.findall(r"(?:^|`)vda (\w+)", BODY, re.MULTILINE))
    assert named <= set(cli.COMMANDS)


@pytest.mark.parametrize("line", [line for line in _commands() if line.startswith("vda run")])
def test_examples_of_runs_begin_a_run(line: str, tmp_path: Path) -> None:
    """Each example of `vda run` is read by the command line, and its words begin the run that they say."""
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(SAMPLE, clips / "one.mp4")
    shutil.copy(SAMPLE, tmp_path / "clip.mp4")
    given = cli.command_line().parse_args(shlex.split(line)[1:])
    arguments = {
        "clips": [str(tmp_path / clip) for clip in given.clips],
        "request": given.request or "",
        "flow": given.flow,
        "cookbook": given.cookbook,
        "variants": given.variants,
        "variables": dict(pair.split("=") for pair in given.variables),
        "engine": "local",
    }
    begun = call("select_flow", arguments, settings=Settings.read(workspace=tmp_path, environ={}))
    assert begun.ok, begun.problem
    assert begun.data["variables"] == arguments["variables"]
    assert begun.data["flow"] == ("auto_labeling" if given.request else given.flow or DEFAULT_FLOW)


def test_step_by_step_example_works(tmp_path: Path) -> None:
    """The first call of the steps begins a run and names the next call."""
    shutil.copy(SAMPLE, tmp_path / "clip.mp4")
    words = re.search(r"`vda call select_flow '(.+?)'`", BODY)
    assert words
    arguments = json.loads(words.group(1))
    arguments["clips"] = [str(tmp_path / clip) for clip in arguments["clips"]]
    settings = Settings.read(workspace=tmp_path, engine="local", environ={})
    begun = call("select_flow", arguments, settings=settings)
    assert begun.ok
    assert begun.next[0].tool == "estimate_time"
