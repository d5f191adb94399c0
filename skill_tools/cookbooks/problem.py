"""What is wrong with a cookbook, in one line each: where, what, what was expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong. An error breaks a run or its labels; a warning makes them worse."""

    file: str
    """Its name within the cookbook."""
    line: int
    """Counted from 1."""
    what: str
    expected: str = ""
    remedy: str = ""
    severity: Severity = "error"

    def told(self, directory: Path) -> str:
        """Return it as one line: `file:line: what; expected …; what to do`."""
        parts = [self.what, f"expected {self.expected}" if self.expected else "", self.remedy]
        kind = "" if self.severity == "error" else "warning: "
        return f"{directory / self.file}:{self.line}: {kind}{'; '.join(part for part in parts if part)}"
