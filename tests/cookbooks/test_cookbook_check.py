"""The check of a cookbook finds what is wrong, all of it, in its true line, and nothing in what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.cookbooks.files import (
    AUGMENTATION,
    EVENT_PROMPT,
    GUIDE,
    LABELING,
    POLISHING_PROMPT,
    QUESTION_BANK,
    SENT_FILES,
    TEMPLATE_PROMPT,
    WORKFLOW_CONFIG,
)
from skill_tools.workers import file_schemas
from tests.cookbooks.cookbook_bench import SCHEMAS, Bench

# File, what is there, what it becomes, words of the complaint.
Break = tuple[str, str, str, str]

WEATHER = "weather: {clear: 0.35, overcast: 0.35, rain: 0.30}"
BREAKS: dict[str, Break] = {
    "weights": (WORKFLOW_CONFIG, WEATHER, WEATHER.replace("0.30", "0.40"), "weather sum to 1.1"),
    "negative weight": (
        WORKFLOW_CONFIG,
        WEATHER,
        "weather: {clear: 1.5, overcast: -0.5}",
        "overcast is -0.5; expected at least 0",
    ),
    "weight in words": (WORKFLOW_CONFIG, WEATHER, "weather: {clear: all}", 'clear is "all"'),
    "not a number": (WORKFLOW_CONFIG, WEATHER, "weather: {clear: .nan}", "weather sum to nan"),
    "no weight": (WORKFLOW_CONFIG, WEATHER, "weather: {clear: 1.0, rain: 0}", "never drawn"),
    "unknown value": (WORKFLOW_CONFIG, WEATHER, "weather: {claer: 1.0}", "did you mean clear"),
    "unknown variable": (WORKFLOW_CONFIG, WEATHER, "wether: {clear: 1.0}", "did you mean weather"),
    "no values": (WORKFLOW_CONFIG, WEATHER, "weather: {}", "weather is empty"),
    "a key twice": (WORKFLOW_CONFIG, "time_of_day", "weather", "'weather' is here twice, first in line"),
    "no variants": (WORKFLOW_CONFIG, "n_augmentations: 1", "n_augmentations: 0", "at least 1"),
    "broken yaml": (WORKFLOW_CONFIG, "n_augmentations: 1", "n_augmentations: [1", "this is no YAML"),
    "unknown class": (LABELING, "motorcycle, bicycle", "motorcycle, byke, bicycle", "classes[4] is 'byke'"),
    "unknown key": (LABELING, "max_age: 60", "max_ages: 60", "did you mean max_age"),
    "wrong type": (LABELING, "max_age: 60", "max_age: long", "a whole number"),
    "out of range": (LABELING, "threshold: 0.2", "threshold: 1.2", "less than 1"),
    "unknown detector": (LABELING, "detector: nanodet", "detector: yolo", "nanodet"),
    "no classes": (LABELING, "[car, truck, bus, motorcycle, bicycle, person]", "[]", "at least 1"),
    "codec": (AUGMENTATION, "codec: h264", "codec: h265", "did you mean h264"),
    "strength": (AUGMENTATION, "strength: null", "strength: 2", "at most 1"),
    "strength in words": (AUGMENTATION, "strength: null", "strength: high", "a number or"),
    "section": (AUGMENTATION, "retry: 1", "retries: 1", "did you mean retry"),
    "prompt path": (
        AUGMENTATION,
        "prompts/prompt_polishing_system_prompt.md",
        "prompts/polish.md",
        "not in the cookbook",
    ),
    "prompt outside": (
        AUGMENTATION,
        "prompts/prompt_polishing_system_prompt.md",
        "../README.md",
        "not in the cookbook",
    ),
    "broken json": (QUESTION_BANK, '"id": "cars",', '"id": "cars"', "this is no JSON"),
    "json key twice": (QUESTION_BANK, '"id": "cars"', '"id": "car", "id": "cars"', "is here twice"),
    "other scene": (QUESTION_BANK, '"scene": "city_traffic"', '"scene": "piazza"', "of the scene 'piazza'"),
    "id twice": (QUESTION_BANK, '"id": "buses"', '"id": "cars"', "this id is taken in line"),
    "aggregation": (
        QUESTION_BANK,
        '"count:car",\n      "aggregate": "any"',
        '"count:car",\n      "aggregate": "mean"',
        "did you mean",
    ),
    "count by windows": (
        QUESTION_BANK,
        '"count:car",\n      "aggregate": "any"',
        '"count:car",\n      "aggregate": "majority"',
        "no windows to vote",
    ),
    "gap in counts": (QUESTION_BANK, '"1-5", "6-15"', '"1-5", "7-15"', "leave a number out"),
    "open counts": (QUESTION_BANK, '"6-15", "16+"', '"6-15", "16-20"', "leave a number out"),
    "counted, not labelled": (QUESTION_BANK, "count:bus", "count:train", "'train' is counted but not"),
    "unknown source": (QUESTION_BANK, '"source": "time_of_day"', '"source": "time"', "time_of_day"),
    "not measured": (QUESTION_BANK, '"morning", "midday"', '"morning", "noonish"', "'noonish' can't be"),
    "drawn, no option": (QUESTION_BANK, '"clear", "overcast", "rain"', '"clear", "rain"', "no option says"),
    "waits for a stranger": (QUESTION_BANK, '"question": "people",', '"question": "folk",', "no earlier"),
    "waits for what comes": (
        QUESTION_BANK,
        '"question": "signal_readable"',
        '"question": "hard_braking"',
        "no earlier",
    ),
    "waits in vain": (QUESTION_BANK, '"in": ["1-3", "4-10", "11+"]', '"in": ["12"]', "waits for '12'"),
    "waits for anything": (
        QUESTION_BANK,
        '{"question": "signal_readable", "in": ["yes"]}',
        '{"question": "signal_readable", "in": ["yes", "no"]}',
        "no condition",
    ),
    "half a condition": (
        QUESTION_BANK,
        '{"question": "signal_readable", "in": ["yes"]}',
        '{"question": "signal_readable"}',
        "include_if.in is missing",
    ),
    "template marker": (TEMPLATE_PROMPT, "Signals are data.", "{{Signals}} are data.", "{{ is a command"),
    "slot on one side": (
        POLISHING_PROMPT,
        "with the slots [weather], ",
        "with the slots ",
        "no slot [weather]",
    ),
    "no such slot": (TEMPLATE_PROMPT, "[weather] for sky", "[wether] for sky", "did you mean weather"),
    "event category": (EVENT_PROMPT, '"category": "near_miss"', '"category": "almost"', "'almost'"),
    "event times": (EVENT_PROMPT, '"end_time": 5.0', '"end_time": 3.0', "lasts from 3.2 to 3.0"),
    "event key": (EVENT_PROMPT, '"event_caption": "A car', '"caption": "A car', "has the key caption"),
    "event json": (EVENT_PROMPT, '"signals_readable": true,', '"signals_readable": yes,', "is no JSON"),
    "unexplained": (EVENT_PROMPT, "`turn_across_oncoming`", "`turn_across`", "not explained"),
    "a section": (GUIDE, "## Risk if wrong", "## Risks", "“Risk if wrong”"),
    "another weight": (GUIDE, "overcast .35, rain .30", "overcast .35, rain .20", "'rain .30'"),
}
WARNED = {"no weight", "waits for anything", "unexplained", "a section", "another weight"}
# Where the complaint is about something else than the line that was changed.
ELSEWHERE = {"slot on one side": 1, "a section": 1, "unexplained": None, "waits for what comes": None}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a copy of the default scene."""
    return Bench.of("city_traffic", tmp_path)


@pytest.mark.parametrize("name", BREAKS)
def test_each_mistake_is_found_in_its_line(bench: Bench, name: str) -> None:
    """A file with one mistake gets a complaint that names it, in the line where it stands."""
    file, old, new, words = BREAKS[name]
    line = bench.replace(file, old, new)
    line += old[: _first_difference(old, new)].count("\n")
    found = [one for one in bench.problems() if words in one.told(bench.directory)]
    assert found, [one.told(bench.directory) for one in bench.problems()]
    assert {(one.file, one.severity) for one in found} == {(file, "warning" if name in WARNED else "error")}
    wanted = ELSEWHERE.get(name, line)
    # Where a comma is missing, the parser notices at the next word.
    assert wanted is None or found[0].line in {wanted, wanted + (name in {"broken yaml", "broken json"})}


def _first_difference(old: str, new: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)


def test_all_mistakes_are_told_at_once(bench: Bench) -> None:
    """Mistakes in five files and two in one question are all there after a single look, in order."""
    bench.replace(WORKFLOW_CONFIG, WEATHER, "weather: {claer: 0.5}")
    bench.replace(LABELING, "max_age: 60", "max_age: 0")
    bench.replace(QUESTION_BANK, '"0", "1-5", "6-15", "16+"', '"0", "2+"')
    bench.replace(QUESTION_BANK, "count:car", "count:tram")
    bench.replace(AUGMENTATION, "crf: 20", "crf: 99")
    bench.replace(EVENT_PROMPT, '"category": "near_miss"', '"category": "almost"')
    found = bench.problems()
    assert {one.file for one in found} >= {
        WORKFLOW_CONFIG,
        LABELING,
        QUESTION_BANK,
        AUGMENTATION,
        EVENT_PROMPT,
    }
    assert sum("cars:" in one.what for one in found) == 2
    assert list(found) == sorted(found)


@pytest.mark.parametrize("file", SENT_FILES)
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[1, 2]", b"null", b"{", b"a: &a [*a]"])
def test_no_content_of_a_file_breaks_the_check(bench: Bench, file: str, content: bytes | None) -> None:
    """Whatever is in a file, or nothing at all, is at least one error in that file and no crash."""
    path = bench.directory / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    # A prompt may hold any words; what is empty, missing or no text is an error in prompts too.
    wordy = file.endswith(".md") and content not in {None, b"", b"\xff\xfe"}
    assert wordy or any(one.file == file and one.severity == "error" for one in bench.problems())


def test_lines_of_json_are_true_however_it_is_laid_out(bench: Bench) -> None:
    """Tabs, windows line ends and everything on one line change the line that is told, and nothing else."""
    path = bench.directory / QUESTION_BANK
    text = path.read_text(encoding="utf-8").replace("count:bus", "count:train")
    line = text[: text.index("count:train")].count("\n") + 1
    for laid_out, wanted in (
        (text.replace("  ", "\t"), line),
        (text.replace("\n", "\r\n"), line),
        (text.replace("\n", " "), 1),
    ):
        path.write_bytes(laid_out.encode())
        (problem,) = bench.problems()
        assert ("'train'" in problem.what, problem.line) == (True, wanted)


def test_a_file_that_nobody_reads_is_named(bench: Bench) -> None:
    """A prompt under a wrong name would be missed in silence; it gets a warning."""
    bench.directory.joinpath("auto_labeling", "prompts", "events.md").write_text("…", encoding="utf-8")
    (problem,) = bench.problems()
    assert (problem.file, problem.severity) == ("auto_labeling/prompts/events.md", "warning")


def test_a_short_bank_is_no_error(bench: Bench) -> None:
    """Fewer than ten questions are a warning: such a cookbook can be run with."""
    path = bench.directory / QUESTION_BANK
    head, _, _ = path.read_text(encoding="utf-8").partition(',\n    {\n      "id": "cars"')
    path.write_text(head + "\n  ]\n}\n", encoding="utf-8")
    (problem,) = bench.problems()
    assert problem.severity == "warning"
    assert "3 question(s)" in problem.what


def test_the_checked_in_schemas_are_those_of_the_workers() -> None:
    """What the check holds files to is what the workers read; `make pages` writes the schemas anew."""
    found = {path.name: path.read_text(encoding="utf-8") for path in (SCHEMAS / "cookbooks").iterdir()}
    assert found == file_schemas.documents()
