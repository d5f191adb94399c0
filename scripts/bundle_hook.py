# noqa: INP001 - hatchling loads this file by its path
"""Put the skill's files into the wheel, within the package; an editable install has them where they lie.

Run by hatchling alone, while it builds; `skill_tools.settings.own_skill_dir` finds the files.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SkillFiles(BuildHookInterface):
    """Adds the files that pyproject.toml lists for this hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to a wheel that is meant to be installed elsewhere."""
        if version == "standard":
            build_data["force_include"] |= {
                name: f"skill_tools/_bundle/{name}" for name in self.config["files"]
            }
