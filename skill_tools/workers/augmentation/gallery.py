"""The page that shows and explains every value: pictures of the sample clip, methods from the docstrings.

python -m skill_tools.workers.augmentation.gallery CLIP PAGE

writes a picture for each value into the folder beside PAGE that is named like it, and the generated parts
of PAGE anew; what stands outside of these is kept.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path

from PIL import Image

from skill_tools.media.atomic import whole_file
from skill_tools.workers.augmentation import (
    background,
    bars,
    distance,
    fading,
    ground,
    heading,
    lamps,
    scene,
    tracking,
    windows,
)
from skill_tools.workers.augmentation.effects import EFFECTS, Effect
from skill_tools.workers.augmentation.effects.daylight import HOURS
from skill_tools.workers.augmentation.effects.indoor import LIGHTINGS
from skill_tools.workers.augmentation.preview import Request, preview
from skill_tools.workers.augmentation.vocabulary import SYNONYMS, VALUES, wish_for

AT_S = 4.0
WIDTH = 384
QUALITY = 72
_COLUMNS = 3


def main() -> int:
    """Make the pictures and fill in the page; return the exit code."""
    clip, page = map(Path, sys.argv[1:])
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    draw(clip, folder / "original.webp", {})
    for variable, value in pairs():
        draw(clip, folder / picture_name(variable, value), {variable: value})
    page.write_text(filled(page.read_text(encoding="utf-8"), folder.name), encoding="utf-8")
    return 0


def pairs() -> list[tuple[str, str]]:
    """Return each variable with each of its values."""
    return [(variable, value) for variable, values in VALUES.items() for value in values]


def picture_name(variable: str, value: str) -> str:
    """Return the name of a value's picture."""
    return f"{variable}_{value}.webp"


def middle(variable: str, value: str) -> float:
    """Return the strength that a value is shown with: the middle of its range."""
    low, high = VALUES[variable][value]
    return round((low + high) / 2, 3)


def draw(clip: Path, target: Path, values: Mapping[str, str]) -> None:
    """Write the picture of a value as WebP."""
    strengths = {name: middle(name, value) for name, value in values.items()}
    with tempfile.TemporaryDirectory() as name:
        still = Path(name) / "still.png"
        preview(
            Request(
                clip=clip, output=still, at_s=AT_S, variables=dict(values), strengths=strengths, alone=True
            )
        )
        with Image.open(still) as picture:
            small = picture.resize(
                (WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS
            )
    with whole_file(target) as part:
        small.save(part, "WEBP", quality=QUALITY, method=6)


def filled(page: str, folder: str) -> str:
    """Return a page with its generated parts as they are to be."""
    for name, text in parts(folder).items():
        begin, end = f"<!-- {name} -->", "<!-- end -->"
        page = re.sub(
            rf"{re.escape(begin)}\n.*?{re.escape(end)}",
            lambda _, text=text, begin=begin, end=end: f"{begin}\n{text}\n{end}",  # type: ignore[misc]  # defaults bind the loop's values
            page,
            flags=re.DOTALL,
        )
    return page


def parts(folder: str) -> dict[str, str]:
    """Return the generated parts by name: one for each variable, and the contradictions."""
    return {variable: _variable(variable, folder) for variable in VALUES} | {
        "contradictions": "\n".join(f"- {note}" for note in _contradictions()),
        "scene": "\n".join(f"- **{what}.** {_said(thing)}" for what, thing in _understood().items()),
    }


_UNDERSTOOD = {
    "Black bars": (bars, "picture_in"),
    "Fades": (fading, "UsualLight"),
    "Cuts": (scene, "is_cut"),
    "Camera": (background, "is_still"),
    "When it moves off": (background, "Standpoint"),
    "When it moves": (tracking, "Tracker"),
    "Sky": (scene, "sky_in"),
    "Ground": (ground, "GroundColours"),
    "Whether it is ground": (ground, "trust_in"),
    "Posts": (ground, "_upright"),
    "A camera that moves ahead": (heading, "heading_of"),
    "Its vehicle": (heading, "_own_vehicle"),
    "Horizon": (distance, "horizon_of"),
    "Distance": (distance, "metres_to"),
    "What falls already": (scene, "_something_falls"),
    "Dark and hazy sources": (ground, "Contrast"),
}
"""What is understood of a scene, to the module and the name in it whose docstring says how."""

_FOUND: Mapping[str, object] = {
    "Windows": windows.panes,
    "Street lamps": lamps.street_lamps,
    "Lamps that are on": lamps.burning,
    "Luminaires": lamps.luminaires,
}
"""The same of what is looked for only when a variant lights lamps."""


def _understood() -> dict[str, object]:
    return {what: getattr(*place) for what, place in _UNDERSTOOD.items()} | dict(_FOUND)


def _variable(variable: str, folder: str) -> str:
    others = [name for name, canonical in SYNONYMS.items() if canonical == variable]
    lines = [f"Also called {', '.join(f'`{name}`' for name in others)}.", ""] if others else []
    values = list(VALUES[variable])
    for at in range(0, len(values), _COLUMNS):
        lines += [*_row(variable, values[at : at + _COLUMNS], folder), ""]
    return "\n".join([*lines, *_methods(variable)])


def _row(variable: str, values: list[str], folder: str) -> list[str]:
    """Return a table with a picture for each value, its name over and its range of strengths under it."""
    ranges = [f"{low:.2f} to {high:.2f}" for low, high in (VALUES[variable][value] for value in values)]
    return [
        f"| {' | '.join(f'`{value}`' for value in values)} |",
        f"|{'---|' * len(values)}",
        f"| {' | '.join(f'![{value}]({folder}/{picture_name(variable, value)})' for value in values)} |",
        f"| {' | '.join(ranges)} |",
    ]


def _methods(variable: str) -> list[str]:
    """Return what each effect's docstring says; values of one effect together, with their figures."""
    said: dict[str, list[str]] = {}
    for value, effect in EFFECTS[variable].items():
        said.setdefault(_docstring(effect), []).append(value)
    lines = []
    for text, values in said.items():
        lines += [f"**{', '.join(value.replace('_', ' ') for value in values)}.** {text}", ""]
    if variable == "time_of_day":
        lines += _figures("sun K | sky K | median luma | stops | haze | low sun | lamps | rooms lit", _HOURS)
    if variable == "lighting":
        lines += _figures("lamps K | median luma | stops | fall-off | noise, codes", _LAMPS)
    return lines[:-1] if lines and not lines[-1] else lines


_HOURS = {
    name: f"{hour.sun_kelvin:.0f} | {hour.sky_kelvin:.0f} | {hour.median:.2f} | "
    f"{hour.stops[0]:+.2f} to {hour.stops[1]:+.2f} | {hour.haze:.2f} | {hour.glow:.2f} | "
    f"{hour.lamps:.2f} | {hour.windows:.2f}"
    for name, hour in HOURS.items()
}
_LAMPS = {
    name: f"{room.kelvin:.0f} | {room.median:.2f} | {room.stops[0]:+.2f} to {room.stops[1]:+.2f} | "
    f"{room.falloff:.2f} | {room.noise:.1f}"
    for name, room in LIGHTINGS.items()
}


def _figures(heads: str, rows: Mapping[str, str]) -> list[str]:
    """Return a table of the figures at full strength."""
    return [
        f"| at strength 1 | {heads} |",
        f"|{'---|' * (heads.count('|') + 2)}",
        *(f"| `{name}` | {row} |" for name, row in rows.items()),
    ]


def _docstring(effect: Effect) -> str:
    """Return an effect's docstring in one line a paragraph, as a statement rather than a command."""
    return _said(effect.func if isinstance(effect, partial) else effect)


def _said(thing: object) -> str:
    text, _, _ = (inspect.getdoc(thing) or "").partition("\n\nArgs:")
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    first = re.sub(r"^(Return|Tell|Yield) ", "", paragraphs[0])
    return " ".join([first[:1].upper() + first[1:], *paragraphs[1:]])


def _contradictions() -> list[str]:
    """Return every note that a combination of two values brings about, and one of names that disagree."""
    found: dict[str, None] = {}
    for (one, first), (other, second) in product(pairs(), pairs()):
        if one != other:
            found |= dict.fromkeys(_notes({one: first, other: second}))
    found |= dict.fromkeys(_notes({"time_of_day": "midday", "time": "night"}))
    return list(found)


def _notes(sampled: Mapping[str, str]) -> tuple[str, ...]:
    return wish_for(sampled, fixed=None, seed=0, name="").notes


if __name__ == "__main__":
    raise SystemExit(main())
