"""Where the detector's weights are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from skill_tools.errors import ArtifactError

_PACKAGE = Path(__file__).parents[2]
# In a wheel the assets lie within the package, in a checkout beside it.
_PACKAGED = tuple(home / "assets" / "models" for home in (_PACKAGE / "_bundle", _PACKAGE.parent))


def find_weights(cache_dir: str, environ: Mapping[str, str]) -> Path:
    """Find NanoDet's weights: in the model cache, else in `VDA_MODELS_DIR`, else in the package.

    Raises:
        ArtifactError: they are nowhere; the places that were looked at are named.
    """
    places = list(_places(cache_dir, environ))
    for place in places:
        found = sorted(place.glob("nanodet*.onnx"))
        if found:
            return found[0]
    raise ArtifactError(
        "The detector's weights are missing",
        expected=f"nanodet*.onnx in {', '.join(map(str, places))}",
        remedy="restore assets/models/ of the package, or set models.cache_dir",
        code="artifact.weights",
    )


def _places(cache_dir: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if cache_dir:
        yield Path(cache_dir) / "nanodet"
    if models := environ.get("VDA_MODELS_DIR"):
        yield Path(models)
    yield from _PACKAGED
