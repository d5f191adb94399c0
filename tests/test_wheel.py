"""The wheel in a clean environment: everything is in it, and a run from it ends in a report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from skill_tools.install import PLUGIN_MANIFESTS, SKILL_FILES
from skill_tools.settings import PACKAGE_ROOT, own_skill_dir
from tests.tools.workspace_bench import REPOSITORY, make_clip

BUNDLE = "skill_tools/_bundle/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give the wheel and the source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def vda(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give `vda` of a new environment that has the wheel, and sees this one's dependencies."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*pip, str(built[0])], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    site.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin" / "vda"


def ran(vda: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `vda` in a folder, without anything of this checkout in the environment."""
    return subprocess.run(
        [vda, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_and_source_hold_every_file_of_the_skill(built: tuple[Path, Path]) -> None:
    """Each file under version control that makes the skill is in both, and no cache is."""
    listed = subprocess.run(
        ["git", "ls-files", *SKILL_FILES, *PLUGIN_MANIFESTS],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    tracked = {name for name in listed if name}
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    with tarfile.open(built[1]) as source:
        sources = {name.partition("/")[2] for name in source.getnames()}
    assert tracked
    assert {f"{BUNDLE}{name}" for name in tracked} <= names
    assert {*tracked, "skill_tools/cli.py", "tests/test_wheel.py"} <= sources
    tops = {name.removeprefix(BUNDLE).partition("/")[0] for name in names if name.startswith(BUNDLE)}
    assert tops == {*SKILL_FILES, *PLUGIN_MANIFESTS}
    assert not [name for name in names | sources if name.endswith(".pyc")]


def test_the_source_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Who builds from the source distribution gets every file of the wheel, byte for byte."""
    unpacked = tmp_path / "source"
    with tarfile.open(built[1]) as source:
        source.extractall(unpacked, filter="data")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=next(unpacked.iterdir()), check=True, capture_output=True)
    with zipfile.ZipFile(built[0]) as first, zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
        assert all(first.read(name) == second.read(name) for name in first.namelist())


def test_the_skill_is_found_in_a_checkout_and_in_a_wheel(tmp_path: Path) -> None:
    """Beside the package in a checkout, within it where it was bundled."""
    assert own_skill_dir() == PACKAGE_ROOT
    package = tmp_path / "skill_tools"
    package.joinpath("_bundle").mkdir(parents=True)
    assert own_skill_dir(package) == package / "_bundle"


def test_doctor_finds_everything_from_the_wheel(vda: Path, tmp_path: Path) -> None:
    """Cookbooks and weights are found in the installed package, not in the checkout."""
    done = ran(vda, tmp_path, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0, done.stderr
    assert "city_traffic" in checks["cookbooks"]["detail"]
    assert checks["weights"]["status"] == "ok"
    code = "from skill_tools.settings import own_skill_dir; print(own_skill_dir())"
    asked = subprocess.run(
        [vda.with_name("python"), "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert asked.stdout.startswith(str(vda.parents[1]))


def test_a_run_from_the_wheel_ends_in_a_report(vda: Path, tmp_path: Path) -> None:
    """One clip goes all the way: workflow, workers, models and cookbook come from the wheel."""
    clip = make_clip(tmp_path / "car.mp4")
    done = ran(vda, tmp_path, "run", str(clip), "--engine", "local", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["tool"], result["status"]) == ("report", "done")
    assert Path(result["data"]["report"]).is_file()


def test_the_wheel_installs_the_whole_skill_for_an_agent(vda: Path, tmp_path: Path) -> None:
    """The copy that an installed package makes is the same as that of a checkout."""
    done = ran(vda, tmp_path, "install", "--agent", "claude")
    assert done.returncode == 0, done.stderr
    (place,) = tmp_path.glob(".claude/skills/*")
    assert {path.name for path in place.iterdir()} - {".vda-install.json"} == {*SKILL_FILES, "skill_tools"}
    assert not (place / "skill_tools" / "_bundle").exists()
    for name in ("SKILL.md", "scripts/vda.sh", "skill_tools/cli.py"):
        assert (place / name).read_bytes() == (REPOSITORY / name).read_bytes()
