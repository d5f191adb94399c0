"""A frame's planes as effects are handed them."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.workers.augmentation.planes import Planes, copied
from skill_tools.workers.augmentation.scene import shrunk


@pytest.mark.parametrize("width", [100, 128, 768])
def test_editing_planes_leaves_the_decoders_picture_alone(width: int) -> None:
    """A decoder predicts later frames from this one, also where its rows follow each other without a gap."""
    picture = np.random.default_rng(7).integers(0, 256, (96, width), dtype=np.uint8)
    frame = VideoFrame.from_ndarray(picture, format="yuv420p")

    planes = Planes.of(copied(frame))
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = 0

    np.testing.assert_array_equal(frame.to_ndarray(), picture)


def test_a_small_copy_stays_as_it_was() -> None:
    """Also of a frame that is small already, the copy isn't the frame's own memory."""
    frame = Planes(*(np.full(shape, 90, np.uint8) for shape in ((48, 64), (24, 32), (24, 32))))
    small = shrunk(frame)
    frame.y[:] = 7
    assert (small.y.shape, small.y.min()) == ((48, 64), 90)
