"""The values of a submit: which there are, and how they come from a run, its storage and its clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skill_tools.storage.url import Layout

REQUIRED_VALUES = (
    "dataset",
    "run_id",
    "storage_url",
    "gpu_platform",
    "video",
    "cosmos_model_cache_url",
    "auto_labeling_model_cache_url",
    "skills_dir",
)
OPTIONAL_VALUES = (
    "cookbook",
    "vlm_url",
    "llm_url",
    "n_augmentations",
    "variables",
    "workers",
    "batch",
    "nvcr_credential",
    "hf_credential",
)


def stand_in_values(skill_dir: Path) -> dict[str, str]:
    """Return values with which a bare workflow file can be rendered to be looked at; never submitted."""
    urls = {key: f"s3://not-given/{key}" for key in REQUIRED_VALUES if key.endswith("_url")}
    rest = dict.fromkeys(REQUIRED_VALUES, "not-given")
    return rest | urls | {"run_id": "run-00000000", "skills_dir": str(skill_dir)}


def written_variables(variables: Mapping[str, str]) -> str:
    """Write fixed variables as one value: `weather:rain+time_of_day:evening`."""
    return "+".join(f"{name}:{value}" for name, value in sorted(variables.items()))


@dataclass(frozen=True)
class ValuesOf:
    """What the values of a workflow are made from."""

    layout: Layout
    gpu_platform: str
    skills_dir: Path
    cookbook: str
    n_augmentations: int
    variables: Mapping[str, str]
    workers: int | None = None
    vlm_url: str = ""
    llm_url: str = ""
    credentials: frozenset[str] = frozenset()

    def for_batch(self, batch: int, videos: Sequence[str]) -> dict[str, str]:
        """Return the values for one workflow in their order; optional ones only where they say something."""
        optional = {
            "cookbook": self.cookbook,
            "vlm_url": self.vlm_url,
            "llm_url": self.llm_url,
            "n_augmentations": str(self.n_augmentations),
            "variables": written_variables(self.variables),
            "workers": str(self.workers or ""),
            "batch": str(batch),
            "nvcr_credential": "nvcr_io" if "nvcr_io" in self.credentials else "",
            "hf_credential": "hf_token" if "hf_token" in self.credentials else "",
        }
        required = {
            "dataset": self.layout.dataset,
            "run_id": self.layout.run_id,
            "storage_url": self.layout.storage_url,
            "gpu_platform": self.gpu_platform,
            "video": ",".join(videos),
            "cosmos_model_cache_url": self.layout.cosmos_cache_url,
            "auto_labeling_model_cache_url": self.layout.labeling_cache_url,
            "skills_dir": str(self.skills_dir),
        }
        return required | {name: value for name, value in optional.items() if value}
