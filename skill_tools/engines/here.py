"""The engines of one workspace, made when they are first asked for."""

from __future__ import annotations

from skill_tools.engines.base import Engine, EngineState
from skill_tools.engines.choose import choose_engine
from skill_tools.errors import InputError
from skill_tools.settings import ENGINE_CHOICES, Settings


class EnginesHere:
    """Gives engines by name, and says which one `auto` means now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Engine] = {}

    def named(self, name: str) -> Engine:
        """Return the engine of a name; the same one each time."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def choose(self, wanted: str) -> tuple[str, str]:
        """Return the engine's name and the reason for it.

        Raises:
            InputError: there is no such engine.
            EngineUnavailable: the one that was asked for can't be used.
        """
        if wanted not in ENGINE_CHOICES:
            raise _unknown(wanted)
        choice = choose_engine(ENGINE_CHOICES[wanted], self._osmo_state)
        return choice.name, choice.reason

    def _osmo_state(self) -> EngineState:
        return self.named("osmo").state()

    def _make(self, name: str) -> Engine:
        if name == "local":
            from skill_tools.engines.local.engine import LocalEngine

            return LocalEngine(self._settings.state_dir / "engine")
        if name == "osmo":
            from skill_tools.engines.osmo import OsmoEngine

            return OsmoEngine(environ=self._settings.environ)
        raise _unknown(name)


def _unknown(name: str) -> InputError:
    return InputError(
        f"There is no engine {name!r}",
        expected=", ".join(ENGINE_CHOICES),
        remedy="choose one of these",
        code="input.engine",
    )
