"""Look over the bubbles that a chat assistant is about to send, and give them back as they may be sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import RunId

MAX_BUBBLES = 200


class Bubble(Closed):
    """A message as it is about to be sent."""

    kind: Literal["text", "media"] = "text"
    body: Annotated[str, Field(max_length=16_384)]


class CheckMessageInput(Closed):
    """The bubbles in their order, and the run that they are about."""

    run_id: RunId | None = Field(None, description="The run they are about; the newest otherwise.")
    messages: Annotated[list[Bubble], Field(min_length=1, max_length=MAX_BUBBLES)]


class CheckMessageOutput(Closed):
    """The bubbles, which may be sent as they are."""

    messages: list[Bubble]


def check_message(given: CheckMessageInput, _context: Context) -> Outcome[CheckMessageOutput]:
    """Hand the bubbles back: what is wrong with them, the rules have said before."""
    messages = [Message(kind=one.kind, body=one.body) for one in given.messages]
    return Outcome(CheckMessageOutput(messages=given.messages), given.run_id, messages=messages)


CHECK_MESSAGE = Tool(
    name="check_message",
    summary="Check the bubbles that are about to be sent; `next` has them corrected.",
    input_model=CheckMessageInput,
    output_model=CheckMessageOutput,
    effects=Effects(read_only=True),
    steps=check_message,
    guards=(
        "SECRET-SILENT",
        "MEDIA-FORM",
        "STAGE-WORKSPACE",
        "ASK-ONLY-BLOCKED",
        "ASK-NEVER",
        "POLL-TRUTH",
        "EVIDENCE-REQUIRED",
    ),
)
