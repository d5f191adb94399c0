"""A submit's values, as the flow files take them."""

from __future__ import annotations

from pathlib import Path

SKILL_DIR = Path(__file__).parents[2]
CONFIGS = SKILL_DIR / "assets" / "configs" / "osmo"
STORAGE = "s3://bucket/prefix"


def submit_values(*videos: str, **others: str) -> dict[str, str]:
    """Return the required values for some clips, and others over them."""
    return {
        "dataset": "crossing",
        "run_id": "run-0123abcd",
        "storage_url": STORAGE,
        "gpu_platform": "h100",
        "video": ",".join(videos or ("clip_a",)),
        "cosmos_model_cache_url": f"{STORAGE}/data/models/cosmos_transfer",
        "auto_labeling_model_cache_url": f"{STORAGE}/data/models/auto_labeling",
        "skills_dir": str(SKILL_DIR),
        **others,
    }
