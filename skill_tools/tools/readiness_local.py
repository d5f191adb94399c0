"""What the embedded engine needs of this machine: space, memory, codec, weights, readable clips."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from skill_tools.engines.base import Engine
from skill_tools.errors import VdaError
from skill_tools.journal import RunRecord
from skill_tools.media.probe import probe
from skill_tools.settings import Settings
from skill_tools.tools.readiness import Check, Findings

GIB = 1 << 30
MIN_DISK_BYTES = GIB
# A run keeps a clip, its variants, their labels' overlays and side by sides, storage and mirror: by
# measurement about a dozen times the clip.
DISK_FACTOR = 12
MIN_MEMORY_BYTES = 1 * GIB
WEIGHTS = "nanodet_g_coco80_416.onnx"


def look(run: RunRecord | None, engine: Engine, settings: Settings) -> Findings:
    """Look at this machine; nothing here needs a secret or a network."""
    clips = [Path(clip) for clip in run.clips] if run else []
    checks = (*machine_checks(settings, clips), *(_clip_check(clip) for clip in clips))
    return Findings(engine.state(), engine.pools(), engine.credentials(), checks)


def machine_checks(settings: Settings, clips: Sequence[Path] = ()) -> list[Check]:
    """Check what every run on this machine needs."""
    return [
        _checked("disk", lambda: _disk(settings.workspace, clips)),
        _checked("memory", _memory),
        _checked("encoder", _encoder),
        _checked("weights", lambda: _weights(settings.skill_dir)),
    ]


def _clip_check(clip: Path) -> Check:
    return _checked(f"clip {clip.name}", lambda: _clip(clip), input_fault=True)


def _checked(name: str, look: Callable[[], str], *, input_fault: bool = False) -> Check:
    try:
        return Check(name=name[:128], status="ok", detail=look())
    except VdaError as error:
        detail, remedy = error.message, error.remedy
    except OSError as error:
        detail, remedy = str(error), ""
    return Check(name=name[:128], status="failed", detail=detail, remedy=remedy, input_fault=input_fault)


def _disk(workspace: Path, clips: Sequence[Path]) -> str:
    place = next(parent for parent in (workspace, *workspace.parents) if parent.exists())
    if not os.access(place, os.W_OK):
        raise PermissionError(f"{place} can't be written to")
    free = shutil.disk_usage(place).free
    needed = max(MIN_DISK_BYTES, DISK_FACTOR * sum(clip.stat().st_size for clip in clips if clip.is_file()))
    if free < needed:
        raise OSError(f"{free / GIB:.1f} GiB are free and about {needed / GIB:.1f} are needed")
    return f"{free / GIB:.0f} GiB free"


def _memory() -> str:
    try:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return "unknown on this system"
    if available < MIN_MEMORY_BYTES:
        raise OSError(f"{available / GIB:.1f} GiB are free and {MIN_MEMORY_BYTES / GIB:.0f} are needed")
    return f"{available / GIB:.1f} GiB free"


def _encoder() -> str:
    import numpy as np

    from skill_tools.media.video import ClipWriter

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "two_frames.mp4")
        with ClipWriter(target, width=64, height=64, rate=Fraction(10)) as writer:
            for index in range(2):
                writer.write_bgr(np.full((64, 64, 3), 90 * index, np.uint8), index)
        return f"H.264 encodes and decodes ({probe(target).codec})"


def _weights(skill_dir: Path) -> str:
    weights = skill_dir / "assets" / "models" / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{weights} is missing; install the skill anew")
    return f"{WEIGHTS}, {weights.stat().st_size / 1e6:.1f} MB"


def _clip(clip: Path) -> str:
    found = probe(clip)
    size = f"{found.width}×{found.height}"
    return f"{size}, {float(found.fps):.4g} fps, {found.duration_s:.1f} s, {found.codec}"
