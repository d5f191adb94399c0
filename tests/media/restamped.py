"""Clips whose stamps are moved, as they come about when one is cut without encoding it anew."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av


def restamped(clip: Path, target: Path, *, by_s: Fraction) -> Path:
    """Write a copy of a clip whose frames are all shown later; what is shown before 0 is left out."""
    options = {"avoid_negative_ts": "disabled"} if by_s < 0 else {}
    with av.open(str(clip)) as source, av.open(str(target), "w", options=options) as out:
        given = source.streams.video[0]
        kept = out.add_stream_from_template(given)
        for packet in source.demux(given):
            if packet.pts is not None and packet.dts is not None and packet.time_base:
                packet.pts += round(by_s / packet.time_base)
                packet.dts += round(by_s / packet.time_base)
                packet.stream = kept
                out.mux(packet)
    return target
