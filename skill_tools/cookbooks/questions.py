"""Whether the questions of a bank can be asked, answered and counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skill_tools.cookbooks.document import Document, Place
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.vocabulary import MEASURED, VOCABULARY, nearest

FEWEST_QUESTIONS = 10
"""A bank with fewer hardly tells a variant from its original."""

_VLM = "vlm"
_COUNT = "count:"
_WAY_OUT = "cannot tell"
_YES_NO = ["yes", "no"]
_COUNTED = re.compile(r"(\d+)(?:-(\d+)|(\+))?")


@dataclass(frozen=True)
class _Question:
    """A question whose form is right, and where it stands."""

    document: Document
    place: Place
    raw: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def options(self) -> list[str]:
        return list(self.raw["options"])

    @property
    def source(self) -> str:
        return str(self.raw.get("source", _VLM))

    @property
    def aggregate(self) -> str:
        return str(self.raw.get("aggregate", "majority"))

    def problem(self, key: str, what: str, expected: str = "", remedy: str = "", **how: Any) -> Problem:
        return self.document.problem(
            (*self.place, key), f"{self.id}: {what}", expected=expected, remedy=remedy, **how
        )


def question_problems(
    bank: Document, *, scene: str, classes: Sequence[str], variables: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """Yield what is wrong with a bank beyond its form.

    Args:
        bank: The question bank.
        scene: The cookbook's name.
        classes: What the cookbook labels.
        variables: What the cookbook varies, and the values that it draws.
    """
    yield from _frame_problems(bank, scene)
    earlier: dict[str, _Question] = {}
    for question in _questions(bank):
        if question.id in earlier:
            line = bank.line(*earlier[question.id].place, "id")
            yield question.problem("id", f"this id is taken in line {line}", "a name of its own", "rename it")
        yield from _option_problems(question)
        yield from _source_problems(question, classes, variables)
        yield from _condition_problems(question, earlier)
        earlier.setdefault(question.id, question)


def _questions(bank: Document) -> Iterator[_Question]:
    """Yield the questions that have an id and options; the schema says what others lack."""
    listed = bank.at("questions")
    for index, raw in enumerate(listed if isinstance(listed, list) else ()):
        options = raw.get("options") if isinstance(raw, dict) else None
        if isinstance(options, list) and all(isinstance(o, str) for o in options) and "id" in raw:
            yield _Question(bank, ("questions", index), raw)


def _frame_problems(bank: Document, scene: str) -> Iterator[Problem]:
    named, listed = bank.at("scene"), bank.at("questions")
    if isinstance(bank.value, dict) and named != scene:
        what = f"the bank is of the scene {named!r}"
        yield bank.problem(("scene",), what, expected=repr(scene), remedy="put the cookbook's name there")
    count = len(listed) if isinstance(listed, list) else 0
    if count < FEWEST_QUESTIONS:
        yield bank.problem(
            ("questions",),
            f"the bank has {count} question(s)",
            expected=f"{FEWEST_QUESTIONS} or more",
            remedy="ask what sets your scene apart",
            severity="warning",
        )


def _option_problems(question: _Question) -> Iterator[Problem]:
    options = question.options
    twice = sorted({option for option in options if options.count(option) > 1})
    if twice:
        yield question.problem("options", f"the option {twice[0]!r} is there twice", "each option once")
    if len(options) < 2:  # noqa: PLR2004 - a choice is between two
        yield question.problem("options", f"{len(options)} option leaves no choice", "two options or more")
    if question.raw.get("type") == "boolean" and options != _YES_NO:
        yield question.problem(
            "options", f"a boolean question has the options {options}", "yes, no, in this order"
        )
    if "?" not in str(question.raw.get("question")):
        yield question.problem("question", "this asks nothing", "a sentence with a question mark")
    by_a_moment = question.aggregate == "any" and question.raw.get("type", "single") == "single"
    if by_a_moment and question.source == _VLM and options[-1:] != [_WAY_OUT]:
        yield question.problem(
            "options",
            "one window may decide, and windows that show nothing of it have no way out",
            f"{_WAY_OUT!r} as the last option",
            "add it, or aggregate by majority",
            severity="warning",
        )


def _source_problems(
    question: _Question, classes: Sequence[str], variables: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    source = question.source
    if source.startswith(_COUNT):
        yield from _count_problems(question, source.removeprefix(_COUNT).replace("_", " "), classes)
    elif source in MEASURED:
        known = VOCABULARY[source]
        for option in question.options:
            if option not in known:
                what = f"{option!r} can't be measured{nearest(option, known)}"
                yield question.problem("options", what, f"values of {source}: {', '.join(known)}")
        for value in variables.get(source, ()):
            if value not in question.options:
                what = f"the cookbook draws {source}: {value}, and no option says so"
                yield question.problem("options", what, remedy=f"add {value!r}")
    elif source != _VLM:
        known = (_VLM, *MEASURED, f"{_COUNT}<class>")
        what = f"nobody answers for the source {source!r}{nearest(source, known)}"
        yield question.problem("source", what, f"one of {', '.join(known)}", "choose one of these")


def _count_problems(question: _Question, counted: str, classes: Sequence[str]) -> Iterator[Problem]:
    labelled = [name.replace("_", " ") for name in classes]
    if counted not in labelled:
        what = f"{counted!r} is counted but not labelled{nearest(counted, labelled)}"
        remedy = "correct it, or add it to detection.classes"
        yield question.problem("source", what, f"one of {', '.join(labelled)}", remedy)
    if question.aggregate != "any":
        what = "a count is over the whole clip and has no windows to vote"
        yield question.problem("aggregate", what, "any", "change it")
    if question.raw.get("type", "single") != "single":
        yield question.problem("type", "a count has one answer", "single", "change it")
    if not _covers_every_number(question.options):
        yield question.problem(
            "options",
            f"{', '.join(question.options)} leave a number out or hold it twice",
            "N, N-M and a last N+, from 0 on without gap",
            "mend the ranges",
        )


def _covers_every_number(options: Sequence[str]) -> bool:
    following, ended = 0, False
    for option in options:
        found = _COUNTED.fullmatch(option)
        if found is None or ended or int(found[1]) != following:
            return False
        last = int(found[2] or found[1])
        if last < following:
            return False
        following, ended = last + 1, bool(found[3])
    return ended


def _condition_problems(question: _Question, earlier: Mapping[str, _Question]) -> Iterator[Problem]:
    condition = question.raw.get("include_if")
    if not isinstance(condition, dict) or not isinstance(condition.get("in"), list):
        return
    asked, answers = condition.get("question"), condition["in"]
    if asked not in earlier:
        what = f"it depends on {asked!r}, which is no earlier question{nearest(str(asked), earlier)}"
        yield question.problem("include_if", what, "the id of a question above", "correct it or move it down")
        return
    options = earlier[str(asked)].options
    for answer in answers:
        if answer not in options:
            what = f"it waits for {answer!r}, no option of {asked}{nearest(str(answer), options)}"
            yield question.problem("include_if", what, f"one of {', '.join(options)}", "correct it")
    if set(answers) >= set(options):
        what = f"it waits for any answer of {asked}, which is no condition"
        yield question.problem(
            "include_if", what, remedy="leave some out, or take include_if out", severity="warning"
        )
