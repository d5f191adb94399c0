"""How long preflight on OSMO takes over its slowest probe; both are measured in this run.

The registry answers after `SLOW_S`, as one far away does; the hub and the scope after half of that; every
command of OSMO's thinks for a second. A ratio of 1 would be the slowest probe alone; at most 1.3 is wanted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from skill_tools.access.registry import probe_all
from tests.access.web_lab import Reply, Request, WebLab
from tests.mock_osmo.bench import MockOsmo
from tests.tools.osmo_bench import GATED, KEY, TOKEN, OsmoWorkspace

SLOW_S = 3.0
TRIES = 3
WANTED = 1.3


def after(seconds: float, reply: Reply) -> object:
    """Return a route that answers after a while."""

    def answer(_: Request) -> Reply:
        time.sleep(seconds)
        return reply

    return answer


def timed(work: object) -> float:
    """Return the seconds that a piece of work takes."""
    start = time.perf_counter()
    assert callable(work)
    work()
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and tell by the exit code whether the ratio is as wanted."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder, "lab")
        lab.mkdir()
        web = WebLab()
        cluster = OsmoWorkspace(Path(folder), MockOsmo(lab), web)
        cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": KEY, "NGC_ORG": "acme"}
        run_id = cluster.begin()
        image = cluster.image("team/far:1")
        arguments = {"run_id": run_id, "workflow": cluster.workflow(image)}
        assert cluster.preflight(run_id=run_id, no_probe=True).ok  # stores the credentials, once
        cluster.more["MOCK_OSMO_FAULT"] = "slow"
        web.routes |= {
            f"/v2/{image.split('/', 1)[1].replace(':', '/manifests/')}": after(SLOW_S, Reply()),
            "/api/whoami-v2": after(SLOW_S / 2, Reply(body={"name": "me"})),
            GATED: after(SLOW_S / 2, Reply()),
            "/token": after(SLOW_S / 2, Reply(body={"token": "pass"})),
        }
        slowest = median(timed(lambda: probe_all([image])) for _ in range(TRIES))
        whole = median(timed(lambda: cluster.preflight(**arguments)) for _ in range(TRIES))
        web.close()
    ratio = whole / slowest
    print(
        f"preflight: {whole:.2f} s, its slowest probe {slowest:.2f} s, ratio {ratio:.2f} (at most {WANTED})"
    )
    return 0 if ratio <= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
