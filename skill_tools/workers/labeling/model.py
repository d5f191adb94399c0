"""What a vision-language model is: words and pictures in, words out, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from skill_tools.workers.labeling.frames import Still


class ModelFailure(Exception):
    """The model gave no answer; the message says why, in words for the record."""


@dataclass(frozen=True)
class TimeLimits:
    """How long a model may take."""

    request_s: float = 120.0
    total_s: float = 1800.0


class Model(Protocol):
    """Answers prompts about pictures."""

    def complete(self, instructions: str, request: str, stills: Sequence[Still]) -> str:
        """Send `instructions` (the system's part), `request` and pictures; give the model's words.

        Raises:
            ModelFailure: there are no words.
        """
        ...
