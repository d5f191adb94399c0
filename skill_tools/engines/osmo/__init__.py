"""The engine on NVIDIA OSMO: its CLI, asked in argument lists and understood as it really answers."""

from skill_tools.engines.osmo.engine import OsmoEngine

__all__ = ["OsmoEngine"]
