"""The exceptions of this house, each with what happened, what was expected and what to do.

VdaError
├── InputError            arguments or a file that the caller can put right        exit 2
│   └── ClipError         a clip that is missing, broken or not a video
├── NeedsInput            a person has to give something                           exit 3
├── PolicyDenied          a rule of the policy forbids the call                    exit 4
├── EngineError           the engine, or a task that it ran, failed                exit 5
│   ├── EngineUnavailable not installed, not logged in, unreachable
│   └── OutcomeUnknown    a write that may or may not have happened: inspect first
└── ArtifactError         a file that the run should have made is missing or bad   exit 6
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

Retry = Literal["now", "after_fix", "never", "inspect"]

EXIT_CODES = {"input": 2, "needs_input": 3, "denied": 4, "engine": 5, "artifact": 6}
"""Family of an error to the exit code of a process; 1 is for what nobody foresaw."""


class VdaError(Exception):
    """What every tool raises when it can't do what it was asked.

    `code` is for programs, `<family>.<detail>`; `message`, `expected` and `remedy` are for people. The
    family alone decides the exit code of a process. `first` is a call, tool and
    arguments, that has to come before.
    """

    family: ClassVar[str] = "internal"
    default_code: ClassVar[str] = "internal.error"
    default_retry: ClassVar[Retry] = "never"

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        remedy: str = "",
        code: str | None = None,
        retry: Retry | None = None,
        first: tuple[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.remedy = remedy
        self.code = code or self.default_code
        self.retry: Retry = retry or self.default_retry
        self.first = first

    def __str__(self) -> str:
        """One line: what happened, what was expected, what to do."""
        parts = [self.message]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.remedy:
            parts.append(f"Do: {self.remedy}")
        return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)


class InputError(VdaError):
    """The caller's arguments or files are at fault; nothing was changed."""

    family = "input"
    default_code = "input.invalid"
    default_retry: ClassVar[Retry] = "after_fix"


class ClipError(InputError):
    """A clip is missing, empty, broken or no video."""

    default_code = "input.clip"


class NeedsInput(VdaError):
    """Only a person can give what is missing; `message` is the one question to ask."""

    family = "needs_input"
    default_code = "needs_input.value"
    default_retry: ClassVar[Retry] = "after_fix"


class PolicyDenied(VdaError):
    """A rule forbids the call; the decision carries the corrected one."""

    family = "denied"
    default_code = "denied.rule"
    default_retry: ClassVar[Retry] = "after_fix"


class EngineError(VdaError):
    """The engine, or a task that it ran, failed."""

    family = "engine"
    default_code = "engine.failed"
    default_retry: ClassVar[Retry] = "after_fix"


class EngineUnavailable(EngineError):
    """The engine isn't installed, isn't logged in or can't be reached."""

    default_code = "engine.unavailable"


class OutcomeUnknown(EngineError):
    """A write was sent and its outcome is unknown; look before doing it again."""

    default_code = "engine.outcome_unknown"
    default_retry: ClassVar[Retry] = "inspect"


class ArtifactError(VdaError):
    """A file that the run should have made is missing, broken or not what its name says."""

    family = "artifact"
    default_code = "artifact.invalid"
    default_retry: ClassVar[Retry] = "after_fix"
