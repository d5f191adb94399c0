"""The tools in a LangChain agent.

python with_langchain.py MODEL "Make a rainy variant of clip.mp4"      MODEL as in anthropic:claude-…
"""

from __future__ import annotations

import sys
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool, StructuredTool

import skill_tools
from skill_tools.schema_views import openai
from skill_tools.settings import own_skill_dir

SKILL = own_skill_dir().joinpath("SKILL.md").read_text(encoding="utf-8")


def tool(name: str) -> BaseTool:
    """Return a tool of the skill as one of LangChain's, with its own schema."""

    def call(**arguments: Any) -> str:
        return skill_tools.call(name, arguments).model_dump_json()

    about = openai(skill_tools.TOOLS[name])["function"]
    return StructuredTool.from_function(
        call, name=name, description=about["description"], args_schema=about["parameters"]
    )


def agent(model: BaseChatModel | str) -> Any:
    """Return an agent, a graph, that knows the skill and has its tools."""
    return create_agent(model, [tool(name) for name in skill_tools.TOOLS], system_prompt=SKILL)


if __name__ == "__main__":
    answer = agent(sys.argv[1]).invoke({"messages": [("user", sys.argv[2])]})
    print(answer["messages"][-1].text)
