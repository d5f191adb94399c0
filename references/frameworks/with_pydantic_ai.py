"""The tools in a pydantic-ai agent.

python with_pydantic_ai.py MODEL "Make a rainy variant of clip.mp4"      MODEL as in openai:gpt-5 …
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic_ai import Agent, Tool
from pydantic_ai.models import Model

import skill_tools
from skill_tools.schema_views import openai
from skill_tools.settings import own_skill_dir

SKILL = own_skill_dir().joinpath("SKILL.md").read_text(encoding="utf-8")


def tool(name: str) -> Tool[None]:
    """Return a tool of the skill as one of pydantic-ai's, with its own schema."""

    def call(**arguments: Any) -> dict[str, Any]:
        return skill_tools.call(name, arguments).model_dump(mode="json")

    about = openai(skill_tools.TOOLS[name])["function"]
    return Tool.from_schema(
        call, name=name, description=about["description"], json_schema=about["parameters"], sequential=True
    )


def agent(model: Model | str) -> Agent[None, str]:
    """Return an agent that knows the skill and has its tools."""
    return Agent(model, instructions=SKILL, tools=[tool(name) for name in skill_tools.TOOLS])


if __name__ == "__main__":
    print(agent(sys.argv[1]).run_sync(sys.argv[2]).output)
