"""The journal: nothing that was written is lost, nothing is sent twice, reading leaves no file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skill_tools.errors import InputError
from skill_tools.journal import Journal, RunRecord
from skill_tools.tool import Decision, Problem, ToolResult

RUN = "run-0a1b2c3d"
VALUES = {"dataset": "cars", "run_id": RUN}

WRITER = """
import sys
from pathlib import Path
from skill_tools.journal import Journal
from skill_tools.tool import ToolResult
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    journal.record("run-0a1b2c3d", {"n": number}, ToolResult(ok=True, tool="poll", status="done"))
    print(number, flush=True)
    number += 1
"""

CLAIMER = """
import sys
from pathlib import Path
from skill_tools.journal import Journal
journal = Journal(Path(sys.argv[1]))
sys.stdin.readline()
print(journal.claim("run-0a1b2c3d", "0", {"dataset": "cars"}, "local"))
"""

FORKER = """
import os, sys
from pathlib import Path
from skill_tools.journal import Journal
from skill_tools.tool import ToolResult

def write(number):
    journal = Journal(Path(sys.argv[1]))
    journal.record("run-0a1b2c3d", {"n": number}, ToolResult(ok=True, tool="poll", status="done"))
    journal.close()

write(0)
child = os.fork()
if child == 0:
    write(1)
else:
    assert os.waitpid(child, 0)[1] == 0
    write(2)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a journal whose file nobody has made yet."""
    journal = Journal(tmp_path / "state" / "journal.db")
    yield journal
    journal.close()


def record(run_id: str = RUN, created: float = 1.0) -> RunRecord:
    """Return a run's record."""
    return RunRecord(
        run_id=run_id,
        created=created,
        flow="e2e",
        workflow_file="assets/configs/osmo/e2e.yaml",
        engine="local",
        engine_reason="it was asked for",
        cookbook="piazza",
        clips=("/clips/ça.mp4",),
        variables={"weather": "rain"},
    )


def result(tool: str = "poll", *, ok: bool = True, **data: str) -> ToolResult:
    """Return a result of a tool."""
    return ToolResult(ok=ok, tool=tool, run_id=RUN, status="done" if ok else "failed", data=dict(data))


def test_reading_never_makes_the_file(journal: Journal) -> None:
    """Whoever only asks leaves a workspace as it was."""
    assert journal.find(RUN) is None
    assert journal.runs() == []
    assert journal.calls(RUN) == []
    assert journal.decisions(RUN) == []
    assert journal.submissions(RUN) == []
    assert journal.passed(RUN, "poll") is None
    assert journal.passed_by_tool(RUN) == {}
    with pytest.raises(InputError, match=RUN):
        journal.run(RUN)
    assert not journal.path.parent.exists()


def test_a_call_without_a_run_never_makes_the_file(journal: Journal) -> None:
    """A refused call leaves no trace where there was no journal, and is on record where there is one."""
    journal.record(None, {}, result(ok=False))
    assert not journal.path.parent.exists()
    journal.start(record())
    journal.record(None, {}, result(ok=False))
    with sqlite3.connect(journal.path) as db:
        assert db.execute("SELECT COUNT(*) FROM calls").fetchone() == (1,)
    db.close()


def test_a_record_comes_back_as_it_was_written(journal: Journal) -> None:
    """Every field of a run survives the file, in another process too."""
    journal.start(record())
    journal.close()
    assert Journal(journal.path).run(RUN) == record()


def test_a_run_id_is_taken_once(journal: Journal) -> None:
    """A second run of the same id is refused and the first one's record stays."""
    journal.start(record())
    with pytest.raises(sqlite3.IntegrityError):
        journal.start(record(created=2.0))
    assert journal.run(RUN).created == 1.0


def test_runs_are_listed_newest_first(journal: Journal) -> None:
    """The newest run comes first, and an unknown one is answered with it."""
    for number in range(3):
        journal.start(record(f"run-0000000{number}", created=float(number)))
    assert [run.run_id for run in journal.runs(limit=2)] == ["run-00000002", "run-00000001"]
    with pytest.raises(InputError) as caught:
        journal.run("run-ffffffff")
    assert "run-00000002" in caught.value.expected


def test_what_passed_is_the_newest_green_result(journal: Journal) -> None:
    """A red result hides no green one, and a newer green one takes an older one's place."""
    for each in (result(state="RUNNING"), result(state="COMPLETED"), result(ok=False, state="FAILED")):
        journal.record(RUN, {}, each)
    journal.record(RUN, {}, result("submit", ok=False))
    newest = journal.passed(RUN, "poll")
    assert newest
    assert newest.data == {"state": "COMPLETED"}
    assert journal.passed(RUN, "submit") is None
    assert journal.passed_by_tool(RUN) == {"poll": {"state": "COMPLETED"}}
    assert len(journal.calls(RUN)) == 4


def test_a_question_stands_until_another_call_answers_it(journal: Journal) -> None:
    """Bubbles that are looked over and lines that are refused answer nothing; another run's calls neither."""
    asking = ToolResult(
        ok=False,
        tool="preflight",
        run_id=RUN,
        status="needs_input",
        problem=Problem(code="needs_input.POOL-ONLINE", message="Which pool?"),
    )
    journal.record(RUN, {}, asking)
    for quiet in ("check_message", "run_script"):
        journal.record(RUN, {}, result(quiet, ok=False))
    journal.record(None, {}, result("inspect_engine"))
    assert (journal.last_question(RUN), journal.last_question(None)) == ("Which pool?", "")
    journal.record(RUN, {}, result("preflight"))
    assert journal.last_question(RUN) == ""


def test_only_an_engines_refusals_of_a_submit_are_counted(journal: Journal) -> None:
    """A submit that failed otherwise is none, nor is the same code from another tool."""
    for tool, code in (
        ("submit", "engine.undefined_variable"),
        ("submit", "engine.down"),
        ("check_submission", "input.undefined_variable"),
        ("submit", "input.undefined_variable"),
    ):
        problem = Problem(code=code, message="no")
        journal.record(RUN, {}, result(tool, ok=False).model_copy(update={"problem": problem}))
    assert (journal.refusals(RUN), journal.refusals("run-00000000")) == (2, 0)


def test_runs_are_open_until_their_report(journal: Journal) -> None:
    """A green report closes a run; a red one, and another tool's green result, do not."""
    for number in range(3):
        journal.start(record(f"run-0000000{number}", created=float(number)))
    journal.record("run-00000002", {}, result("report"))
    journal.record("run-00000001", {}, result("report", ok=False))
    journal.record("run-00000000", {}, result("poll"))
    assert [run.run_id for run in journal.open_runs()] == ["run-00000001", "run-00000000"]
    assert [run.run_id for run in journal.open_runs(limit=1)] == ["run-00000001"]


def test_a_workflow_is_known_by_its_run(journal: Journal) -> None:
    """A workflow that was submitted here leads to its run, any other to none."""
    journal.claim(RUN, "0", VALUES, "local")
    journal.settle(RUN, "0", "sent", "cars-7")
    assert (journal.run_of_workflow("cars-7"), journal.run_of_workflow("cars-8")) == (RUN, None)


def test_a_journal_that_was_moved_aside_is_not_written_to_any_more(journal: Journal, tmp_path: Path) -> None:
    """A connection that was kept open is for the file that lies there now, or it is closed."""
    journal.start(record())
    journal.close()
    journal.path.parent.rename(tmp_path / "aside")
    assert journal.runs() == []
    journal.start(record("run-00000002"))
    journal.close()
    assert [run.run_id for run in journal.runs()] == ["run-00000002"]
    aside = Journal(tmp_path / "aside" / "journal.db")
    assert [run.run_id for run in aside.runs()] == [RUN]
    aside.close()


def test_a_forked_process_connects_anew(journal: Journal) -> None:
    """A connection is never used, nor closed, by a process that it was not opened in."""
    journal.start(record())
    subprocess.run([sys.executable, "-c", FORKER, str(journal.path)], check=True)
    assert [call.arguments for call in journal.calls(RUN)] == [{"n": number} for number in range(3)]


def test_decisions_keep_their_order_across_calls(journal: Journal) -> None:
    """The decision log of a run can be read from its first to its last decision."""
    for rule in ("ETA-FIRST", "GUARD-FIRST", "SUBMIT-STAMP"):
        decision = Decision(rule=rule, outcome="deny", tool="submit", reason="why", at=1.0)
        journal.record(RUN, {}, result(ok=False).model_copy(update={"decisions": [decision]}))
    assert [one.rule for one in journal.decisions(RUN)] == ["ETA-FIRST", "GUARD-FIRST", "SUBMIT-STAMP"]


def test_nothing_that_was_acknowledged_is_lost_by_a_kill(journal: Journal) -> None:
    """A process killed at any moment leaves every call that it was told is written, and a sound file."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(journal.path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    for _ in range(20):
        told = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    told = int(rest[-1]) if rest else told
    written = [call.arguments["n"] for call in journal.calls(RUN)]
    assert written[: told + 1] == list(range(told + 1))
    with sqlite3.connect(journal.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    journal.record(RUN, {"n": "after"}, result())
    assert journal.calls(RUN)[-1].arguments == {"n": "after"}


def test_of_many_processes_one_alone_claims_a_submission(journal: Journal) -> None:
    """However many processes try at once, one may send the workflow and the others are told so."""
    journal.start(record())
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(journal.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for claimer in claimers:
        assert claimer.stdin
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    answers = sorted(claimer.communicate()[0].strip() for claimer in claimers)
    assert answers == ["False", "False", "False", "True"]
    (only,) = journal.submissions(RUN)
    assert (only.state, only.values, only.pool) == ("claimed", {"dataset": "cars"}, "local")
    assert only.pid in {claimer.pid for claimer in claimers}


def test_a_claim_can_be_taken_over_once(journal: Journal) -> None:
    """Of two processes that find a dead claim, one takes it over; a sent workflow is nobody's to take."""
    assert journal.claim(RUN, "0", VALUES, "local")
    (dead,) = journal.submissions(RUN)
    assert journal.reclaim(RUN, dead)
    assert not journal.reclaim(RUN, dead)
    journal.settle(RUN, "0", "sent", "cars-1")
    (sent,) = journal.submissions(RUN)
    assert not journal.reclaim(RUN, sent)
    assert (sent.workflow_id, sent.pid) == ("cars-1", os.getpid())


def test_a_failed_write_leaves_no_lock_behind(journal: Journal) -> None:
    """After a refused write the next one goes through: a transaction never stays open."""
    journal.start(record())
    with pytest.raises(sqlite3.IntegrityError):
        journal.start(record())
    other = Journal(journal.path)
    other.record(RUN, {}, result())
    other.close()
    assert len(journal.calls(RUN)) == 1
