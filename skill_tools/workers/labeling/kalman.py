"""A box that moves: position and velocity of centre, aspect ratio and height, with their uncertainty.

The constant-velocity Kalman filter of SORT (Bewley et al., 2016) in the coordinates and with the noise of
DeepSORT (Wojke et al., 2017), which ByteTrack uses too: standard deviations are 1/20 of the height for
positions and 1/160 for velocities. There the state is one 8-vector with an 8 x 8 covariance; but every
matrix involved couples a coordinate with its own velocity only. So the filter falls apart into four
filters of position and velocity, which are run here side by side, in closed form: the same figures
without a matrix inversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Four = npt.NDArray[np.float64]
"""One value for each of centre x, centre y, aspect ratio (width over height) and height."""

_POSITION_WEIGHT = 1 / 20
_VELOCITY_WEIGHT = 1 / 160
_ASPECT_STD = 1e-2
_ASPECT_VELOCITY_STD = 1e-5
_ASPECT_MEASURED_STD = 1e-1


@dataclass(frozen=True)
class BoxMotion:
    """The state of one moving box after some frame; pixels and pixels a frame."""

    position: Four
    velocity: Four
    position_variance: Four
    covariance: Four
    velocity_variance: Four

    @classmethod
    def starting(cls, box: npt.NDArray[np.float32]) -> BoxMotion:
        """Start at rest at `box` (left, top, right, bottom)."""
        position = to_xyah(box)
        height = position[3]
        return cls(
            position,
            np.zeros(4),
            _spread(2 * _POSITION_WEIGHT * height, _ASPECT_STD) ** 2,
            np.zeros(4),
            _spread(10 * _VELOCITY_WEIGHT * height, _ASPECT_VELOCITY_STD) ** 2,
        )

    @property
    def box(self) -> npt.NDArray[np.float32]:
        """Where it is: left, top, right, bottom."""
        x, y, aspect, height = self.position
        half_width, half_height = aspect * height / 2, height / 2
        return np.array((x - half_width, y - half_height, x + half_width, y + half_height), np.float32)

    def predicted(self) -> BoxMotion:
        """Give the state one frame later, before that frame is seen."""
        height = self.position[3]
        position_noise = _spread(_POSITION_WEIGHT * height, _ASPECT_STD) ** 2
        velocity_noise = _spread(_VELOCITY_WEIGHT * height, _ASPECT_VELOCITY_STD) ** 2
        carried = self.covariance + self.velocity_variance
        return BoxMotion(
            self.position + self.velocity,
            self.velocity,
            self.position_variance + self.covariance + carried + position_noise,
            carried,
            self.velocity_variance + velocity_noise,
        )

    def corrected(self, box: npt.NDArray[np.float32]) -> BoxMotion:
        """Give the state after `box` was seen in the predicted frame."""
        measured_noise = _spread(_POSITION_WEIGHT * self.position[3], _ASPECT_MEASURED_STD) ** 2
        expected_variance = self.position_variance + measured_noise
        gain = self.position_variance / expected_variance
        velocity_gain = self.covariance / expected_variance
        surprise = to_xyah(box) - self.position
        return BoxMotion(
            self.position + gain * surprise,
            self.velocity + velocity_gain * surprise,
            self.position_variance - gain * self.position_variance,
            self.covariance - gain * self.covariance,
            self.velocity_variance - velocity_gain * self.covariance,
        )

    def holding_height(self) -> BoxMotion:
        """Give the same state with a steady height: an unseen thing shall not grow or vanish."""
        velocity = self.velocity.copy()
        velocity[3] = 0
        return BoxMotion(
            self.position, velocity, self.position_variance, self.covariance, self.velocity_variance
        )


def to_xyah(box: npt.NDArray[np.float32]) -> Four:
    """Turn left, top, right, bottom into centre x, centre y, aspect ratio, height."""
    left, top, right, bottom = (float(side) for side in box)
    height = max(bottom - top, 1e-3)
    return np.array(((left + right) / 2, (top + bottom) / 2, (right - left) / height, height))


def _spread(pixels: float, aspect: float) -> Four:
    return np.array((pixels, pixels, aspect, pixels))
