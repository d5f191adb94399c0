"""Mutate the policy and count the mutants that its tests kill; `python tests/bench/mutation.py [N] [FILE…]`.

N mutants, spread evenly over all that can be made (0: all of them), each in a process of its own that is
forked from one in which everything is imported. Survivors are printed with their line.
"""

from __future__ import annotations

import ast
import copy
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

POLICY = ROOT / "skill_tools" / "policy"
TESTS = [
    f"tests/policy/test_{name}_rules.py"
    for name in ("message", "result", "watch", "endpoint", "shape", "order", "input", "flow")
]
# What only loads, stores or words the rules is held by other tests.
LEFT_OUT = {"__init__", "clauses", "engine", "snapshot"}
WANTED = 0.95
LONGEST_S = 240
FLIPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


MUTABLE = (ast.Compare, ast.BoolOp, ast.If, ast.Return)


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed."""

    module: str
    line: int
    what: str
    tree: ast.Module


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module's functions: flipped tests, dropped `not`, answers turned to None."""
    whole = ast.parse(file.read_text(encoding="utf-8"))
    count = sum(1 for _ in ast.walk(whole))
    inside = {id(node) for top in whole.body if isinstance(top, ast.FunctionDef) for node in ast.walk(top)}
    for index, original in zip(range(count), ast.walk(whole), strict=True):
        if id(original) not in inside or not isinstance(original, MUTABLE):
            continue
        for variant in range(2):
            tree = copy.deepcopy(whole)
            node = next(node for at, node in enumerate(ast.walk(tree)) if at == index)
            what = _changed(node, variant)
            if what:
                yield Mutant(file.stem, getattr(original, "lineno", 0), what, ast.fix_missing_locations(tree))


def _changed(node: ast.AST, variant: int) -> str:
    """Change a node in place and say what was done, or leave it and say nothing."""
    if isinstance(node, ast.Compare) and variant < len(node.ops) and type(node.ops[variant]) in FLIPPED:
        before = type(node.ops[variant])
        node.ops[variant] = FLIPPED[before]()  # type: ignore[call-overload]
        return f"{before.__name__} -> {FLIPPED[before].__name__}"
    if variant:
        return ""
    if isinstance(node, ast.BoolOp):
        before = type(node.op)
        node.op = FLIPPED[before]()  # type: ignore[assignment]
        return f"{before.__name__} -> {FLIPPED[before].__name__}"
    if isinstance(node, ast.If):
        node.test = ast.UnaryOp(ast.Not(), node.test)
        return "condition turned round"
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
        node.value = ast.Constant(None)
        return "returns nothing"
    return ""


def survives(mutant: Mutant) -> bool:
    """Run the tests on a mutant in a process of its own; True where none of them fails."""
    child = os.fork()
    if child == 0:
        # A mutant that never ends is killed too.
        import signal

        signal.alarm(LONGEST_S)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            _put_in_place(mutant)
            os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *TESTS])))
        except BaseException:  # noqa: BLE001 - a mutant that can't even be loaded is killed
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _put_in_place(mutant: Mutant) -> None:
    """Give a module's functions the mutated code; who imported them has them too."""
    module = import_module(f"skill_tools.policy.{mutant.module}")
    fresh: dict[str, object] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compile(mutant.tree, str(module.__file__), "exec"), fresh)  # noqa: S102 - it is our own source
    for name, value in list(vars(module).items()):
        code = getattr(fresh.get(name), "__code__", None)
        if code is not None and hasattr(value, "__code__") and not value.__code__.co_freevars:
            value.__code__ = code


def main() -> int:
    """Run the mutants, print the survivors and the share that was killed."""
    os.chdir(ROOT)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    import_module("skill_tools.registry")
    files = [POLICY / f"{name}.py" for name in sys.argv[2:]] or sorted(POLICY.glob("*.py"))
    everything = [mutant for file in files if file.stem not in LEFT_OUT for mutant in mutants(file)]
    step = max(1, len(everything) // wanted) if wanted else 1
    chosen = everything[::step]
    begun, alive = time.monotonic(), []
    for mutant in chosen:
        if survives(mutant):
            alive.append(mutant)
            print(f"survived: {mutant.module}.py:{mutant.line} {mutant.what}", flush=True)
    killed = 1 - len(alive) / len(chosen)
    spent = time.monotonic() - begun
    print(f"{killed:.1%} of {len(chosen)} mutants killed, of {len(everything)} in all; {spent:.0f} s")
    return 0 if killed >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
