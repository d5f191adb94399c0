"""Draws previews: a still, a short sample or a table of values, of a clip that is being decoded already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skill_tools.errors import InputError
from skill_tools.media.compare import Scaler, save_picture
from skill_tools.media.contact_sheet import laid_out
from skill_tools.media.drawing import REFERENCE_HEIGHT, Picture, Plate, plate, stamp
from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import ClipWriter
from skill_tools.workers.augmentation.effects import Stage, chain_for, draw_ahead
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.scene import Scene
from skill_tools.workers.augmentation.side_by_side import MARGIN, SideBySide
from skill_tools.workers.augmentation.stretch import Seen, Shot, Stretch
from skill_tools.workers.augmentation.threads import Sink
from skill_tools.workers.augmentation.vocabulary import VALUES, Wish, canonical, wish_for

if TYPE_CHECKING:
    from skill_tools.workers.augmentation.preview import Opened, Request

SAMPLE_S = 2.0
_SHEET_WIDTH = 2400
_CELL_WIDTHS = (216, 420)
_CELL_TEXT = 1.9  # words on a cell are this much larger, for its height, than on a film
_GRID_VARIABLES = 2
_MOST_FPS = 20  # of a film
_SIDE_PIXELS = 250_000
_WHOLE_FROM = 1.5
_BEHIND = 4  # edited frames that wait for the encoder


def show(clip: Opened) -> dict[str, Any]:
    """Write the picture or film that is asked for of a clip; return what is on it.

    Raises:
        InputError: the clip, a variable, a value or the output's name isn't usable.
    """
    request, info = clip.request, clip.info
    wishes = _wishes(request)
    size = (info.width, info.height)
    if request.grid:
        size = _cell_size(info, request, len(wishes))
    elif request.kind == "video":
        size = _film_size(*size, alone=request.alone)
    stretch = Stretch(
        info,
        at_s=request.at_s,
        length_s=SAMPLE_S if request.kind == "video" else 0.0,
        size=size,
        step=_film_step(info.fps),
        begun=clip.frames,
        haste=clip.haste,
    )
    with ThreadPoolExecutor(1) as beside:
        studio = _Studio(request, info, stretch, size)
        studio.draw_ahead(wishes, beside)
        if request.grid:
            studio.show_grid(wishes)
        elif request.kind == "video":
            studio.show_video(wishes[-1])
        else:
            studio.show_still(wishes[-1])
    return studio.told(wishes)


class _Edited(NamedTuple):
    """A frame before and after the effects, and when it is shown."""

    before: Planes
    after: Planes
    time_s: float


def _edited(shot: Shot, seen: Seen, stages: Sequence[Stage]) -> _Edited:
    return _Edited(seen.planes, shot.edited(seen, stages), seen.view.time_s)


class _Studio:
    """Makes variants of one stretch, in whatever arrangement."""

    def __init__(self, request: Request, info: ClipInfo, stretch: Stretch, size: tuple[int, int]) -> None:
        self._request, self._info, self._stretch, self._size = request, info, stretch, size
        self._scaler = cache(lambda width, height: Scaler(info, width, height))
        self._notes: dict[str, None] = {}
        self._frames = 0
        self._ahead: list[Future[None]] = []

    def draw_ahead(self, wishes: Sequence[Wish], beside: Executor) -> None:
        """Draw what doesn't hang on the scene, while the clip is decoded."""
        chance: dict[str, Any] = {"seed": self._request.seed, "name": self._name}
        self._ahead = [beside.submit(draw_ahead, wish, self._size, **chance) for wish in wishes]

    def show_still(self, wish: Wish) -> None:
        (frame,) = self._first([wish])
        save_picture(self._shown(frame, wish), self._request.output)
        self._frames = 1

    def show_video(self, wish: Wish) -> None:
        self._request.output.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._film() as film,
            closing(self._sink(film, wish)) as shown,
            closing(self._stretch.shots()) as shots,
        ):
            for shot in shots:
                stages = self._stages(shot.scene, wish)
                for seen in shot.frames:
                    shown.put(_edited(shot, seen, stages))
            shown.finish()

    def show_grid(self, wishes: Sequence[Wish]) -> None:
        columns = _columns(self._request, len(wishes))
        width, height = self._size
        shown = min(width, _shown_width(columns))
        shown_size = _even(shown, round(shown * height / width))
        cells = [
            self._labelled(self._drawn(frame.after, *shown_size), wish)
            for frame, wish in zip(self._first(wishes), wishes, strict=True)
        ]
        cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
        save_picture(
            laid_out([cells[at : at + columns] for at in range(0, len(cells), columns)]), self._request.output
        )
        self._frames = 1

    def told(self, wishes: Sequence[Wish]) -> dict[str, Any]:
        """Return what is shown, as the answer's JSON."""
        notes = {note: None for wish in wishes for note in wish.notes} | self._notes
        if not self._stretch.exact:
            notes["The scene is understood from some of the frames around this moment."] = None
        return {
            "path": str(self._request.output),
            "at_s": round(self._stretch.begins_s, 3),
            "frames": self._frames,
            "cells": [{"values": dict(one.values), "strengths": dict(one.strengths)} for one in wishes],
            "notes": list(notes),
        }

    def _first(self, wishes: Sequence[Wish]) -> Iterator[_Edited]:
        """Yield the first frame as each of the wishes shows it."""
        with closing(self._stretch.shots()) as shots:
            shot = next(shots)
            seen = next(shot.frames)
        for wish in wishes:
            yield _edited(shot, seen, self._stages(shot.scene, wish))

    def _stages(self, scene: Scene, wish: Wish) -> Sequence[Stage]:
        wait(self._ahead)
        chain = chain_for(wish, scene, seed=self._request.seed, name=self._name)
        self._notes |= dict.fromkeys(chain.notes)
        return chain.stages

    @property
    def _name(self) -> str:
        return self._request.name or f"{self._info.path.stem}_aug0"

    def _film(self) -> ClipWriter:
        width, height = self._size
        return ClipWriter(
            self._request.output,
            width=width if self._request.alone else 2 * width,
            height=height,
            rate=self._info.fps / _film_step(self._info.fps),
            time_base=self._info.time_base,
            preset="superfast",
            like=self._info,
        )

    def _sink(self, film: ClipWriter, wish: Wish) -> Sink[_Edited]:
        """Return a thread that lays out and encodes while the next frame is edited."""
        titles = (self._title(self._size, shown) for shown in (None, wish))
        both = SideBySide(self._size, self._stretch.levels, *titles)

        def show(edited: _Edited) -> None:
            alone = self._request.alone
            frame = edited.after.framed() if alone else both.frame(edited.before, edited.after)
            frame.pts = round((edited.time_s - self._stretch.begins_s) / self._info.time_base)
            film.write(frame)
            self._frames += 1

        return Sink(show, behind=_BEHIND, name="show")

    def _shown(self, frame: _Edited, wish: Wish) -> Picture:
        """Return the variant beside its original, each with its words, or alone."""
        if self._request.alone:
            return self._drawn(frame.after, *frame.after.size)
        size = _even(*frame.after.size, at_most=REFERENCE_HEIGHT)
        sides = ((frame.before, None), (frame.after, wish))
        return np.hstack([self._titled(self._drawn(planes, *size), shown) for planes, shown in sides])

    def _drawn(self, planes: Planes, width: int, height: int) -> Picture:
        return self._scaler(width, height).picture(planes.framed())

    def _titled(self, picture: Picture, wish: Wish | None) -> Picture:
        """Write over a picture what it is; the original's words stand left, the variant's right."""
        height, width = picture.shape[:2]
        margin = round(MARGIN * height / REFERENCE_HEIGHT)
        words = self._title((width, height), wish)
        stamp(picture, words, margin if wish is None else max(0, width - margin - words.width), margin)
        return picture

    def _title(self, size: tuple[int, int], wish: Wish | None) -> Plate:
        """Return the words over the variant, or over the original, in pictures of a size."""
        width, height = size
        margin = round(MARGIN * height / REFERENCE_HEIGHT)
        title = _caption(wish) if wish else self._info.path.stem
        return _words(title, round(0.8 * height), width - 2 * margin)

    def _labelled(self, picture: Picture, wish: Wish) -> Picture:
        asked = [wish.values[name] for name in map(canonical, self._request.grid) if name in wish.values]
        height, width = picture.shape[:2]
        margin = max(2, height // 40)
        title = " · ".join(asked).replace("_", " ") or ("original" if not wish.values else "–")
        words = _words(title, round(_CELL_TEXT * height), width - 2 * margin)
        stamp(picture, words, margin, margin)
        return picture


@cache
def _words(title: str, picture_height: int, max_width: int) -> Plate:
    return plate(title, {}, picture_height=picture_height, max_width=max_width)


def _wishes(request: Request) -> list[Wish]:
    """Return the wishes to show: one, or those of the grid, row by row, the first of each without a value."""
    if len(request.grid) > _GRID_VARIABLES or len(set(map(canonical, request.grid))) < len(request.grid):
        raise InputError(
            f"A grid of {', '.join(request.grid)} can't be laid out.",
            expected="one variable, or two different ones",
            remedy="Fix the others with a value each.",
            code="input.grid",
        )
    choices = [(None, *VALUES[canonical(name)]) for name in request.grid]
    return [_wish(request, dict(zip(request.grid, chosen, strict=True))) for chosen in product(*choices)]


def _wish(request: Request, chosen: Mapping[str, str | None]) -> Wish:
    picked = {name: value for name, value in chosen.items() if value is not None}
    swept = set(map(canonical, chosen))
    fixed = {name: value for name, value in request.variables.items() if canonical(name) not in swept}
    name = request.name or f"{request.clip.stem}_aug0"
    wish = wish_for({**fixed, **picked}, fixed=request.strengths or None, seed=request.seed, name=name)
    if request.strength is None:
        return wish
    named = set(map(canonical, request.strengths))
    return Wish(
        wish.values,
        {one: at if one in named else request.strength for one, at in wish.strengths.items()},
        wish.notes,
    )


def _columns(request: Request, cells: int) -> int:
    """Return how many cells stand in a row: the second variable's values, or about as many as rows."""
    if len(request.grid) == _GRID_VARIABLES:
        return 1 + len(VALUES[canonical(request.grid[1])])
    return math.ceil(math.sqrt(cells))


def _cell_size(info: ClipInfo, request: Request, cells: int) -> tuple[int, int]:
    """Return the size in which cells are made: twice what they are shown in, unless there are many.

    What falls is a little too coarse in a picture as small as a cell.
    """
    width = _shown_width(_columns(request, cells)) * (2 if len(request.grid) == 1 else 1)
    width = min(info.width, width)
    return _even(width, round(width * info.height / info.width))


def _shown_width(columns: int) -> int:
    low, high = _CELL_WIDTHS
    return max(low, min(high, _SHEET_WIDTH // columns))


def _even(width: int, height: int, *, at_most: int | None = None) -> tuple[int, int]:
    factor = min(1.0, at_most / height) if at_most else 1.0
    return max(2, round(width * factor / 2) * 2), max(2, round(height * factor / 2) * 2)


def _film_step(fps: Fraction) -> int:
    """Return which frames of a clip a film shows: every one, every second, ... to be soon made."""
    return math.ceil(fps / _MOST_FPS)


def _film_size(width: int, height: int, *, alone: bool) -> tuple[int, int]:
    """Return the size in which each side of a film is made: two are soon encoded, one can be larger."""
    if alone:
        return _even(width, height, at_most=REFERENCE_HEIGHT)
    times = max(1.0, math.sqrt(width * height / _SIDE_PIXELS))
    if times > _WHOLE_FROM:  # averaging is several times as quick over whole pixels
        times = math.ceil(times)
    return _even(width, height, at_most=round(height / times))


def _caption(wish: Wish) -> str:
    shown = (f"{value} {wish.strength(name):.2f}" for name, value in wish.values.items())
    return " · ".join(shown).replace("_", " ") or "original"
