"""The examples for agent frameworks: each drives a whole run on this machine with a scripted model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from agents import OpenAIChatCompletionsModel, RunConfig, Runner
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from openai import AsyncOpenAI
from pydantic import Field
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from skill_tools.registry import TOOLS
from tests.scripted_model import MODEL, ScriptedEndpoint, follower
from tests.tools.workspace_bench import REPOSITORY, Workspace

FOLDER = REPOSITORY / "references" / "frameworks"
CALLS = ["select_flow", "estimate_time", "prepare_dataset", "submit", "poll", "stage_artifacts", "report"]
MOST_LINES = 60


def example(name: str) -> ModuleType:
    """Load an example as its user does."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def anyio_backend() -> str:
    """Run the agents on asyncio, as their frameworks do."""
    return "asyncio"


@pytest.fixture
def wish(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give what the model calls first, in a process that works in the test's own workspace."""
    monkeypatch.setenv("VDA_WORKSPACE", str(workspace.root))
    return {"clips": [workspace.clip()], "engine": "local", "variables": {"weather": "rain"}}


def assert_complete(words: str, workspace: Workspace) -> None:
    """Look whether the agent's last words show a run that is really there."""
    lines = words.splitlines()
    assert "weather: rain" in words
    (media,) = [line.removeprefix("MEDIA:") for line in lines if line.startswith("MEDIA:")]
    assert Path(media).is_file()
    assert Path(media).is_relative_to(workspace.root)
    assert lines[-1].startswith("Report: ")


@pytest.mark.anyio
async def test_pydantic_ai(workspace: Workspace, wish: dict[str, Any]) -> None:
    """An agent of pydantic-ai walks by `next` over real HTTP to the report."""
    with ScriptedEndpoint(follower("select_flow", **wish)) as endpoint:
        async with AsyncOpenAI(base_url=endpoint.url, api_key="none") as client:
            model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
            answer = await example("with_pydantic_ai").agent(model).run("Make a rainy variant.")
    assert_complete(answer.output, workspace)
    assert list(dict.fromkeys(endpoint.called)) == CALLS
    assert [one["function"]["name"] for one in endpoint.requests[0]["tools"]] == list(TOOLS)


@pytest.mark.anyio
async def test_the_openai_agents_sdk(workspace: Workspace, wish: dict[str, Any]) -> None:
    """An agent of the SDK walks with strict schemas; nulls and pairs come back as the tools' own."""
    module = example("with_openai_agents")
    with ScriptedEndpoint(follower("select_flow", **wish)) as endpoint:
        async with AsyncOpenAI(base_url=endpoint.url, api_key="none") as client:
            agent = module.agent(OpenAIChatCompletionsModel(MODEL, client))
            answer = await Runner.run(
                agent,
                "Make a rainy variant.",
                max_turns=module.MAX_TURNS,
                run_config=RunConfig(tracing_disabled=True),
            )
    assert_complete(answer.final_output, workspace)
    assert list(dict.fromkeys(endpoint.called)) == CALLS
    assert all(one["function"]["strict"] for one in endpoint.requests[0]["tools"])


class ScriptedChat(BaseChatModel):
    """A chat model of LangChain's kind that follows a script, and keeps what it was asked."""

    script: Any
    tools: list[dict[str, Any]] = Field(default_factory=list)
    requests: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return MODEL

    def bind_tools(self, tools: Any, **_: Any) -> BaseChatModel:
        """Keep the tools as a provider would be sent them."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.model_copy(update={"tools": offered})

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        request = {"messages": convert_to_openai_messages(messages), "tools": self.tools}
        self.requests.append(request)
        said = self.script(request)
        calls = [_call(one["id"], **one["function"]) for one in said.get("tool_calls", ())]
        message = AIMessage(said["content"] or "", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _call(number: str, name: str, arguments: str) -> ToolCall:
    return ToolCall(name=name, args=json.loads(arguments), id=number)


def test_langchain(workspace: Workspace, wish: dict[str, Any]) -> None:
    """An agent of LangChain walks by `next` to the report."""
    model = ScriptedChat(script=follower("select_flow", **wish))
    answer = example("with_langchain").agent(model).invoke({"messages": [("user", "Make a rainy variant.")]})
    assert_complete(answer["messages"][-1].text, workspace)
    called = [call["name"] for one in answer["messages"] for call in getattr(one, "tool_calls", ())]
    assert list(dict.fromkeys(called)) == CALLS
    described = model.requests[0]["tools"]
    assert [one["function"]["name"] for one in described] == list(TOOLS)


@pytest.mark.parametrize("name", ["with_pydantic_ai", "with_openai_agents", "with_langchain"])
def test_an_example_is_read_in_a_minute(name: str) -> None:
    """Each is one short file, and the page names it."""
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert f"({name}.py)" in (FOLDER / "README.md").read_text(encoding="utf-8")
