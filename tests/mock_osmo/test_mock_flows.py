"""Every workflow file of the skill is taken, by the released client and by the newer one."""

from __future__ import annotations

from pathlib import Path

import pytest

import skill_tools
from skill_tools.engines.base import SubmitRequest
from tests.mock_osmo.bench import MockOsmo

SKILL = Path(skill_tools.__file__).parents[1]
FLOWS = sorted((SKILL / "assets" / "configs" / "osmo").glob("*.yaml"))
CACHES = {f"{name}_model_cache_url": f"s3://lab/data/models/{name}" for name in ("cosmos", "auto_labeling")}


@pytest.mark.parametrize("version", ["6.3.1", "6.4.0"])
@pytest.mark.parametrize("clips", [("clip",), ("a", "b", "c")], ids=["one", "three"])
@pytest.mark.parametrize("flow", FLOWS, ids=[file.stem for file in FLOWS])
def test_flow_is_taken(mock_osmo: MockOsmo, flow: Path, clips: tuple[str, ...], version: str) -> None:
    """The canonical submit is accepted, for one clip and for several with two variants each."""
    values = {
        "dataset": "demo",
        "run_id": "run-0a1b2c3d",
        "storage_url": "s3://lab",
        "gpu_platform": "h100",
        "video": ",".join(clips),
        **CACHES,
        "skills_dir": str(SKILL),
        **({"n_augmentations": "2"} if len(clips) > 1 else {}),
    }
    engine = mock_osmo.engine(MOCK_OSMO_VERSION=version)
    submission = engine.submit(SubmitRequest(flow, values, "default"))
    tasks = engine.query(submission.workflow_id).tasks
    workers = [task for task in tasks if "worker" in task.name]
    assert len({task.name for task in tasks}) == len(tasks) <= 20
    assert len(workers) >= len(clips) or "cache" in flow.stem


def test_mapped_credential_must_exist(mock_osmo: MockOsmo) -> None:
    """With the names of credentials given, the flow maps them, and a missing one refuses the submit."""
    (flow,) = (file for file in FLOWS if file.stem == "auto_labeling")
    values = {
        "dataset": "demo",
        "run_id": "run-0a1b2c3d",
        "storage_url": "s3://lab",
        "gpu_platform": "h100",
        "video": "clip",
        **CACHES,
        "skills_dir": str(SKILL),
        "nvcr_credential": "nvcr_io",
    }
    engine = mock_osmo.engine()
    request = SubmitRequest(flow, values, "default")
    (objection,) = engine.validate(request)
    assert "Could not find the credential: nvcr_io." in objection
    engine.set_credential("nvcr_io", "REGISTRY", {"registry": "nvcr.io", "auth": "nvapi-x"}, replace=False)
    assert engine.validate(request) == ()
