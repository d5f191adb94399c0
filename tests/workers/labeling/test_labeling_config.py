"""The configuration: files, overrides, defaults, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import InputError
from skill_tools.workers.labeling.config import LabelingConfig, load_config

REQUIRED = ["data.input_video=in.mp4", "data.output_dir=out"]


def test_defaults_are_whole() -> None:
    """Two paths are all that has to be given."""
    config = load_config(None, REQUIRED)
    assert config.video == "in"
    assert config.tracking.max_age == 60
    assert config.class_indices == (0, 1, 2, 3, 5, 7)


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    """A value from the command line replaces the file's, and the file's replaces the default."""
    file = tmp_path / "config.yaml"
    file.write_text("tracking: {max_age: 30, iou: 0.4}\nmcq:\n")
    config = load_config(file, [*REQUIRED, "tracking.max_age=45", "detection.classes=[person]"])
    assert (config.tracking.max_age, config.tracking.iou) == (45, 0.4)
    assert config.detection.classes == ("person",)
    assert config.mcq.fps == 6


@pytest.mark.parametrize("name", ["007", "1e5", "on", "a.b-c_d"])
def test_names_are_taken_as_they_stand(name: str) -> None:
    """A name that YAML would read as a number or a truth value stays the name."""
    assert load_config(None, [*REQUIRED, f"data.video_name={name}"]).video == name


@pytest.mark.parametrize("path", ["/a/[x].mp4", "/a/b: c.mp4", "/a/x=y.mp4", "/a/#1 'q'.mp4"])
def test_paths_are_taken_as_they_stand(path: str) -> None:
    """Brackets, colons, equals signs and quotes belong to the path."""
    given = [f"data.input_video={path}", "data.output_dir=out", "data.video_name=x"]
    assert load_config(None, given).data.input_video == path


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("tracking.max_agee=3", "tracking.max_age"),
        ("endpoint.vlm.url=x", "endpoints"),
        ("endpoints.vlm.uri=x", "endpoints.vlm.url"),
        ("models.detector=nanodett", "nanodet"),
    ],
)
def test_unknown_names_come_with_the_nearest(override: str, remedy: str) -> None:
    """A misspelt key or detector is refused with the one that was probably meant."""
    with pytest.raises(InputError) as refused:
        load_config(None, [*REQUIRED, override])
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("text", ["- a\n- b\n", "data: [", "a: ${nowhere}\n", "just words"])
def test_files_that_are_no_configuration(tmp_path: Path, text: str) -> None:
    """A list, broken YAML, a dangling reference or prose is refused."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(InputError):
        load_config(file, REQUIRED)


def test_cookbooks_are_valid() -> None:
    """Every cookbook's labeling configuration can be read."""
    files = sorted((Path(__file__).parents[3] / "assets" / "cookbooks").glob("*/auto_labeling/*.yaml"))
    assert all(isinstance(load_config(file, REQUIRED), LabelingConfig) for file in files)
