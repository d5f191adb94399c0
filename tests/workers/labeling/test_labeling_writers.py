"""Label files: COCO by its schema, MOTChallenge by its columns, and which tracks are in them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from skill_tools.media.probe import probe
from skill_tools.workers.labeling.bytetrack import Sighting
from skill_tools.workers.labeling.classes import class_index
from skill_tools.workers.labeling.detector import Detections
from skill_tools.workers.labeling.labels import LabelledClip, LabelStore
from skill_tools.workers.labeling.writers import write_coco, write_mot

CAR, TRUCK, PERSON = (class_index(name) for name in ("car", "truck", "person"))

COCO_SCHEMA = {
    "type": "object",
    "required": ["info", "licenses", "images", "annotations", "categories"],
    "properties": {
        "images": {
            "type": "array",
            "items": {
                "required": ["id", "file_name", "width", "height", "frame", "timestamp_s"],
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "file_name": {"type": "string"},
                    "frame": {"type": "integer", "minimum": 0},
                },
            },
        },
        "categories": {
            "type": "array",
            "items": {
                "required": ["id", "name", "supercategory"],
                "properties": {"id": {"type": "integer", "minimum": 1, "maximum": 90}},
            },
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": [
                    "id", "image_id", "category_id", "bbox", "area", "iscrowd", "score", "track_id", "frame"
                ],
                "properties": {
                    "id": {"type": "integer"},
                    "image_id": {"type": "integer"},
                    "category_id": {"type": "integer"},
                    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                    "area": {"type": "number", "minimum": 0},
                    "iscrowd": {"const": 0},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "track_id": {"type": "integer", "minimum": 1},
                    "frame": {"type": "integer", "minimum": 0},
                },
            },
        },
    },
}  # fmt: skip


@pytest.fixture
def labelled(short_clip: Path) -> LabelledClip:
    """Five frames: track 7 in all of them, once taken for a truck; track 9 in two; none in the last."""
    store = LabelStore(min_track_frames=3)
    for frame in range(4):
        boxes = np.array([(10.25 + frame, 20, 40.25 + frame, 60), (100, 20, 120, 60)], np.float32)
        classes = np.array([TRUCK if frame == 1 else CAR, PERSON], np.intp)
        sightings = [Sighting(7, 0)] + [Sighting(9, 1)] * (frame < 2)
        store.add(frame / 10, Detections(boxes, np.array([0.9, 0.5], np.float32), classes), sightings)
    store.add(0.4, Detections.none(), [])
    return LabelledClip("street", probe(short_clip), (PERSON, CAR, TRUCK), store)


def test_coco_follows_its_schema(labelled: LabelledClip, tmp_path: Path) -> None:
    """The COCO file is valid, its ids refer to each other, and every frame is an image."""
    write_coco(tmp_path / "coco.json", labelled)
    document = json.loads((tmp_path / "coco.json").read_text())
    jsonschema.validate(document, COCO_SCHEMA)
    images = {image["id"]: image for image in document["images"]}
    categories = {category["id"]: category["name"] for category in document["categories"]}
    assert len(images) == 5
    assert categories == {1: "person", 3: "car", 8: "truck"}
    for annotation in document["annotations"]:
        assert images[annotation["image_id"]]["frame"] == annotation["frame"]
        assert categories[annotation["category_id"]] == "car"
    assert document["annotations"][1]["bbox"] == [11.25, 20, 30, 40]
    assert document["annotations"][1]["area"] == 1200


def test_mot_has_its_columns(labelled: LabelledClip, tmp_path: Path) -> None:
    """A MOT line is frame and id, left, top, width, height counted from 1, score and three times -1."""
    write_mot(tmp_path / "mot.txt", labelled)
    lines = (tmp_path / "mot.txt").read_text().splitlines()
    assert lines[0] == "1,1,11.25,21.00,30.00,40.00,0.9000,-1,-1,-1"
    assert [line.split(",")[0] for line in lines] == ["1", "2", "3", "4"]


def test_short_tracks_leave_no_label(labelled: LabelledClip) -> None:
    """A track below min_track_frames is in no file, and the kept ones are numbered from 1."""
    assert {label.track for label in labelled.labels} == {1}
    assert labelled.labels.tracks_per_class() == {CAR: 1}


def test_a_track_has_one_class(labelled: LabelledClip) -> None:
    """The class that a track was given with the most confidence holds for all its boxes."""
    assert [label.class_index for label in labelled.labels] == [CAR] * 4


def test_labels_of_a_frame_wait_for_their_track(short_clip: Path) -> None:
    """A frame's labels show a track as soon as it has proved to be kept, also in earlier frames."""
    store = LabelStore(min_track_frames=2)
    one = Detections(np.array([(0, 0, 9, 9)], np.float32), np.ones(1, np.float32), np.array([CAR]))
    store.add(0, one, [Sighting(4, 0)])
    assert store.of_frame(0) == []
    store.add(0.1, one, [Sighting(4, 0)])
    assert [label.frame for label in store.of_frame(0)] == [0]


def test_failed_write_leaves_nothing(labelled: LabelledClip, tmp_path: Path) -> None:
    """A write into a folder that is gone raises and leaves no half file."""
    with pytest.raises(OSError, match="No such file"):
        write_mot(tmp_path / "gone" / "mot.txt", labelled)
    assert list(tmp_path.iterdir()) == []
