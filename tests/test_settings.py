"""Where a process works, as its options and its environment say."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import InputError
from skill_tools.settings import Settings


def test_the_option_comes_before_the_environment_and_that_before_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest word wins: the call's, the environment's, then the folder that one stands in."""
    monkeypatch.chdir(tmp_path)
    environ = {"VDA_WORKSPACE": str(tmp_path / "named")}
    assert Settings.read(workspace="given", environ=environ).workspace == tmp_path / "given"
    assert Settings.read(environ=environ).workspace == tmp_path / "named"
    assert Settings.read(environ={}).workspace == tmp_path


def test_reading_settings_makes_nothing(tmp_path: Path) -> None:
    """A workspace that isn't there yet stays so until something is written."""
    Settings.read(workspace=tmp_path / "new", environ={})
    assert list(tmp_path.iterdir()) == []


def test_everything_that_a_run_leaves_lies_in_the_workspace(tmp_path: Path) -> None:
    """State, storage and the mirrors of runs are all below one folder."""
    settings = Settings.read(workspace=tmp_path, environ={})
    for place in (settings.journal_file, settings.local_storage, settings.run_dir("run-0a1b2c3d")):
        assert place.is_relative_to(tmp_path)
    assert settings.run_dir("run-0a1b2c3d") == tmp_path / "media" / "vda" / "runs" / "run-0a1b2c3d"
    assert (
        len(
            {
                place.relative_to(tmp_path).parts[0]
                for place in (settings.journal_file, settings.local_storage)
            }
        )
        == 1
    )


def test_data_roots_are_separated_as_path_is(tmp_path: Path) -> None:
    """Several data roots may be named; without any there is one usual place."""
    named = Settings.read(workspace=tmp_path, environ={"VDA_DATA_ROOTS": "/data/a::/data/b"})
    assert named.data_roots == (Path("/data/a"), Path("/data/b"))
    assert Settings.read(workspace=tmp_path, environ={}).data_roots == (Path("/srv/sdg/data"),)


def test_the_engine_is_the_call_s_then_the_environment_s(tmp_path: Path) -> None:
    """`auto` unless somebody says otherwise; a word that names no engine is refused with those that do."""
    assert Settings.read(workspace=tmp_path, environ={}).engine == "auto"
    assert Settings.read(workspace=tmp_path, environ={"VDA_ENGINE": "osmo"}).engine == "osmo"
    assert Settings.read(workspace=tmp_path, engine="local", environ={"VDA_ENGINE": "osmo"}).engine == "local"
    with pytest.raises(InputError, match="lokal") as caught:
        Settings.read(workspace=tmp_path, environ={"VDA_ENGINE": "lokal"})
    assert caught.value.expected == "auto, local or osmo"


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    """A workspace is a folder."""
    file = tmp_path / "notes.txt"
    file.touch()
    with pytest.raises(InputError, match="not a folder"):
        Settings.read(workspace=file, environ={})


def test_the_environment_is_not_shown(tmp_path: Path) -> None:
    """Settings may be printed: the environment, which holds keys, isn't part of what is shown."""
    assert "hunter2" not in repr(Settings.read(workspace=tmp_path, environ={"HF_TOKEN": "hunter2-hunter2"}))
