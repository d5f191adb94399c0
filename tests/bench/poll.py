"""How much longer `poll` takes than the bare `osmo workflow query` that it asks; measured in turn.

The mock thinks for a second before it answers, about what the real client takes to start and to ask.
A ratio of 1 would be the bare call; at most 1.1 is wanted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.access.web_lab import WebLab
from tests.mock_osmo.bench import MockOsmo
from tests.tools.osmo_bench import OsmoWorkspace

TRIES = 7
WANTED = 1.1
SLOW = "slow:workflow query"
"""The mock's fault that lets it think for a second."""


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and tell by the exit code whether the ratio is as wanted."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder, "lab")
        lab.mkdir()
        web = WebLab()
        cluster = OsmoWorkspace(Path(folder), MockOsmo(lab), web)
        run_id = cluster.guarded(cluster.workspace.clip(), flow="auto_labeling")
        assert cluster.workspace.call("submit", run_id=run_id).ok
        cluster.more["MOCK_OSMO_FAULT"] = SLOW
        bare = ["osmo", "workflow", "query", "car-1", "--format-type", "json"]
        environ = dict(cluster.workspace.settings.environ)

        def ask() -> None:
            subprocess.run(bare, env=environ, capture_output=True, check=True)

        def poll() -> None:
            cluster.workspace.call("poll", run_id=run_id)

        pairs = [(timed(ask), timed(poll)) for _ in range(TRIES)]
        web.close()
    bare_s, poll_s = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    ratio = poll_s / bare_s
    print(f"poll: {poll_s:.3f} s, the bare call {bare_s:.3f} s, ratio {ratio:.3f} (at most {WANTED})")
    return 0 if ratio <= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
