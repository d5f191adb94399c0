"""Rendering, without the worker around it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

from skill_tools.media.probe import probe
from skill_tools.workers.augmentation.config import HallucinationCheck, Output
from skill_tools.workers.augmentation.decoded import Reading
from skill_tools.workers.augmentation.effects import Chain, Stage, chain_for
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.pipeline import Job, render
from skill_tools.workers.augmentation.planes import Levels
from skill_tools.workers.augmentation.scene import Scene
from skill_tools.workers.augmentation.vocabulary import wish_for


def test_a_scene_is_let_go_of_when_it_is_over(make_street: Callable[..., Path], tmp_path: Path) -> None:
    """What is told of a clip holds no picture of its scenes and no stage, so cuts cost no memory."""
    clip = make_street(frames=24, cut_every=4)
    source = probe(clip)
    levels = Levels.of(source)
    wish = wish_for({"weather": "rain", "surface": "puddles"}, fixed=None, seed=1, name="a")
    held: list[list[weakref.ref[Scene | Stage]]] = []

    def make(scene: Scene) -> Chain:
        chain = chain_for(wish, scene, seed=1, name="a")
        held.append([weakref.ref(each) for each in (scene, *chain.stages)])
        return chain

    job = Job(
        target=tmp_path / "out.mp4",
        output=Output(preset="ultrafast"),
        draw_ahead=lambda: None,
        chain_for=make,
        evaluation=Evaluation(HallucinationCheck(), levels, wish.values),
        advance=lambda: None,
    )
    (told,) = render(Reading(clip, threads=1), source, levels, [job])
    assert len(told.scenes) == 6
    # The last one's threads may still be on their way out.
    assert [one for one in held[:-1] if any(part() is not None for part in one)] == []
