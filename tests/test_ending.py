"""A process that is told to end does so in order, whatever the signal meets."""

from __future__ import annotations

import os
import signal

import pytest

from skill_tools.ending import ended_by


def test_a_signal_ends_a_process_with_its_number_whatever_becomes_of_the_exception() -> None:
    """A lock that is left amid its own bookkeeping complains; the exit code is the signal's all the same."""
    before = signal.getsignal(signal.SIGTERM)
    cleared = []

    @ended_by(signal.SIGTERM)
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            os.kill(os.getpid(), signal.SIGTERM)
            cleared.append("a second signal doesn't disturb the clearing up")
            raise RuntimeError("release unlocked lock") from None

    with pytest.raises(SystemExit) as left:
        work()
    assert left.value.code == 128 + signal.SIGTERM
    assert cleared
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_goes_wrong_without_a_signal_is_raised_as_it_is() -> None:
    """Errors of the work itself pass."""
    with pytest.raises(ValueError, match="of its own"), ended_by(signal.SIGTERM):
        raise ValueError("of its own")
