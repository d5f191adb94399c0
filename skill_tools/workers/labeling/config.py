"""What may be configured: every key with its default, read from a YAML file and `key=value` overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skill_tools.errors import InputError
from skill_tools.workers.config_file import read_document
from skill_tools.workers.labeling.classes import class_index, nearest

DETECTORS = ("nanodet",)
VIDEO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Frames = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=240)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, given: Any) -> Any:
        """Take a key with nothing after its colon as not given."""
        if isinstance(given, dict):
            known = cls.model_fields
            return {key: value for key, value in given.items() if value is not None or key not in known}
        return given


class Data(_Section):
    """What goes in and where the labels go."""

    input_video: str = ""
    output_dir: str = ""
    video_name: str = ""
    """Stem in the labels; the input's own when empty."""
    question_bank: str = ""
    event_prompt: str = ""


class Models(_Section):
    """Which detector, and the folder of the labeling model cache."""

    cache_dir: str = ""
    detector: str = DETECTORS[0]


class Detection(_Section):
    """What is looked for, and the lowest score that counts."""

    classes: tuple[str, ...] = ("car", "truck", "bus", "motorcycle", "bicycle", "person")
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.2


class Tracking(_Section):
    """When boxes are one track; ages are in frames."""

    iou: Annotated[float, Field(gt=0, lt=1)] = 0.3
    min_hits: Frames = 3
    max_age: Frames = 60
    min_track_frames: Frames = 5


class SuperResolution(_Section):
    """Whether detection looks at enlarged frames, and how large at most."""

    enabled: bool = False
    width: Annotated[int, Field(ge=16, le=7680)] = 1280
    height: Annotated[int, Field(ge=16, le=4320)] = 720
    window_frames: Frames = 128
    overlap_frames: Annotated[int, Field(ge=0)] = 64


class Events(_Section):
    """Whether events are asked for, and the rate at which frames are sampled for it."""

    enabled: bool = True
    fps: Rate = 6.0


class Mcq(_Section):
    """Whether questions are answered, the sampling rate, and a window's length in sampled frames."""

    enabled: bool = True
    fps: Rate = 6.0
    window_frames: Frames = 60


class Endpoint(_Section):
    """An OpenAI-compatible service; an empty model means the first that it lists."""

    url: str = ""
    model: str = ""


class Endpoints(_Section):
    """The vision-language model, and the language model (which the embedded worker has no use for)."""

    vlm: Endpoint = Endpoint()
    llm: Endpoint = Endpoint()


class LabelingConfig(_Section):
    """The whole configuration of one labeling job."""

    data: Data = Data()
    models: Models = Models()
    detection: Detection = Detection()
    tracking: Tracking = Tracking()
    super_resolution: SuperResolution = SuperResolution()
    events: Events = Events()
    mcq: Mcq = Mcq()
    endpoints: Endpoints = Endpoints()

    @property
    def video(self) -> str:
        """The stem that the labels carry."""
        return self.data.video_name or Path(self.data.input_video).stem

    @property
    def class_indices(self) -> tuple[int, ...]:
        """The configured classes, in COCO's order."""
        return tuple(sorted({class_index(name) for name in self.detection.classes}))


def load_config(file: Path | None, overrides: Sequence[str]) -> LabelingConfig:
    """Read `file`, lay `overrides` (`dotted.key=value`) over it and check everything.

    Raises:
        InputError: the file can't be read, or a key or value isn't valid; the nearest valid one is named.
    """
    return _checked(read_document(file, overrides))


def _checked(document: Any) -> LabelingConfig:
    try:
        config = LabelingConfig.model_validate(document)
    except ValidationError as problem:
        raise _refused(problem) from None
    for name in config.detection.classes:
        class_index(name)
    if not config.detection.classes:
        raise InputError(
            "detection.classes is empty",
            expected="at least one class",
            remedy="name what to label, as in detection.classes=[car,person]",
            code="input.config",
        )
    if config.models.detector not in DETECTORS:
        raise InputError(
            f"There is no detector {config.models.detector!r} here",
            expected=" or ".join(DETECTORS),
            remedy=nearest(config.models.detector, DETECTORS),
            code="input.unknown_detector",
        )
    if not VIDEO_NAME.fullmatch(config.video) and config.data.input_video:
        raise InputError(
            f"{config.video!r} can't name the labels",
            expected="letters, digits, dots, hyphens and underscores, beginning with a letter or digit",
            remedy="set data.video_name",
            code="input.video_name",
        )
    for key in ("input_video", "output_dir"):
        if not getattr(config.data, key):
            raise InputError(
                f"data.{key} is missing",
                expected="a path",
                remedy=f"add data.{key}=PATH",
                code="input.config",
            )
    return config


def _refused(problem: ValidationError) -> InputError:
    """Say which key is wrong and, for an unknown one, which is nearest."""
    first = problem.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InputError(
            f"The configuration has no key {path!r}",
            expected="only keys that the worker knows",
            remedy=nearest(path, _known_keys(LabelingConfig)),
            code="input.unknown_key",
        )
    given = "" if isinstance(first["input"], Mapping) else f" (it is {first['input']!r})"
    return InputError(
        f"{path or 'The configuration'}: {first['msg']}{given}",
        expected="a value that the key can take",
        remedy="correct the value",
        code="input.config",
    )


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, spec in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(spec.annotation, type) and issubclass(spec.annotation, BaseModel):
            keys += _known_keys(spec.annotation, f"{prefix}{name}.")
    return keys
