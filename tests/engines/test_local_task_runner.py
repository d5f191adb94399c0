"""A task's log has OSMO's form, keeps the newest lines, and never grows without end."""

from __future__ import annotations

import re
from pathlib import Path

from skill_tools.engines.local.log_reader import newest
from skill_tools.engines.local.task_runner import LINE_BYTES, TaskLog

LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[setup\] (.*)")


def texts(log: Path, tail: int = 0) -> list[str]:
    """Return the texts of a log's lines, each of which must have the form."""
    return [match[1] for line in newest([log], tail) if (match := LINE.fullmatch(line)) or not line]


def test_each_line_has_time_and_task(tmp_path: Path) -> None:
    """`YYYY/MM/DD HH:MM:SS [TASK] text`, in UTC, however the output comes in pieces."""
    log = TaskLog(tmp_path / "log", "[setup]", limit_bytes=1000, clock=lambda: 1.0)
    log.feed(b"on")
    log.feed(b"e\ntwo\nthr")
    log.close()
    assert (tmp_path / "log").read_text() == (
        "1970/01/01 00:00:01 [setup] one\n1970/01/01 00:00:01 [setup] two\n1970/01/01 00:00:01 [setup] thr\n"
    )


def test_of_a_progress_bar_the_last_word_is_kept(tmp_path: Path) -> None:
    """Carriage returns overwrite, as on a terminal, and those of Windows vanish."""
    log = TaskLog(tmp_path / "log", "[setup]", limit_bytes=1000)
    log.feed(b" 1%\r50%\r100%\ndone\r\n")
    log.close()
    assert texts(tmp_path / "log") == ["100%", "done"]


def test_a_log_is_bounded_and_its_newest_lines_are_there(tmp_path: Path) -> None:
    """The oldest lines go; two files of the limit and a line are the most that is kept."""
    log = TaskLog(tmp_path / "log", "[setup]", limit_bytes=5000)
    for number in range(2000):
        log.say(f"line {number}")
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 5000 + 200
    kept = texts(tmp_path / "log")
    assert kept == [f"line {number}" for number in range(2000 - len(kept), 2000)]
    assert len(kept) > 100
    assert texts(tmp_path / "log", 3) == ["line 1997", "line 1998", "line 1999"]


def test_a_line_without_end_is_written_in_pieces(tmp_path: Path) -> None:
    """Output without line ends neither fills the memory nor is lost."""
    log = TaskLog(tmp_path / "log", "[setup]", limit_bytes=10 * LINE_BYTES)
    log.feed(b"x" * (3 * LINE_BYTES + 5))
    log.close()
    assert [len(text) for text in texts(tmp_path / "log")] == [LINE_BYTES] * 3 + [5]


def test_secrets_are_masked(tmp_path: Path) -> None:
    """A known secret never reaches the log."""
    log = TaskLog(tmp_path / "log", "[setup]", limit_bytes=1000, secrets=["hunter22"])
    log.feed(b"the key is hunter22, hunter22!\n")
    log.close()
    assert texts(tmp_path / "log") == ["the key is [MASKED], [MASKED]!"]


def test_several_logs_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    """Lines of one second stay in the order of the tasks; an unfinished line waits."""
    for name, stamps in {"a": (1, 3), "b": (1, 2)}.items():
        for stamp in stamps:
            log = TaskLog(tmp_path / name, f"[{name}]", limit_bytes=1000, clock=lambda stamp=stamp: stamp)
            log.say(str(stamp))
            log.close()
    with (tmp_path / "b").open("a") as unfinished:
        unfinished.write("1970/01/01 00:00:09 [b] not who")
    lines = newest([tmp_path / "a", tmp_path / "b", tmp_path / "missing"], 0)
    assert [line.partition("[")[2] for line in lines] == ["a] 1", "b] 1", "b] 2", "a] 3"]
