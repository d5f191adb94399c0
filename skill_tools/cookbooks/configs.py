"""What the three YAML files of a cookbook have to agree on, beyond their form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from skill_tools.cookbooks.document import Document
from skill_tools.cookbooks.files import AUGMENTATION
from skill_tools.cookbooks.problem import Problem

WEIGHT_TOLERANCE = 1e-6
"""How far the weights of a variable may be from summing to 1."""


def weight_problems(workflow_config: Document) -> Iterator[Problem]:
    """Yield each variable whose weights are no distribution, and each value that is never drawn."""
    variables = workflow_config.at("augmentation", "variables")
    for name, weights in variables.items() if isinstance(variables, dict) else ():
        place = ("augmentation", "variables", name)
        if not isinstance(weights, dict) or not weights:
            continue
        numbers = [weight for weight in weights.values() if isinstance(weight, int | float)]
        if len(numbers) == len(weights) and not abs(sum(numbers) - 1) <= WEIGHT_TOLERANCE:
            what = f"the weights of {name} sum to {sum(numbers):g}"
            yield workflow_config.problem(place, what, expected="1", remedy="change one of them")
        for value in (value for value, weight in weights.items() if weight == 0):
            what = f"{name}: {value} has the weight 0 and is never drawn"
            yield workflow_config.problem(
                (*place, value), what, remedy="give it weight or take it out", severity="warning"
            )


def prompt_path_problems(augmentation: Document, directory: Path) -> Iterator[Problem]:
    """Yield each prompt that is named but not there, or that a task would not get."""
    prompts = augmentation.at("prompts")
    for name, path in prompts.items() if isinstance(prompts, dict) else ():
        if not isinstance(path, str) or not path:
            continue
        inside = PurePosixPath(AUGMENTATION).parent / path
        if inside.is_absolute() or ".." in inside.parts or not (directory / inside).is_file():
            yield augmentation.problem(
                ("prompts", name),
                f"prompts.{name} names {path}, which is not in the cookbook",
                expected="a path from this file's own folder",
                remedy="correct the path or add the file",
            )
