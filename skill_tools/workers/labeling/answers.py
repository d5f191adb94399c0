"""Answers to the question bank: from labels, from measurement, from a model, or honestly none."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.gauge import Sample, averaged
from skill_tools.workers.labeling.judge import RULES, judge
from skill_tools.workers.labeling.labels import LabelledClip
from skill_tools.workers.labeling.questions import VLM, Question, QuestionBank, option_for_count
from skill_tools.workers.labeling.writers import VERSION

Answer = str | list[str]
Source = Literal["vlm", "measured", "labels"]

_EMPTY_WORDS = ("no ", "none", "nothing", "cannot", "can't", "unknown", "unclear", "not ")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowAnswer(_Closed):
    """The answer in one stretch of the clip; seconds."""

    start_s: float
    end_s: float
    answer: Answer | None
    confidence: float | None = None
    reason: str = ""


class QuestionAnswer(_Closed):
    """One question's fate."""

    id: str
    question: str
    options: tuple[str, ...]
    status: Literal["answered", "not_answered", "skipped"]
    answer: Answer | None = None
    source: Source | None = None
    confidence: float | None = None
    reason: str = ""
    windows: tuple[WindowAnswer, ...] = ()


class McqDocument(_Closed):
    """What mcq.json holds."""

    version: str = VERSION
    video: str
    fps: float
    window_frames: int
    questions: tuple[QuestionAnswer, ...]


@dataclass(frozen=True)
class Window:
    """A stretch of the clip, [start_s, end_s)."""

    start_s: float
    end_s: float


class Asker(Protocol):
    """Asks a model about one window of the clip."""

    def ask(self, questions: Sequence[Question], window: Window) -> Mapping[str, Answer] | str:
        """Give valid answers by question id, or the reason why there are none."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What answers can rest on."""

    labelled: LabelledClip
    windows: Sequence[Window]
    samples: Sequence[Sample]
    asker: Asker | str
    """The model, or the reason why there is none."""


@dataclass(frozen=True)
class _Finding:
    """An answer and what it rests on."""

    answer: Answer
    source: Source
    confidence: float | None
    reason: str
    windows: tuple[WindowAnswer, ...]


def windows_of(duration_s: float, *, fps: float, window_frames: int) -> tuple[Window, ...]:
    """Cut a clip into windows of `window_frames` samples; a rest of less than half joins the last."""
    length_s = window_frames / fps
    count = max(1, int(duration_s / length_s + 0.5))
    edges = [place * length_s for place in range(count)]
    return tuple(Window(start, end) for start, end in zip(edges, [*edges[1:], duration_s], strict=True))


def answer_bank(bank: QuestionBank, evidence: Evidence) -> tuple[QuestionAnswer, ...]:
    """Answer what can be answered, round by round, so that conditions are known when they are needed."""
    answers: dict[str, QuestionAnswer] = {}
    for questions in bank.in_order():
        due = []
        for question in questions:
            excused = _excused(question, answers)
            if excused is not None:
                answers[question.id] = excused
            else:
                due.append(question)
        answers |= _answer_round(due, evidence)
    return tuple(answers[question.id] for question in bank.questions)


def _excused(question: Question, answers: Mapping[str, QuestionAnswer]) -> QuestionAnswer | None:
    """Decide about a conditional question whose condition doesn't hold or isn't known."""
    condition = question.include_if
    if condition is None:
        return None
    before = answers[condition.question]
    if before.status == "not_answered":
        return _unanswered(question, f"depends on {before.id!r}, which is not answered")
    if before.status == "skipped":
        return _unanswered(question, f"depends on {before.id!r}, which is skipped", status="skipped")
    given = _as_set(before.answer or [])
    if given & set(condition.answers):
        return None
    return _unanswered(question, f"{before.id!r} is {', '.join(sorted(given))}", status="skipped")


def _answer_round(questions: Sequence[Question], evidence: Evidence) -> dict[str, QuestionAnswer]:
    """Answer from labels and measurement first; the model gets its own questions and what stays open."""
    answers = {}
    for question in questions:
        if question.counted_class is not None:
            answers[question.id] = _count(question, question.counted_class, evidence)
        elif question.source in RULES:
            answers[question.id] = _measure(question, evidence)
    for_model = [question for question in questions if question.source == VLM]
    if not isinstance(evidence.asker, str):
        open_ones = {name for name, answer in answers.items() if answer.status == "not_answered"}
        for_model += [q for q in questions if q.id in open_ones and q.source in RULES]
    return answers | _ask(for_model, evidence)


def _count(question: Question, class_index: int, evidence: Evidence) -> QuestionAnswer:
    """Answer `count:<class>` with the number of different tracks, per window or in the whole clip."""
    name = CLASS_NAMES[class_index]
    labelled = evidence.labelled
    if class_index not in labelled.classes:
        return _unanswered(question, f"{name} isn't among detection.classes")
    seen: list[set[int]] = [set() for _ in evidence.windows]
    for label in labelled.labels:
        if label.class_index == class_index:
            timestamp_s = labelled.labels.timestamps_s[label.frame]
            seen[_window_at(timestamp_s, evidence.windows)].add(label.track)
    options = [option_for_count(len(tracks), question.options) for tracks in seen]
    windows = tuple(
        _window(window, _as_typed(option, question), reason=f"{len(tracks)} {name} track(s)")
        for window, option, tracks in zip(evidence.windows, options, seen, strict=True)
    )
    total = len(set[int]().union(*seen))
    whole = option_for_count(total, question.options)
    common = _most_common([option for option in options if option is not None], question.options)
    answer = _as_typed(whole if question.aggregate == "any" else common, question)
    if answer is None:
        return _unanswered(question, f"no option names {total} {name} track(s)", windows)
    agreeing = options.count(common) / len(options) if question.aggregate == "majority" else None
    reason = f"{total} different {name} track(s) in the clip"
    return _answered(question, _Finding(answer, "labels", agreeing, reason, windows))


def _measure(question: Question, evidence: Evidence) -> QuestionAnswer:
    """Answer from measured statistics in the windows where exactly one option fits them."""
    windows = []
    for window in evidence.windows:
        seen = averaged(s for s in evidence.samples if window.start_s <= s.timestamp_s < window.end_s)
        if seen is None:
            windows.append(_window(window, None, reason="no picture was sampled"))
            continue
        judgement = judge(question.source, seen)
        fitting = [option for option in question.options if _word(option) in judgement.values]
        if len(fitting) == 1:
            answer = _as_typed(fitting[0], question)
            windows.append(_window(window, answer, confidence=judgement.confidence, reason=judgement.why))
        else:
            doubt = f"{' and '.join(fitting)} fit alike" if fitting else "no option is borne out"
            windows.append(_window(window, None, reason=f"{judgement.why}; {doubt}"))
    return _aggregated(question, windows, "measured")


def _ask(questions: Sequence[Question], evidence: Evidence) -> dict[str, QuestionAnswer]:
    """Ask the model all `questions` at once, window by window."""
    asker = evidence.asker
    if isinstance(asker, str):
        return {question.id: _unanswered(question, asker) for question in questions}
    if not questions:
        return {}
    windows: dict[str, list[WindowAnswer]] = {question.id: [] for question in questions}
    for window in evidence.windows:
        given = asker.ask(questions, window)
        for question in questions:
            answer = None if isinstance(given, str) else given.get(question.id)
            reason = given if isinstance(given, str) else "" if answer else "the model gave no valid option"
            windows[question.id].append(_window(window, answer, reason=reason))
    return {question.id: _aggregated(question, windows[question.id], "vlm") for question in questions}


def _aggregated(question: Question, windows: Sequence[WindowAnswer], source: Source) -> QuestionAnswer:
    """Make one answer of the windows' answers."""
    answered = [window for window in windows if window.answer is not None]
    if not answered:
        reasons = dict.fromkeys(window.reason for window in windows)
        return _unanswered(question, "; ".join(reasons), tuple(windows))
    given = [window.answer for window in answered if window.answer is not None]
    answer, agreeing = _AGGREGATES[question.aggregate](question, given)
    measured = [window.confidence for window in answered if window.confidence is not None]
    confidence = agreeing * (sum(measured) / len(measured) if measured else 1)
    reason = next((window.reason for window in answered if window.answer == answer), "")
    if len(answered) < len(windows):
        reason = f"{reason} ({len(windows) - len(answered)} of {len(windows)} windows not answered)".strip()
    finding = _Finding(answer, source, round(confidence, 2), reason, tuple(windows))
    return _answered(question, finding)


def _any(question: Question, given: Sequence[Answer]) -> tuple[Answer, float]:
    """Let one window suffice: yes for a boolean, the union for several, what is there over what isn't."""
    if question.type == "multi":
        named = set().union(*(_as_set(answer) for answer in given))
        full = [option for option in question.options if option in named and not _is_empty(option)]
        empty = [option for option in question.options if option in named]
        return full or empty, 1.0
    texts = [answer for answer in given if isinstance(answer, str)]
    telling = [text for text in texts if not _is_empty(text)] or texts
    answer = _most_common(telling, question.options) or telling[0]
    return answer, texts.count(answer) / len(texts)


def _majority(question: Question, given: Sequence[Answer]) -> tuple[Answer, float]:
    """Take what most windows say; of several options, each that more than half of them name."""
    if question.type == "multi":
        votes = Counter(option for answer in given for option in _as_set(answer))
        chosen = [option for option in question.options if votes[option] * 2 > len(given)]
        chosen = chosen or [max(question.options, key=lambda option: votes[option])]
        return chosen, min(votes[option] for option in chosen) / len(given)
    texts = [answer for answer in given if isinstance(answer, str)]
    answer = _most_common(texts, question.options) or texts[0]
    return answer, texts.count(answer) / len(texts)


_AGGREGATES: Mapping[str, Callable[[Question, Sequence[Answer]], tuple[Answer, float]]] = {
    "any": _any,
    "majority": _majority,
}


def _most_common(given: Sequence[str], options: Sequence[str]) -> str | None:
    """Give the option named most often, of equals the one that stands first among the options."""
    votes = Counter(given)
    return max(options, key=lambda option: votes[option]) if votes else None


def _is_empty(option: str) -> bool:
    words = option.lower()
    return words in {"no", "false"} or words.startswith(_EMPTY_WORDS)


def _as_set(answer: Answer) -> set[str]:
    return {answer} if isinstance(answer, str) else set(answer)


def _as_typed(option: str | None, question: Question) -> Answer | None:
    return [option] if option is not None and question.type == "multi" else option


def _word(option: str) -> str:
    return option.strip().lower().replace(" ", "_").replace("-", "_")


def _window_at(timestamp_s: float, windows: Sequence[Window]) -> int:
    place = bisect_right(windows, timestamp_s, key=lambda window: window.end_s)
    return min(place, len(windows) - 1)


def _window(
    window: Window, answer: Answer | None, *, confidence: float | None = None, reason: str = ""
) -> WindowAnswer:
    return WindowAnswer(
        start_s=round(window.start_s, 3),
        end_s=round(window.end_s, 3),
        answer=answer,
        confidence=confidence,
        reason=reason,
    )


def _answered(question: Question, finding: _Finding) -> QuestionAnswer:
    return QuestionAnswer(
        id=question.id,
        question=question.question,
        options=question.options,
        status="answered",
        answer=finding.answer,
        source=finding.source,
        confidence=finding.confidence,
        reason=finding.reason,
        windows=finding.windows,
    )


def _unanswered(
    question: Question,
    reason: str,
    windows: tuple[WindowAnswer, ...] = (),
    *,
    status: Literal["not_answered", "skipped"] = "not_answered",
) -> QuestionAnswer:
    return QuestionAnswer(
        id=question.id,
        question=question.question,
        options=question.options,
        status=status,
        reason=reason,
        windows=windows,
    )
