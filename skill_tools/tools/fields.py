"""The bounded types that the tools' inputs and outputs are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from skill_tools.storage.url import RUN_ID_PATTERN

RunId = Annotated[
    str, Field(pattern=RUN_ID_PATTERN, description="The run's handle, as select_flow returned it.")
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Stem = Annotated[
    str, Field(min_length=1, max_length=200, description="A clip's base name, without folder and .mp4.")
]
Line = Annotated[str, StringConstraints(max_length=2_000)]
Url = Annotated[str, StringConstraints(min_length=3, max_length=2_048)]
# No path of any system holds NUL, and the calls that take one break down at it.
PathText = Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[^\x00]+$")]
GoOn = Annotated[bool, Field(description="Take the rest of this phase in the same call.")]
Values = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")],
        Annotated[str, StringConstraints(max_length=16_384)],
    ],
    Field(max_length=64, description="Submit values, name to text."),
]
