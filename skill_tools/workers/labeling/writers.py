"""Label files in the field's formats, streamed to disk, whole or not at all: COCO, MOTChallenge, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from skill_tools.media.atomic import whole_file
from skill_tools.workers.labeling.classes import CATEGORY_IDS, CLASS_NAMES, SUPERCATEGORIES
from skill_tools.workers.labeling.labels import Label, LabelledClip, LabelStore

VERSION = "1.0"


def write_coco(target: Path, labelled: LabelledClip) -> None:
    """Write the labels in COCO's detection format, with `track_id` and `frame` in every annotation.

    Boxes are [x, y, width, height] in pixels from 0; category ids are COCO's own; image ids are the frame
    number + 1. An image's `file_name` is the name that the frame would have in a folder of frames.
    """
    sections: dict[str, Any] = {
        "info": {"description": f"Tracked boxes of {labelled.video}.mp4", "version": VERSION},
        "licenses": [],
        "categories": [
            {"id": CATEGORY_IDS[index], "name": CLASS_NAMES[index], "supercategory": SUPERCATEGORIES[index]}
            for index in labelled.classes
        ],
        "images": _images(labelled),
        "annotations": _annotations(labelled.labels),
    }
    with whole_file(target) as part, part.open("w", encoding="utf-8") as out:
        for place, (name, content) in enumerate(sections.items()):
            out.write(f"{',' if place else '{'}\n{json.dumps(name)}: ")
            if isinstance(content, Iterator):
                out.writelines(_array(content))
            else:
                out.write(json.dumps(content))
        out.write("\n}\n")


def write_mot(target: Path, labelled: LabelledClip) -> None:
    """Write the labels as MOTChallenge results: frame, id, left, top, width, height, score, -1, -1, -1.

    Frames and pixels count from 1, as the format's definition has it (Milan et al., MOT16, table 4).
    """
    with whole_file(target) as part, part.open("w", encoding="ascii") as out:
        for label in labelled.labels:
            left, top, width, height = _ltwh(label)
            out.write(
                f"{label.frame + 1},{label.track},{left + 1:.2f},{top + 1:.2f},{width:.2f},{height:.2f},"
                f"{label.score:.4f},-1,-1,-1\n"
            )


def write_json(target: Path, document: BaseModel) -> None:
    """Write a model as readable JSON."""
    with whole_file(target) as part:
        part.write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _images(labelled: LabelledClip) -> Iterator[dict[str, Any]]:
    for frame, timestamp_s in enumerate(labelled.labels.timestamps_s):
        yield {
            "id": frame + 1,
            "file_name": f"{labelled.video}/{frame:06d}.jpg",
            "width": labelled.clip.width,
            "height": labelled.clip.height,
            "frame": frame,
            "timestamp_s": round(timestamp_s, 6),
        }


def _annotations(labels: LabelStore) -> Iterator[dict[str, Any]]:
    for number, label in enumerate(labels, start=1):
        left, top, width, height = _ltwh(label)
        yield {
            "id": number,
            "image_id": label.frame + 1,
            "category_id": CATEGORY_IDS[label.class_index],
            "bbox": [round(left, 2), round(top, 2), round(width, 2), round(height, 2)],
            "area": round(width * height, 2),
            "iscrowd": 0,
            "score": round(label.score, 4),
            "track_id": label.track,
            "frame": label.frame,
        }


def _ltwh(label: Label) -> tuple[float, float, float, float]:
    left, top, right, bottom = label.box
    return left, top, right - left, bottom - top


def _array(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Give a JSON array piece by piece, an item a line."""
    yield "["
    for place, item in enumerate(items):
        yield ",\n" if place else "\n"
        yield json.dumps(item)
    yield "\n]"
