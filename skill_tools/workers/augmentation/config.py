"""The worker's configuration: a YAML file and `key=value` overrides, as one closed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skill_tools.errors import InputError
from skill_tools.media.video import CODECS
from skill_tools.workers.augmentation.vocabulary import nearest
from skill_tools.workers.config_file import read_document

Strength = Annotated[float, Field(ge=0.0, le=1.0)]


class Closed(BaseModel):
    """A section that knows all of its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Closed):
    """What to read and where to write."""

    input_video: str
    """Path of the clip."""
    output_dir: str
    """Folder that `augmented_video.mp4` and `metadata.json` appear in."""
    video_name: str = ""
    """Name that random choices hang on; the clip's stem when empty."""


class Augmentation(Closed):
    """What the variant has to show."""

    seed: int = 42
    aug_idx: Annotated[int, Field(ge=0)] = 0
    sampled_vars: dict[str, str] = Field({})
    strength: Strength | dict[str, Strength] | None = None
    """One strength for all values, one a variable, or None: drawn in each value's range."""


class Output(Closed):
    """How the variant is encoded."""

    codec: Literal["h264", "av1"] = "h264"
    crf: Annotated[int, Field(ge=0, le=51)] = 20
    preset: str = "veryfast"


class HallucinationCheck(Closed):
    """Whether edges appear that the source doesn't have."""

    enabled: bool = True
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.682
    """Least share of the variant's edges that must lie near edges of the source."""
    grad_thresh: Annotated[float, Field(gt=0)] = 10.0
    """Least gradient of an edge, grey levels a pixel."""
    blur_ksize: Annotated[int, Field(ge=1)] = 7
    morph_k: Annotated[int, Field(ge=1)] = 3
    dist_tol_px: Annotated[float, Field(ge=0)] = 7.0


class AttributeVerification(Closed):
    """Whether the variant shows what it has to show."""

    enabled: bool = True


class Evaluators(Closed):
    """What every variant is checked for."""

    hallucination_check: HallucinationCheck = HallucinationCheck()
    attribute_verification: AttributeVerification = AttributeVerification()


class Pipeline(Closed):
    """How often a variant that fails a check is made again, weaker each time."""

    retry: Annotated[int, Field(ge=0, le=5)] = 1


class Prompts(Closed):
    """Prompts of the cluster's container; not used here."""

    vlm_caption: str = ""
    template_generation: str = ""
    prompt_polishing: str = ""


class Endpoint(Closed):
    """An inference endpoint of the cluster's container; not used here."""

    url: str = ""
    model: str = ""


class Endpoints(Closed):
    """The endpoints of the cluster's container; not used here."""

    vlm: Endpoint = Endpoint()
    llm: Endpoint = Endpoint()


class Config(Closed):
    """All that the worker is told."""

    data: Data
    augmentation: Augmentation = Augmentation()
    output: Output = Output()
    evaluators: Evaluators = Evaluators()
    pipeline: Pipeline = Pipeline()
    prompts: Prompts = Prompts()
    endpoints: Endpoints = Endpoints()


def load_config(path: Path, overrides: Sequence[str]) -> Config:
    """Return the configuration in the file `path` with `overrides` (`section.key=value`) put over it.

    Raises:
        InputError: the file can't be read or parsed, or a key or value isn't known.
    """
    try:
        return Config.model_validate(read_document(path, overrides))
    except ValidationError as error:
        raise _config_error(path, error) from error


def _config_error(path: Path, error: ValidationError) -> InputError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    remedy = f"Put {where} right in {path} or on the command line."
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        if known:
            remedy = f"Did you mean {nearest(str(first['loc'][-1]), known)!r}?"
            return InputError(
                f"Unknown key {where!r} in the configuration.",
                expected=f"one of {', '.join(known)}",
                remedy=remedy,
                code="input.config_key",
            )
    if first["type"] == "literal_error":
        remedy = f"Did you mean {nearest(str(first['input']), dict.fromkeys(CODECS))!r}?"
    return InputError(
        f"{where or 'The configuration'}: {first['msg']} (given: {first['input']!r:.80}).",
        expected="a configuration as the cookbooks have it",
        remedy=remedy,
        code="input.config_value",
    )


def _fields_at(location: Sequence[str | int]) -> Mapping[str, object]:
    model: type[BaseModel] = Config
    for part in location:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return {}
        model = annotation
    return model.model_fields
