"""Questions of the bank put to the vision-language model, a window at a time, as one request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skill_tools.workers.labeling.answers import Answer, Window
from skill_tools.workers.labeling.frames import FrameSpool
from skill_tools.workers.labeling.model import Model, ModelFailure
from skill_tools.workers.labeling.questions import Question
from skill_tools.workers.labeling.spoken_json import objects_in

MOST_STILLS = 16
"""Pictures in one request, evenly spread over the window: more is refused by common servers."""

_INSTRUCTIONS = (
    "You answer multiple-choice questions about a video from its frames, which are given in order with "
    "their times. Answer only from what the frames show. Use the options' exact words. Reply with one JSON "
    "object that maps each question's id to one option, or to a list of options where several are allowed; "
    "leave a question out if the frames don't answer it. No other text."
)


@dataclass(frozen=True)
class VisualAsker:
    """Asks about the pictures that were sampled."""

    model: Model
    spool: FrameSpool

    def ask(self, questions: Sequence[Question], window: Window) -> Mapping[str, Answer] | str:
        """Give valid answers by question id, or the reason why there are none."""
        stills = self.spool.stills(window.start_s, window.end_s, most=MOST_STILLS)
        if not stills:
            return "no picture was sampled"
        try:
            words = self.model.complete(_INSTRUCTIONS, _request(questions), stills)
        except ModelFailure as failure:
            return str(failure)
        objects = objects_in(words)
        if not objects:
            return "the model's words hold no JSON object"
        given = {key: value for one in objects for key, value in one.items()}
        answers = {question.id: _valid(question, given.get(question.id)) for question in questions}
        return {name: answer for name, answer in answers.items() if answer is not None}


def _request(questions: Sequence[Question]) -> str:
    asked = [
        {
            "id": question.id,
            "question": question.question,
            "options": question.options,
            "several_allowed": question.type == "multi",
        }
        for question in questions
    ]
    return f"Questions:\n{json.dumps(asked, ensure_ascii=False, indent=1)}"


def _valid(question: Question, given: Any) -> Answer | None:
    """Give the answer in the options' own words, or nothing if it isn't among them."""
    if isinstance(given, bool):
        given = "yes" if given else "no"
    by_word = {option.strip().casefold(): option for option in question.options}
    items = given if isinstance(given, list) else [given]
    chosen = [by_word.get(str(item).strip().casefold()) for item in items]
    named = [option for option in dict.fromkeys(chosen) if option is not None]
    if question.type == "multi":
        return [option for option in question.options if option in named] or None
    return named[0] if len(named) == 1 else None
