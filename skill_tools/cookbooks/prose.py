"""Whether prompts and guide say what their readers, models and people, need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skill_tools.cookbooks.document import Document, embedded_json
from skill_tools.cookbooks.files import POLISHING_PROMPT, TEMPLATE_PROMPT
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.vocabulary import CATEGORIES, VOCABULARY, nearest

GUIDE_SECTIONS = ("Camera and scene", "What varies, and why", "Warnings", "Risk if wrong", "How to adapt")
EVENT_KEYS = frozenset(
    {"event_id", "start_time", "end_time", "category", "sub_category", "instances", "event_caption"}
)

_SLOT = re.compile(r"\[([a-z_]+)\]")
_TEMPLATE_MARKER = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Prose:
    """A text of a cookbook."""

    file: str
    text: str

    def problem(self, at: int, what: str, **how: Any) -> Problem:
        """Return a problem at an offset into the text."""
        return Problem(self.file, self.text.count("\n", 0, at) + 1, what, **how)


def marker_problems(prose: Prose) -> Iterator[Problem]:
    """Yield every place that the template engine on the way to OSMO would take for a command."""
    for found in _TEMPLATE_MARKER.finditer(prose.text):
        yield prose.problem(
            found.start(),
            f"{found[0]} is a command of the template engine that the file passes on its way",
            expected="no brace followed by a brace, % or #",
            remedy="put a space or a line break between the two",
        )


def empty_problem(prose: Prose) -> Iterator[Problem]:
    """Yield a prompt that says nothing."""
    if not prose.text.strip():
        yield prose.problem(0, "the prompt is empty", remedy="write it; `vda cookbook new` shows how")


def slot_problems(prompts: Mapping[str, Prose], variables: Sequence[str]) -> Iterator[Problem]:
    """Yield slots that one prompt writes and the other doesn't fill, and variables without a slot."""
    slots = {
        file: {found[1]: found.start() for found in _SLOT.finditer(p.text)} for file, p in prompts.items()
    }
    for file, other in ((TEMPLATE_PROMPT, POLISHING_PROMPT), (POLISHING_PROMPT, TEMPLATE_PROMPT)):
        for name, at in slots[file].items():
            if name not in VOCABULARY:
                what = f"the slot [{name}] is no variable{nearest(name, VOCABULARY)}"
                yield prompts[file].problem(at, what, expected=f"one of {', '.join(VOCABULARY)}")
            elif name not in slots[other]:
                what = f"the slot [{name}] is not in {other}"
                yield prompts[file].problem(
                    at, what, expected="the same slots in both", remedy="add it there"
                )
        for name in variables:
            if name not in slots[file]:
                what = f"the cookbook varies {name}, and no slot [{name}] is here"
                yield prompts[file].problem(0, what, remedy=f"say where [{name}] goes")


def event_problems(prompt: Prose, scene: str) -> Iterator[Problem]:
    """Yield where the event prompt's example isn't what label files take, or isn't explained."""
    examples: list[Document] = []
    prose, passed = "", 0
    for found in re.finditer(r"^\{", prompt.text, re.MULTILINE):
        if found.start() < passed:
            continue
        try:
            example, end = embedded_json(prompt.file, prompt.text, found.start())
        except json.JSONDecodeError as error:
            yield prompt.problem(error.pos, f"the example is no JSON: {error.msg}", remedy="correct the line")
            continue
        examples.append(example)
        prose, passed = prose + prompt.text[passed : found.start()], end
    prose += prompt.text[passed:]
    for category in CATEGORIES:
        if category not in prose:
            what = f"the category {category} is not explained"
            yield prompt.problem(0, what, remedy="say what belongs to it", severity="warning")
    if len(examples) != 2:  # noqa: PLR2004 - metadata, then the log
        what = f"the example has {len(examples)} JSON object(s), each beginning a line"
        yield prompt.problem(0, what, expected="two: the clip, then its events", remedy="show both")
        return
    metadata, log = examples
    if metadata.at("scene") != scene:
        what = f"the example is of the scene {metadata.at('scene')!r}"
        remedy = "put the cookbook's name there"
        yield metadata.problem(("scene",), what, expected=repr(scene), remedy=remedy)
    yield from _log_problems(log, prose)


def _log_problems(log: Document, prose: str) -> Iterator[Problem]:
    events = log.at("events")
    if set(log.value) != {"version", "events"} or not isinstance(events, list) or not events:
        what = f"the second object has the keys {', '.join(log.value)}"
        yield log.problem((), what, expected="version and events, a list with one at least")
        return
    for index, event in enumerate(events):
        if isinstance(event, dict):
            yield from _event_problems(log, index, event, prose)


def _event_problems(log: Document, index: int, event: Mapping[str, Any], prose: str) -> Iterator[Problem]:
    place, which = ("events", index), f"event {index + 1}"
    for key in sorted(EVENT_KEYS - event.keys()):
        yield log.problem(place, f"{which} has no {key}", remedy="add it")
    for key in sorted(event.keys() - EVENT_KEYS):
        what = f"{which} has the key {key}{nearest(key, EVENT_KEYS)}"
        yield log.problem((*place, key), what, expected=", ".join(sorted(EVENT_KEYS)))
    if event.get("event_id") != index + 1:
        what = f"{which} has the id {event.get('event_id')!r}"
        yield log.problem((*place, "event_id"), what, expected=str(index + 1))
    start, end = event.get("start_time"), event.get("end_time")
    if not (isinstance(start, int | float) and isinstance(end, int | float) and start < end):
        what = f"{which} lasts from {start} to {end}"
        yield log.problem((*place, "end_time"), what, expected="seconds, start before end")
    if event.get("category") not in CATEGORIES:
        what = f"{which} has the category {event.get('category')!r}"
        yield log.problem((*place, "category"), what, expected=f"one of {', '.join(CATEGORIES)}")
    named = event.get("sub_category")
    for name in named if isinstance(named, list) else ():
        if f"`{name}`" not in prose:
            what = f"the sub-category {name} of {which} is not explained"
            expected = f"`{name}` in the text"
            yield log.problem((*place, "sub_category"), what, expected=expected, severity="warning")


def guide_problems(guide: Prose, variables: Mapping[str, Mapping[str, float]]) -> Iterator[Problem]:
    """Yield what the README doesn't say, or says otherwise than the configuration."""
    for heading in GUIDE_SECTIONS:
        found = re.search(rf"^## {re.escape(heading)}\n+(?!#)\S", guide.text, re.MULTILINE)
        if not found:
            what = f"the section “{heading}” is missing or empty"
            yield guide.problem(0, what, remedy=f"add it: ## {heading}", severity="warning")
    for name, weights in variables.items():
        row = re.search(rf"^\| `{name}` \|.*$", guide.text, re.MULTILINE)
        if row is None:
            what = f"no row explains the variable {name}"
            remedy = f"add one: | `{name}` | weights | reason |"
            yield guide.problem(0, what, remedy=remedy, severity="warning")
            continue
        for value, weight in weights.items():
            stated = f"{value} {weight:.2f}".replace("0.", ".")
            if stated not in row[0]:
                what = f"the row of {name} doesn't say {stated!r}, which the configuration says"
                yield guide.problem(row.start(), what, remedy="make them agree", severity="warning")
