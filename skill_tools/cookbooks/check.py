"""Look a cookbook over: everything that is wrong with it at once, each with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from skill_tools.cookbooks.configs import prompt_path_problems, weight_problems
from skill_tools.cookbooks.document import Document, read_document, read_text
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
from skill_tools.cookbooks.problem import Problem
from skill_tools.cookbooks.prose import (
    Prose,
    empty_problem,
    event_problems,
    guide_problems,
    marker_problems,
    slot_problems,
)
from skill_tools.cookbooks.questions import question_problems
from skill_tools.cookbooks.schemas import departures
from skill_tools.cookbooks.vocabulary import VOCABULARY


def check(directory: Path, schemas_dir: Path) -> tuple[Problem, ...]:
    """Return all problems of a cookbook, by file and line; none for one that can be used.

    Args:
        directory: The cookbook's folder; its name is the scene's.
        schemas_dir: The skill's folder of schemas.
    """
    problems = [*_strangers(directory)]
    documents: dict[str, Document] = {}
    for file in (WORKFLOW_CONFIG, AUGMENTATION, LABELING, QUESTION_BANK):
        document, found = read_document(directory, file)
        problems += found
        if document is not None:
            documents[file] = document
            problems += departures(document, schemas_dir)
    texts: dict[str, Prose] = {}
    for file in (*SENT_FILES, GUIDE):
        text = read_text(directory, file)
        if isinstance(text, str):
            texts[file] = Prose(file, text)
        else:
            problems.append(replace(text, severity="warning") if file == GUIDE else text)
    problems += _beyond_form(directory, documents, texts)
    return tuple(sorted(set(problems)))


def _strangers(directory: Path) -> Iterator[Problem]:
    """Yield the files that nobody reads."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in {*SENT_FILES, GUIDE}:
            yield Problem(name, 1, "nobody reads this file", remedy="take it out", severity="warning")


def _beyond_form(
    directory: Path, documents: Mapping[str, Document], texts: Mapping[str, Prose]
) -> Iterator[Problem]:
    """Yield what is wrong between things: weights, names, conditions, text and configuration."""
    variables = _drawn(documents.get(WORKFLOW_CONFIG))
    for file, prose in texts.items():
        if file in SENT_FILES:
            yield from marker_problems(prose)
        if file.endswith(".md"):
            yield from empty_problem(prose)
    if WORKFLOW_CONFIG in documents:
        yield from weight_problems(documents[WORKFLOW_CONFIG])
    if AUGMENTATION in documents:
        yield from prompt_path_problems(documents[AUGMENTATION], directory)
    if QUESTION_BANK in documents:
        classes = documents[LABELING].at("detection", "classes") if LABELING in documents else None
        yield from question_problems(
            documents[QUESTION_BANK],
            scene=directory.name,
            classes=[str(name) for name in classes] if isinstance(classes, list) else [],
            variables={name: [*weights] for name, weights in variables.items()},
        )
    if {TEMPLATE_PROMPT, POLISHING_PROMPT} <= texts.keys():
        yield from slot_problems(texts, list(variables))
    if EVENT_PROMPT in texts:
        yield from event_problems(texts[EVENT_PROMPT], directory.name)
    if GUIDE in texts:
        yield from guide_problems(texts[GUIDE], variables)


def _drawn(workflow_config: Document | None) -> dict[str, dict[str, float]]:
    """Return what is varied with the weights of its values, as far as both are what they should be."""
    variables = workflow_config.at("augmentation", "variables") if workflow_config else None
    return {
        name: {
            value: weight
            for value, weight in weights.items()
            if value in VOCABULARY[name] and isinstance(weight, int | float)
        }
        for name, weights in (variables.items() if isinstance(variables, dict) else ())
        if name in VOCABULARY and isinstance(weights, dict)
    }
