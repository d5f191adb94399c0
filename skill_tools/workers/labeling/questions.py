"""The question bank: what is asked of a clip, in which order, and under which conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skill_tools.errors import InputError
from skill_tools.workers.labeling.classes import class_index, nearest
from skill_tools.workers.labeling.judge import RULES

VLM = "vlm"
COUNT_PREFIX = "count:"

Text = Annotated[str, Field(min_length=1, max_length=500)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Condition(_Closed):
    """Ask only if another question got one of these answers."""

    question: str
    answers: Annotated[tuple[Text, ...], Field(alias="in", min_length=1)]


class Question(_Closed):
    """One question with its options."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
    question: Text
    options: Annotated[tuple[Text, ...], Field(min_length=1, max_length=40)]
    type: Literal["single", "multi", "boolean"] = "single"
    source: str = VLM
    aggregate: Literal["any", "majority"] = "majority"
    include_if: Condition | None = None

    @property
    def counted_class(self) -> int | None:
        """The class index that is counted, for a `count:<class>` question."""
        if not self.source.startswith(COUNT_PREFIX):
            return None
        return class_index(self.source.removeprefix(COUNT_PREFIX))


class QuestionBank(_Closed):
    """All questions of a scene."""

    version: str = "1.0"
    scene: str = ""
    questions: tuple[Question, ...] = ()

    def in_order(self) -> tuple[tuple[Question, ...], ...]:
        """Give the questions in rounds: each depends at most on questions of earlier rounds."""
        by_id = {question.id: question for question in self.questions}
        rounds: list[list[Question]] = []
        for question in self.questions:
            depth = _depth(question, by_id)
            rounds += [[] for _ in range(depth + 1 - len(rounds))]
            rounds[depth].append(question)
        return tuple(tuple(one) for one in rounds)


def load_bank(path: str) -> QuestionBank:
    """Read the question bank at `path`; an empty path is an empty bank.

    Raises:
        InputError: it can't be read, isn't a bank, or refers to something that doesn't exist.
    """
    if not path:
        return QuestionBank()
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        bank = QuestionBank.model_validate(document)
    except OSError as problem:
        raise _bad(path, f"can't be read: {problem.strerror}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _bad(path, f"{where or 'the document'}: {first['msg']}") from None
    except ValueError as problem:
        raise _bad(path, f"isn't JSON: {problem}") from problem
    _check_references(path, bank)
    return bank


def _check_references(path: str, bank: QuestionBank) -> None:
    by_id: dict[str, Question] = {}
    for question in bank.questions:
        if question.id in by_id:
            raise _bad(path, f"two questions have the id {question.id!r}")
        by_id[question.id] = question
        _check_source(path, question)
    for question in bank.questions:
        _check_condition(path, question, by_id)
        _depth(question, by_id, path=path)


def _check_source(path: str, question: Question) -> None:
    if question.source == VLM or question.source in RULES or question.counted_class is not None:
        return
    hint = nearest(question.source, (VLM, *RULES, f"{COUNT_PREFIX}<class>"))
    raise _bad(path, f"question {question.id!r} has the unknown source {question.source!r}", remedy=hint)


def _check_condition(path: str, question: Question, by_id: dict[str, Question]) -> None:
    condition = question.include_if
    if condition is None:
        return
    if condition.question not in by_id:
        message = f"question {question.id!r} depends on {condition.question!r}, which isn't there"
        raise _bad(path, message, remedy=nearest(condition.question, by_id))
    options = by_id[condition.question].options
    for answer in condition.answers:
        if answer not in options:
            message = f"question {question.id!r} waits for {answer!r}, no option of {condition.question!r}"
            raise _bad(path, message, remedy=nearest(answer, options))


def _depth(question: Question, by_id: dict[str, Question], path: str = "") -> int:
    """Count how many questions have to be answered before this one."""
    seen = [question.id]
    while question.include_if is not None:
        question = by_id[question.include_if.question]
        if question.id in seen:
            raise _bad(path, f"the conditions run in a circle: {' → '.join([*seen, question.id])}")
        seen.append(question.id)
    return len(seen) - 1


def _bad(path: str, why: str, remedy: str = "correct the bank") -> InputError:
    return InputError(
        f"The question bank {path}: {why}",
        expected='{"version", "scene", "questions": [{"id", "question", "options", "type", "source", …}]}',
        remedy=remedy,
        code="input.question_bank",
    )


_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false", "none", "nobody", "zero"})
_MANY = 10**9
_SPOKEN_RANGES: tuple[tuple[re.Pattern[str], Callable[[int, int], range]], ...] = (
    (re.compile(r"(\d+)\s*(?:-|\u2013|to)\s*(\d+)"), lambda low, high: range(low, high + 1)),
    (re.compile(r"(\d+)\s*(?:\+|or more|and more|and above)"), lambda low, _: range(low, _MANY)),
    (re.compile(r"(?:at least|\u2265|>=)\s*(\d+)"), lambda low, _: range(low, _MANY)),
    (re.compile(r"(?:more than|over|above|>)\s*(\d+)"), lambda low, _: range(low + 1, _MANY)),
    (re.compile(r"(?:fewer than|less than|under|below|<)\s*(\d+)"), lambda high, _: range(high)),
    (re.compile(r"(\d+)"), lambda number, _: range(number, number + 1)),
)


def option_for_count(count: int, options: Sequence[str]) -> str | None:
    """Give the option whose words name `count`: `0`, `none`, `1-5`, `6+`, `more than 10`, `yes`/`no`."""
    return next((option for option in options if count in _named_counts(option.strip().lower())), None)


def _named_counts(words: str) -> range:
    if words in _YES:
        return range(1, _MANY)
    if words in _NO:
        return range(1)
    for spoken, counts in _SPOKEN_RANGES:
        if found := spoken.search(words):
            numbers = [int(number) for number in found.groups()]
            return counts(numbers[0], numbers[-1])
    return range(0)
