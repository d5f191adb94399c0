"""A frame's planes as effects are handed them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.workers.augmentation.multiplier import Multiplier
from skill_tools.workers.augmentation.planes import Planes, Table, copied, numbers_in, quantile
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


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (2, 2)])
def test_frames_are_multiplied_by_factors_that_may_change(size: tuple[int, int]) -> None:
    """Each byte by that of its place, over 255, rounded down; what is multiplied stays as it was."""
    rng = np.random.default_rng(3)
    multiplier = Multiplier(size)
    for pts in (-9, 5, 1 << 40):
        frame = VideoFrame(*size, "yuv420p")
        frame.pts, frame.time_base = pts, Fraction(1, 90)
        given, factors = Planes.of(frame), multiplier.factors
        for plane in (given.y, given.u, given.v, factors.y, factors.u, factors.v):
            plane[:] = rng.integers(0, 256, plane.shape)
        before = given.copy()
        product = Planes.of(multiplier.times(frame))
        for name in "yuv":
            was, by, now = (getattr(planes, name) for planes in (before, factors, product))
            assert np.array_equal(now, was.astype(int) * by // 255)
            assert np.array_equal(getattr(given, name), was)
        assert (frame.pts, frame.time_base) == (pts, Fraction(1, 90))


@pytest.mark.parametrize("width", [8, 9])
def test_a_table_is_looked_up_for_rows_of_any_length(width: int) -> None:
    """By pairs or one by one, in place or not, also where rows stand apart in memory."""
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 256, 256, dtype=np.uint8)
    for whole in (rng.integers(0, 256, (5, stride), dtype=np.uint8) for stride in (width, width + 3)):
        plane = whole[:, :width]
        wanted = codes[plane]
        assert np.array_equal(Table(codes).of(plane), wanted)
        assert Table(codes).of(plane, plane) is plane
        assert np.array_equal(plane, wanted)


def test_planes_that_may_not_be_edited_are_copied_first() -> None:
    """A decoder's frame stays as it is; what may be edited isn't copied."""
    frame = VideoFrame(16, 16, "yuv420p")
    Planes.of(frame).y[:] = 90
    planes = Planes.of(frame, editable=False)
    with pytest.raises(ValueError, match="read-only"):
        planes.y[0, 0] = 1
    own = planes.own()
    own.y[:] = 200
    assert set(np.unique(planes.y)) == {90}
    assert own.own() is own
    assert own.target() is own
    assert planes.target().y.shape == planes.y.shape


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_quantile_is_that_of_numpy(kind: type, count: int) -> None:
    """Between two numbers it is interpolated, also among bytes."""
    values = (np.random.default_rng(count).random((count, 2)) * 255).astype(kind)
    for share in (0.0, 0.03, 0.5, 0.75, 1.0):
        assert quantile(values, share) == pytest.approx(np.percentile(values.astype(float), 100 * share))


def test_the_numbers_among_labels_leave_out_what_has_none() -> None:
    """0 is the background's; a number that occurs nowhere is left out as well."""
    assert numbers_in(np.array([[0, 4, 4], [2, 0, 7]], np.int32)).tolist() == [2, 4, 7]
    assert numbers_in(np.array([], np.int32)).tolist() == []
