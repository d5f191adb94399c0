"""Colour of light: temperatures to channel gains, and gains to what they do to luma and chroma."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Levels

GAMMA = 2.2
"""Exponent between gamma-encoded and linear light; the pure power lets gains commute with it."""

_XYZ_TO_SRGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def chromaticity(kelvin: float) -> tuple[float, float]:
    """Return CIE 1931 x, y of a light of 1667 to 25000 K.

    Daylight from 4000 K: CIE 15:2004 §3.1. Below, the Planckian locus by the cubic splines of Kim et
    al., US patent 7024034 (2002).
    """
    t = 1e3 / kelvin
    if kelvin >= 4000:
        a = (0.244063, 0.09911, 2.9678, -4.6070) if kelvin <= 7000 else (0.237040, 0.24748, 1.9018, -2.0064)
        x = a[0] + a[1] * t + a[2] * t**2 + a[3] * t**3
        return x, -3.0 * x * x + 2.87 * x - 0.275
    x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    if kelvin >= 2222:
        return x, -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    return x, -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683


def light_gains(kelvin: float, *, adaptation: float) -> NDArray[np.float64]:
    """Return linear R, G, B gains that turn white under 6504 K daylight into white under `kelvin`.

    A camera's (and an eye's) white balance takes part of a cast away: `adaptation`, 0 none, 1 all
    (the degree of adaptation D of CIECAM02). Gains keep the luminance of white.
    """
    x, y = chromaticity(kelvin)
    x0, y0 = chromaticity(6504)
    rgb = _XYZ_TO_SRGB @ np.array([x / y, 1.0, (1 - x - y) / y])
    white = _XYZ_TO_SRGB @ np.array([x0 / y0, 1.0, (1 - x0 - y0) / y0])
    gains = np.maximum(rgb, 0.02) / white
    gains = gains ** (1 - adaptation)
    normed: NDArray[np.float64] = gains / float(np.dot(gains, (0.2126, 0.7152, 0.0722)))
    return normed


def ycbcr_matrix(gains: NDArray[np.float64], levels: Levels) -> NDArray[np.float64]:
    """Return the 3x3 matrix that linear channel `gains` are for gamma-encoded Y, Cb, Cr.

    With a pure power as transfer, a gain g on linear light is g^(1/gamma) on encoded light, so the whole
    change of light is linear in Y, Cb, Cr.
    """
    to_ycbcr = levels.rgb_to_ycbcr()
    return to_ycbcr @ np.diag(gains ** (1 / GAMMA)) @ np.linalg.inv(to_ycbcr)
