"""Count what the skill costs an agent in tokens: `python tests/bench/tokens.py [--write]`.

Counted with the vocabulary o200k_base, which ships inside the package `bpe-openai`; other models' own
vocabularies give figures that differ by some per cent. `--write` writes references/token-cost.md anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from skill_tools.registry import TOOLS
from skill_tools.schema_views import VIEWS
from skill_tools.tool import ToolResult
from tests.tools.workspace_bench import REPOSITORY, Workspace

VOCABULARY = "o200k_base"
PAGE = REPOSITORY / "references" / "token-cost.md"
MAX_CALLS = 20
HOME, RUN_ID = "/home/you", "run-1a2b3c4d"

HEAD = f"""\
# Token cost

What the skill costs an agent, in tokens. Written by `python tests/bench/tokens.py --write`, counted with the
vocabulary `{VOCABULARY}` of the package `bpe-openai`; another model's own vocabulary differs by some
per cent. JSON is counted as it is sent, without spaces.
"""
RUN = """
A default run of one small clip on this machine, in a new workspace, by the results that come back:
"""
FOOT = """
Over MCP a result is sent twice, as the protocol asks: as text and as structured content. A host need
hand only one of them to the model. Output schemas are a part of MCP's list alone, for the host to check
results by.
"""


@cache
def _encoding() -> Any:
    with warnings.catch_warnings():
        # The package reads its vocabulary, as it is imported, in a way that Python 3.11 calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai
    return bpe_openai.get_encoding(VOCABULARY)


def tokens(text: str) -> int:
    """Return how many tokens a text has."""
    return len(_encoding().encode(text))


def compact(value: object) -> str:
    """Return a value as JSON the way it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def standing() -> dict[str, int]:
    """Return what is paid once: the page that an agent reads, and the list of tools in each format."""
    skill = tokens((REPOSITORY / "SKILL.md").read_text(encoding="utf-8"))
    lists = {name: [view(tool) for tool in TOOLS.values()] for name, view in VIEWS.items()}
    bare = [{key: part for key, part in entry.items() if key != "outputSchema"} for entry in lists["mcp"]]
    return {
        "SKILL.md": skill,
        **{f"{len(TOOLS)} tools, `{name}`": tokens(compact(entries)) for name, entries in lists.items()},
        f"{len(TOOLS)} tools, `mcp` without output schemas": tokens(compact(bare)),
    }


def step_by_step(workspace: Workspace, clip: str) -> Iterator[ToolResult]:
    """Do a default run by following `next`."""
    result = workspace.call("select_flow", clips=[clip], engine="local")
    yield result
    for _ in range(MAX_CALLS):
        if not result.next:
            return
        result = workspace.follow(result.next[0])
        yield result


def of_a_run(folder: Path) -> tuple[list[tuple[str, int]], int]:
    """Return what each result of a default run costs, step by step, and what the one result of `run` does."""
    workspace, other = Workspace(folder / "steps"), Workspace(folder / "run")
    clip = workspace.clip()
    steps = [(one.tool, cost(one, folder)) for one in step_by_step(workspace, clip)]
    return steps, cost(other.call("run", clips=[clip], engine="local"), folder)


def cost(result: ToolResult, folder: Path) -> int:
    """Return what a result costs, with a folder and a run id that are the same each time.

    Raises:
        RuntimeError: it is not a green one, so that nothing typical would be counted.
    """
    if not result.ok:
        raise RuntimeError(f"{result.tool}: {result.problem}")
    text = compact(result.model_dump(mode="json"))
    return tokens(text.replace(str(folder), HOME).replace(str(result.run_id), RUN_ID))


def page(folder: Path) -> str:
    """Return the page with all figures."""
    steps, at_once = of_a_run(folder)
    total = {f"all {len(steps)} calls": sum(each for _, each in steps), "one call of `run`": at_once}
    by_step = {f"{number}. `{tool}`": each for number, (tool, each) in enumerate(steps, start=1)}
    tables = (_table("paid once", standing()), _table("result of", by_step | total))
    return f"{HEAD}\n{tables[0]}{RUN}\n{tables[1]}{FOOT}"


def _table(title: str, rows: Mapping[str, int]) -> str:
    lines = [f"| {name} | {count:,} |\n" for name, count in rows.items()]
    return f"| {title} | tokens |\n|---|---:|\n{''.join(lines)}"


def main(arguments: list[str]) -> None:
    """Print the page, or write it."""
    with tempfile.TemporaryDirectory(prefix="vda-tokens-") as folder:
        text = page(Path(folder))
    if "--write" in arguments:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
