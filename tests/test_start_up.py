"""Start-up is light: what a command doesn't need isn't loaded, and nothing talks to anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.workspace_bench import REPOSITORY

HEAVY = frozenset(
    {"pydantic", "av", "numpy", "cv2", "onnxruntime", "PIL", "httpx", "rich", "jinja2", "yaml", "sqlite3"}
)

UNUSED_BY_TOOLS_ALONE = HEAVY - {"pydantic", "yaml", "sqlite3"} | {"jsonschema", "lap", "omegaconf"}

MANY_OBJECTS = 10_000

LOADED = "import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"


def loaded_by(code: str, folder: Path) -> frozenset[str]:
    """Run code in a fresh process and return the top-level modules that it loaded."""
    finished = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LOADED}"],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return frozenset(name.partition(".")[0] for name in json.loads(finished.stdout.splitlines()[-1]))


def command(*words: str, module: str = "skill_tools.cli") -> str:
    """Return code that runs a command, `vda` or another, and stays when it leaves."""
    return f"from {module} import main\ntry:\n    main({list(words)!r})\nexcept SystemExit: pass"


def test_importing_the_skill_loads_nothing_heavy(tmp_path: Path) -> None:
    """Whoever imports the package pays for what they use, when they use it."""
    assert not loaded_by("import skill_tools", tmp_path) & HEAVY


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("--version",), ("script", "--help")])
def test_help_loads_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    """`vda --help` answers before any library for pictures, models or the network is loaded."""
    assert not loaded_by(command(*words), tmp_path) & HEAVY


def test_a_mistyped_command_loads_nothing_heavy(tmp_path: Path) -> None:
    """An error in the command line is as quick as the help."""
    assert not loaded_by(command("rn"), tmp_path) & HEAVY


def test_listing_runs_loads_nothing_for_pictures_or_the_network(tmp_path: Path) -> None:
    """What reads the journal alone needs no codec, no array, no model and no connection."""
    assert not loaded_by(command("runs"), tmp_path) & UNUSED_BY_TOOLS_ALONE


def test_the_registry_loads_what_all_tools_need_and_no_more(tmp_path: Path) -> None:
    """A tool loads codecs, models, templates and connections when it uses them, so every call begins soon."""
    assert not loaded_by("from skill_tools import TOOLS", tmp_path) & UNUSED_BY_TOOLS_ALONE


def test_the_public_face_has_what_it_says(tmp_path: Path) -> None:
    """`run_script`, `call` and `TOOLS` come with their first use; another name is an AttributeError."""
    loaded_by(
        "import skill_tools\n"
        "assert all(getattr(skill_tools, name) is not None for name in skill_tools.__all__)\n"
        "assert skill_tools.call('nothing').exit_code == 2\n"
        "assert not hasattr(skill_tools, 'anything_else')",
        tmp_path,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("skill_tools.cli", ["runs"]),
        ("skill_tools.workers.augmentation.cli", ["--help"]),
        ("skill_tools.workers.labeling.cli", ["--help"]),
    ],
)
def test_a_process_ends_without_looking_for_cycles_in_what_is_left(
    tmp_path: Path, module: str, words: list[str]
) -> None:
    """At its end all objects are frozen, over which Python would else go, while somebody waits."""
    told = "import atexit, gc\natexit.register(lambda: print('\\n', gc.get_freeze_count()))\n"
    finished = subprocess.run(
        [sys.executable, "-c", told + command(*words, module=module)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(finished.stdout.split()[-1]) > MANY_OBJECTS
