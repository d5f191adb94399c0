"""Video data augmentation: the public face. Everything is loaded at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skill_tools.dispatch import run_script
    from skill_tools.registry import TOOLS, call

__all__ = ["TOOLS", "__version__", "call", "run_script"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `run_script`, `call` and `TOOLS` when they are first asked for (PEP 562)."""
    if name == "run_script":
        from skill_tools.dispatch import run_script

        return run_script
    if name in {"call", "TOOLS"}:
        from skill_tools import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
