"""What linters and security scanners of skills look for is not there."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skill_tools.install import SKILL_NAME, install

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = [*sorted((ROOT / "skill_tools").rglob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
SHELL = sorted((ROOT / "scripts").glob("*.sh"))
PAGES = [ROOT / "SKILL.md", ROOT / "README.md", *sorted((ROOT / "references").rglob("*.md"))]
SOURCED = {"worker_common.sh", "endpoint_common.sh"}

DESTRUCTIVE = {
    "a forced recursive delete": r"\brm\s+-\w*(?:rf|fr)\w*\b",
    "a delete of an unguarded variable": r"\brm\s[^\n]*\s\"?\$\{?\w+\}?\"?(?=\s|$|;)",
    "commands over found files": r"-exec(?:dir)?\b|\bxargs\b",
    "evaluated text": r"(?:^|[;&|]\s*|\s)eval\s|\bbash\s+-c\s+\"\$|\bsh\s+-c\b",
    "a download that is run": r"(?:curl|wget)[^\n|]*\|\s*(?:ba|z)?sh",
    "another user": r"\bsudo\b|\bchmod\s+(?:-R\s+)?0?777\b",
    "a device": r"\bmkfs\b|\bdd\s+if=|>\s*/dev/sd",
}
UNPINNED = {
    "uvx": r"\buvx\s+(?:--from\s+)?\"?[a-z][\w\[\]-]*(?=[\s\"]|$)(?!\s*==)",
    "pipx": r"\bpipx\s+(?:run|install)\s+(?:--spec\s+)?\"?[a-z][\w\[\]-]*(?=[\s\"]|$)",
    "pip": r"\bpip3?\s+install\s+\"?[a-z][\w\[\]-]*(?=[\s\"]|$)",
    "npx": r"\bnpx\s",
}
SECRETS_BY_NAME = r"id_(?:rsa|ed25519)|\.(?:aws|ssh|gnupg)/|\.(?:netrc|pypirc|git-credentials)|/etc/shadow"
UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
COAXING = r"without asking|ignore (?:all |any )?(?:previous|prior)|don't tell the user|you are now"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _found(patterns: dict[str, str], text: str) -> list[tuple[str, str]]:
    """Return what fits, comment lines left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [
        (what, hit[0])
        for what, pattern in patterns.items()
        for hit in re.finditer(pattern, code, re.MULTILINE)
    ]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what a host gets that takes the repository as a plugin."""
    folder = tmp_path_factory.mktemp("plugin") / SKILL_NAME
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.splitlines()):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what an agent finds among its skills."""
    place = tmp_path_factory.mktemp("project") / ".agents" / "skills" / SKILL_NAME
    return install(place, skill_dir=ROOT).path


@pytest.mark.parametrize("host", ["generic", "claude-code", "codex", "cursor"])
@pytest.mark.parametrize("what", ["plugin", "copied"])
def test_the_linter_has_nothing_to_say(what: str, host: str, request: pytest.FixtureRequest) -> None:
    """Agnix finds neither an error nor a warning in skill and manifests, by the rules of any host."""
    folder = request.getfixturevalue(what)
    linter = Path(sys.executable).with_name("agnix")
    done = subprocess.run(
        [linter, "--target", host, "--format", "json", folder],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(folder.parent), "PATH": ""},
    )
    said = json.loads(done.stdout)["diagnostics"]
    assert [(one["rule"], one["file"], one["message"]) for one in said if one["level"] != "info"] == []


@pytest.mark.parametrize("script", SHELL, ids=_name)
def test_no_script_holds_a_destructive_command(script: Path) -> None:
    """No shell script deletes by force, evaluates text, runs a download or commands over found files."""
    text = script.read_text(encoding="utf-8")
    assert _found(DESTRUCTIVE, text) == []
    if script.name not in SOURCED:
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "\nset -euo pipefail\n" in text


@pytest.mark.parametrize("path", [*SHELL, *PAGES], ids=_name)
def test_nothing_is_installed_without_a_version(path: Path) -> None:
    """Whatever a script installs or a page tells to install has a version or a lock file."""
    text = path.read_text(encoding="utf-8")
    assert _found(UNPINNED, text) == []


@pytest.mark.parametrize("path", [*SHELL, *PACKAGE, *PAGES], ids=_name)
def test_no_file_hides_or_coaxes(path: Path) -> None:
    """No invisible characters, no words that talk an agent out of its rules, no key file by its name."""
    text = path.read_text(encoding="utf-8")
    assert UNSEEN.findall(text) == []
    assert re.findall(COAXING, text, re.IGNORECASE) == []
    assert re.findall(SECRETS_BY_NAME, text) == []


@pytest.mark.parametrize("path", PACKAGE, ids=_name)
def test_no_module_evaluates_text_or_starts_a_shell(path: Path) -> None:
    """No `eval`, `exec`, `os.system`, `shell=True` or pickle anywhere in the package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads"}
            shell = [word.value for word in node.keywords if word.arg == "shell"]
            assert not [value for value in shell if not (isinstance(value, ast.Constant) and not value.value)]


def test_every_page_is_linked_from_the_skill() -> None:
    """An agent comes to each reference in one step from SKILL.md."""
    linked = set(re.findall(r"\]\(([^)#\s]+)", (ROOT / "SKILL.md").read_text(encoding="utf-8")))
    pages = {_name(page) for page in (ROOT / "references").rglob("*.md")}
    assert pages <= linked
