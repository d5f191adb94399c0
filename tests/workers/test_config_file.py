"""How a worker's YAML file and overrides become one document."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import InputError
from skill_tools.workers.config_file import read_document


@pytest.mark.parametrize(
    "value", ["/a [x]: {y}, #1/c.mp4", "007", "a: b", "${data.output_dir}", 'it\'s "Zoë"']
)
def test_paths_and_names_are_taken_to_the_letter(value: str) -> None:
    """What YAML or a reference would make of a path is not what was meant."""
    assert read_document(None, [f"data.input_video={value}"]) == {"data": {"input_video": value}}


def test_other_values_are_yaml_and_overrides_win(tmp_path: Path) -> None:
    """A number stays a number, a list a list, and the command line is laid over the file."""
    file = tmp_path / "config.yaml"
    file.write_text("output: {crf: 20}\ndetection: {classes: [car]}\n")
    document = read_document(file, ["output.crf=30", "detection.classes=[person,bus]"])
    assert document == {"output": {"crf": 30}, "detection": {"classes": ["person", "bus"]}}


@pytest.mark.parametrize(
    ("text", "overrides", "code"),
    [
        (None, [], "input.config_missing"),
        ("a: [", [], "input.config_invalid"),
        ("- a list", [], "input.config_invalid"),
        ("a: 1", ["no sign"], "input.override"),
        ("a: ${nowhere}", [], "input.config_invalid"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(
    tmp_path: Path, text: str | None, overrides: list[str], code: str
) -> None:
    """A missing file, broken YAML, a dangling reference and a word without a sign each have their code."""
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError) as raised:
        read_document(file, overrides)
    assert raised.value.code == code
    assert raised.value.expected
