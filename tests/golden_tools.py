"""Write what callers see of the tools, and of the policy's decisions: `python -m tests.golden_tools`."""

from __future__ import annotations

import json
from pathlib import Path

from skill_tools.registry import TOOLS
from skill_tools.schema_views import VIEWS
from tests.policy import examples

GOLDEN = Path(__file__).parent / "golden" / "tools"

if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, view in VIEWS.items():
        document = json.dumps([view(tool) for tool in TOOLS.values()], indent=1, ensure_ascii=False)
        GOLDEN.joinpath(f"{name}.json").write_text(document + "\n", encoding="utf-8")
    examples.GOLDEN.write_text(examples.golden(), encoding="utf-8")
