"""How one command is run: limits, outputs, and no process left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from skill_tools.engines.osmo import OsmoEngine
from skill_tools.engines.osmo.process import Limits, run
from skill_tools.errors import EngineError, EngineUnavailable
from tests.mock_osmo.bench import MockOsmo

ENVIRON = dict(os.environ)


def python(script: str) -> list[str]:
    """Return the command that runs a script."""
    return [sys.executable, "-c", script]


def gone(pid: int) -> bool:
    """Tell whether a process has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_both_outputs_and_the_exit_code_come_back() -> None:
    """Standard output, standard error and the exit code are told apart, undecodable bytes replaced."""
    script = "import sys; sys.stdout.buffer.write(b'out\\xff'); sys.stderr.write('err'); sys.exit(7)"
    finished = run(python(script), environ=ENVIRON, limits=Limits())
    assert (finished.exit_code, finished.stdout, finished.stderr, finished.end) == (
        7,
        "out�",
        "err",
        "exited",
    )


def test_much_output_on_both_sides_does_not_lock_up() -> None:
    """A command that fills both pipes is read on both."""
    script = "import sys\nfor _ in range(300):\n sys.stdout.write('o'*9999); sys.stderr.write('e'*9999)"
    finished = run(python(script), environ=ENVIRON, limits=Limits())
    assert (len(finished.stdout), len(finished.stderr)) == (2_999_700, 2_999_700)


def test_standard_error_is_watched_as_it_comes() -> None:
    """A watcher sees progress while the command is running."""
    seen: list[str] = []
    run(python("import sys; sys.stderr.write('50%')"), environ=ENVIRON, limits=Limits(), watch=seen.append)
    assert "".join(seen) == "50%"


def test_time_limit_ends_the_whole_family(tmp_path: Path) -> None:
    """A command that hangs is stopped with what it has started, though both ignore the polite signal."""
    script = (
        f"import os, signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('so far', flush=True)\ntime.sleep(600)"
    )
    finished = run(python(script), environ=ENVIRON, limits=Limits(time_s=3))
    assert (finished.end, finished.stdout) == ("timeout", "so far\n")
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_silence_and_too_much_output_are_limits_too() -> None:
    """A command that says nothing more, or won't stop talking, is stopped."""
    silent = run(python("import time; time.sleep(600)"), environ=ENVIRON, limits=Limits(silent_s=0.5))
    assert silent.end == "silent"
    talking = run(
        python("while True: print('x' * 1000)"), environ=ENVIRON, limits=Limits(output_bytes=100_000)
    )
    assert talking.end == "too_long"


def test_follower_is_interrupted_once_it_has_caught_up() -> None:
    """What a follower has in its buffers is not lost; it has time to end by itself."""
    script = (
        "import time\nprint('heading')\nprint('line')\n"
        "try:\n time.sleep(600)\nexcept KeyboardInterrupt:\n print('bye'); raise SystemExit(3)"
    )
    finished = run(python(script), environ=ENVIRON, limits=Limits(quiet_s=0.5))
    assert (finished.end, finished.exit_code) == ("quiet", 3)
    assert finished.stdout == "heading\nline\nbye\n"


def test_follower_that_ends_by_itself_is_not_waited_for() -> None:
    """When the workflow has ended so has its log, to the last line."""
    finished = run(python("print('heading')\nprint('last')"), environ=ENVIRON, limits=Limits(quiet_s=30))
    assert (finished.end, finished.stdout) == ("exited", "heading\nlast\n")


def test_background_process_does_not_hold_the_call_up() -> None:
    """A process that a command leaves behind with its outputs open is ended with the call."""
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid)"
    )
    finished = run(python(script), environ=ENVIRON, limits=Limits(time_s=60))
    assert finished.end == "exited"
    assert gone(int(finished.stdout))


def test_hanging_osmo_is_a_timeout_with_a_remedy(mock_osmo: MockOsmo) -> None:
    """An engine over a client that hangs gives up in time, and says so."""

    def short(arguments: list[str], *, environ: dict[str, str], limits: Limits, watch: object) -> object:
        return run(arguments, environ=environ, limits=Limits(time_s=0.4))

    environ = {**mock_osmo.environ, "MOCK_OSMO_FAULT": "hang"}
    engine = OsmoEngine(environ=environ, run=short, sleep=mock_osmo.pauses.append)
    with pytest.raises(EngineUnavailable) as caught:
        engine.pools()
    assert caught.value.code == "engine.timeout"
    assert not engine.state().ready


def test_values_that_fit_no_command_line_are_a_typed_error(mock_osmo: MockOsmo) -> None:
    """What the operating system itself refuses is told from a client that isn't installed."""
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().submit(mock_osmo.request({"variables": "x" * 3_000_000}))
    assert caught.value.code == "engine.not_started"
