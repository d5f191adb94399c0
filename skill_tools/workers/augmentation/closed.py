"""What the worker is given is checked to the last key."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Strength = Annotated[float, Field(ge=0.0, le=1.0)]


class Closed(BaseModel):
    """A section that knows all of its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
