"""Count the mutants of the policy that its tests have killed: `make mutation`.

mutmut mutates what stands inside functions, each text there included. Tables and patterns at the heads of
modules it leaves alone, and f-strings but for what stands in their braces.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from mutmut.stats import status_by_exit_code

MUTANTS = Path(__file__).resolve().parents[1] / "mutants" / "skill_tools" / "policy"
WANTED = 0.95


def main() -> int:
    """Print the survivors and, by module and in all, how many were killed."""
    by_module: dict[str, Counter[str]] = {}
    for file in sorted(MUTANTS.glob("*.py.meta")):
        codes = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        states = {name: status_by_exit_code[code] for name, code in codes.items()}
        by_module[file.name.removesuffix(".py.meta")] = Counter(states.values())
        for name, state in states.items():
            if state != "killed":
                print(f"{state}: {name}")
    for module, counts in by_module.items():
        print(f"{module:12} {dict(counts)}")
    everything = sum(by_module.values(), Counter[str]())
    killed = everything["killed"] / max(1, everything.total())
    print(f"{killed:.1%} of {everything.total()} mutants killed, wanted {WANTED:.0%}: {dict(everything)}")
    return 0 if killed >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
