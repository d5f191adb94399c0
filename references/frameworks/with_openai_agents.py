"""The tools in an agent of the OpenAI Agents SDK, with strict schemas.

python with_openai_agents.py MODEL "Make a rainy variant of clip.mp4"
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from agents import Agent, FunctionTool, Model, Runner

import skill_tools
from skill_tools.schema_views import from_strict, openai_strict
from skill_tools.settings import own_skill_dir

SKILL = own_skill_dir().joinpath("SKILL.md").read_text(encoding="utf-8")
MAX_TURNS = 40


def tool(name: str) -> FunctionTool:
    """Return a tool of the skill as one of the SDK's; a strict model's nulls and pairs are turned back."""
    ours = skill_tools.TOOLS[name]
    about = openai_strict(ours)["function"]

    async def call(_context: Any, arguments: str) -> str:
        given = from_strict(ours, json.loads(arguments))
        result = await asyncio.to_thread(skill_tools.call, name, given)
        return result.model_dump_json()

    return FunctionTool(name, about["description"], about["parameters"], call)


def agent(model: Model | str) -> Agent[None]:
    """Return an agent that knows the skill and has its tools."""
    tools = [tool(name) for name in skill_tools.TOOLS]
    return Agent("Video data augmentation", instructions=SKILL, model=model, tools=[*tools])


if __name__ == "__main__":
    print(Runner.run_sync(agent(sys.argv[1]), sys.argv[2], max_turns=MAX_TURNS).final_output)
