"""The house stands on its floors: imports point down, never up and never in circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "skill_tools"

# From the ground up; a room may use what stands on lower floors, and on its own floor what NEIGHBOURS says.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "ending"}),
    frozenset({"settings", "tool", "storage"}),
    frozenset({"media", "flows", "cookbooks", "access", "journal", "engines"}),
    frozenset({"policy"}),
    frozenset({"tools"}),
    frozenset({"registry"}),
    frozenset({"dispatch", "walk", "replay", "schema", "doctor", "terminal", "install"}),
    frozenset({"schema_views"}),
    frozenset({"mcp_server"}),
    frozenset({"commands"}),
    frozenset({"cli"}),
    frozenset({"pages"}),
)
NEIGHBOURS: dict[str, frozenset[str]] = {
    "engines": frozenset({"flows"}),
    "media": frozenset(),
    "flows": frozenset(),
    "cookbooks": frozenset(),
    "access": frozenset(),
    "journal": frozenset(),
}
APART = "workers"
APART_MAY_USE = frozenset({"media", "errors", "ending", "workers"})
FACE = "__init__"


def room_of(module: str) -> str:
    """Return the room of a module: what stands first below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else FACE


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module's dotted name and its tree."""
    for file in sorted(PACKAGE.rglob("*.py")):
        dotted = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield dotted.removesuffix(".__init__"), ast.parse(file.read_text(encoding="utf-8"))


def imports_of(module: str, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield what a module imports from the package, and whether it does so as it is loaded."""
    later = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _only_for_types(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        at_load = id(node) not in later
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _is_module(name) else str(node.module) for name in below]
        else:
            continue
        yield from ((name, at_load) for name in names if name.split(".")[0] == PACKAGE.name)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_module(dotted: str) -> bool:
    path = PACKAGE.parent.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def floor_of(room: str) -> int:
    """Return the floor that a room stands on."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_stands_on_a_floor() -> None:
    """A new room is given its floor here before it is used."""
    rooms = {room_of(name) for name, _ in modules()}
    assert rooms - {FACE, APART} <= frozenset().union(*FLOORS)


def test_imports_point_down() -> None:
    """A module uses lower floors, its own room, and the neighbours that its room was given."""
    wrong = []
    for module, tree in modules():
        room = room_of(module)
        if room in {FACE, APART}:
            continue
        for target, _ in imports_of(module, tree):
            other = room_of(target)
            fine = other in {room, FACE} or other in NEIGHBOURS.get(room, frozenset())
            if not fine and (other == APART or floor_of(other) >= floor_of(room)):
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_the_workers_stand_apart() -> None:
    """They use media, errors and themselves; no other room imports them."""
    for module, tree in modules():
        for target, _ in imports_of(module, tree):
            if room_of(module) == APART:
                assert room_of(target) in APART_MAY_USE, f"{module} imports {target}"
            else:
                assert room_of(target) != APART, f"{module} imports {target}"


def test_media_uses_nothing_but_errors() -> None:
    """What workers may use must not bring the rest of the house along."""
    for module, tree in modules():
        if room_of(module) == "media":
            assert {room_of(target) for target, _ in imports_of(module, tree)} <= {"media", "errors"}, module


def test_nothing_goes_in_circles() -> None:
    """No module, directly or over others, needs itself to be loaded."""
    graph = {
        module: {target for target, at_load in imports_of(module, tree) if at_load}
        for module, tree in modules()
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            pytest.fail("a circle: " + " → ".join([*way[way.index(module) :], module]))
        if module in done:
            return
        for target in sorted(graph.get(module, ())):
            visit(target, (*way, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_every_module_says_in_one_line_what_it_is_for() -> None:
    """The first line of a module is a docstring that ends as a sentence does."""
    for module, tree in modules():
        if tree.body:
            first = (ast.get_docstring(tree) or "").split("\n")[0]
            assert first.endswith((".", "!", "?", ":")), module
