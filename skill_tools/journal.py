"""Run records, calls, decisions and submissions: one SQLite file that survives a `kill -9`.

Calls and decisions are only ever appended; `passed` points at the newest green call of each tool, so that
what a rule asks costs the same after a thousand calls. A submission is *claimed* before it is sent: the
primary key makes sure that of two processes at the same moment one alone sends it.
"""

from __future__ import annotations

import atexit
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue

from skill_tools.errors import InputError
from skill_tools.tool import Closed, Decision, ToolResult

ASIDE = ("run", "run_script", "check_message", "inspect_engine", "preview")
"""Calls that neither put a question to a person nor answer one, nor say where a run stands.

What `run` asks, a step that it took has asked.
"""
QUIET = f"tool NOT IN {ASIDE}"
REFUSED = ".undefined_variable"
"""How the code of a submit ends whose values an engine could not put in place."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, created REAL NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_age ON runs (created);
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, run_id TEXT, at REAL NOT NULL, tool TEXT NOT NULL, ok INTEGER NOT NULL,
    question TEXT NOT NULL, refused INTEGER NOT NULL, arguments TEXT NOT NULL, result TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_run ON calls (run_id);
CREATE INDEX IF NOT EXISTS asking_calls ON calls (run_id) WHERE {QUIET};
CREATE INDEX IF NOT EXISTS refused_calls ON calls (run_id) WHERE refused = 1;
CREATE TABLE IF NOT EXISTS passed (
    run_id TEXT NOT NULL, tool TEXT NOT NULL, call INTEGER NOT NULL, PRIMARY KEY (run_id, tool)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS judged (
    call INTEGER PRIMARY KEY, seen TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS submissions (
    run_id TEXT NOT NULL, batch TEXT NOT NULL, state TEXT NOT NULL, workflow_id TEXT,
    detail TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (run_id, batch)
) WITHOUT ROWID;
"""

SubmissionState = Literal["claimed", "sent", "refused", "unknown"]
"""`unknown`: it was sent, and nobody could tell whether the engine took it."""


class RunRecord(Closed):
    """What a run was asked to do; written once, by `select_flow`."""

    run_id: str
    created: float
    flow: str
    workflow_file: str
    engine: Literal["local", "osmo"]
    engine_reason: str
    cookbook: str
    dataset: str | None = None
    dataset_url: str | None = None
    storage_url: str | None = None
    clips: tuple[str, ...] = ()
    demo: bool = False
    n_augmentations: int = 1
    variables: dict[str, str] = Field(default_factory=dict)
    vlm_url: str = ""
    llm_url: str = ""
    request: str = ""


@dataclass(frozen=True)
class Call:
    """A call as it was recorded."""

    at: float
    tool: str
    arguments: Mapping[str, JsonValue]
    result: ToolResult
    id: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What the rules saw, beside arguments and run."""


@dataclass(frozen=True)
class SubmissionRecord:
    """One workflow of a run: claimed, then sent, refused, or in the dark."""

    batch: str
    state: SubmissionState
    workflow_id: str | None
    values: Mapping[str, str]
    pool: str
    pid: int
    at: float


class Passed(Mapping[str, Mapping[str, Any]]):
    """By tool, the data of its newest green result in a run; its JSON is read when somebody looks at it."""

    def __init__(self, rows: Iterable[tuple[str, int, str]] = ()) -> None:
        self.numbers: dict[str, int] = {}
        self._results: dict[str, str] = {}
        self._data: dict[str, Mapping[str, Any]] = {}
        for tool, number, result in rows:
            self.numbers[tool], self._results[tool] = number, result

    def __getitem__(self, tool: str) -> Mapping[str, Any]:
        """Return a tool's data."""
        if tool not in self._data:
            self._data[tool] = json.loads(self._results[tool])["data"]
        return self._data[tool]

    def __iter__(self) -> Iterator[str]:
        """Yield the tools."""
        return iter(self._results)

    def __len__(self) -> int:
        """Count the tools."""
        return len(self._results)


class Journal:
    """The journal of a workspace. The file is made with the first thing that is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file; the next use takes it up again."""
        if self._connection is not None:
            _lay_aside(self.path, self._connection)
            self._connection = None

    def start(self, record: RunRecord) -> None:
        """Write a new run. A run id that exists already raises `sqlite3.IntegrityError`."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?)",
                (record.run_id, record.created, record.model_dump_json()),
            )

    def find(self, run_id: str) -> RunRecord | None:
        """Return a run's record, or None where there is none."""
        rows = self._read("SELECT facts FROM runs WHERE run_id = ?", run_id)
        return RunRecord.model_validate_json(rows[0][0]) if rows else None

    def knows(self, run_id: str) -> bool:
        """Tell whether a run was begun here."""
        return bool(self._read("SELECT 1 FROM runs WHERE run_id = ?", run_id))

    def run(self, run_id: str) -> RunRecord:
        """Return a run's record.

        Raises:
            InputError: the workspace has no such run.
        """
        record = self.find(run_id)
        if record is not None:
            return record
        newest = [known.run_id for known in self.runs(limit=3)]
        raise InputError(
            f"There is no run {run_id!r} in this workspace",
            expected=f"a run id such as {', '.join(newest)}" if newest else "a run that was begun here",
            remedy="`vda runs` lists them; `select_flow` begins one",
            code="input.unknown_run",
        )

    def runs(self, limit: int = 50) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        rows = self._read("SELECT facts FROM runs ORDER BY created DESC LIMIT ?", limit)
        return [RunRecord.model_validate_json(row[0]) for row in rows]

    def open_runs(self, limit: int = 50) -> list[RunRecord]:
        """Return the newest runs that have no report yet, newest first."""
        rows = self._read(
            "SELECT facts FROM runs WHERE NOT EXISTS "
            "(SELECT 1 FROM passed WHERE passed.run_id = runs.run_id AND tool = 'report') "
            "ORDER BY created DESC LIMIT ?",
            limit,
        )
        return [RunRecord.model_validate_json(row[0]) for row in rows]

    def record(
        self,
        run_id: str | None,
        arguments: Mapping[str, JsonValue],
        result: ToolResult,
        seen: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Append a call, its result and what the rules saw.

        A call that belongs to no run makes no file, unless it asked something: a question is put once.
        """
        self.append(run_id, result, _json(arguments), result.model_dump_json(), _json(seen) if seen else "")

    def append(self, run_id: str | None, result: ToolResult, arguments: str, text: str, seen: str) -> None:
        """Append a call as `record` does, with arguments, result and what was seen as JSON already."""
        if run_id is None and result.status != "needs_input" and not self.path.exists():
            return
        problem = result.problem
        question = problem.message if problem and result.status == "needs_input" else ""
        refused = bool(problem and result.tool == "submit" and problem.code.endswith(REFUSED))
        with self._writing() as db:
            done = db.execute(
                "INSERT INTO calls (run_id, at, tool, ok, question, refused, arguments, result) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (run_id, time.time(), result.tool, result.ok, question, refused, arguments, text),
            )
            if seen:
                db.execute("INSERT INTO judged VALUES (?, ?)", (done.lastrowid, seen))
            if result.ok and run_id:
                db.execute(
                    "INSERT OR REPLACE INTO passed VALUES (?, ?, ?)", (run_id, result.tool, done.lastrowid)
                )

    def calls(self, run_id: str | None) -> list[Call]:
        """Return the calls of a run in their order; without a run, those that belong to none."""
        rows = self._read(
            "SELECT at, tool, arguments, result, id, seen FROM calls LEFT JOIN judged ON judged.call = id "
            "WHERE run_id IS ? ORDER BY id",
            run_id,
        )
        return [
            Call(
                at,
                tool,
                json.loads(arguments),
                ToolResult.model_validate_json(result),
                id=number,
                seen=json.loads(seen or "{}"),
            )
            for at, tool, arguments, result, number, seen in rows
        ]

    def last_question(self, run_id: str | None) -> str:
        """Return what the newest call of a run asked a person, empty where it asked nothing.

        Without a run: what the newest call that belongs to none asked, as long as no run was begun behind it.
        """
        rows = self._read(
            f"SELECT question, at FROM calls WHERE run_id IS ? AND {QUIET} ORDER BY id DESC LIMIT 1",  # noqa: S608 - it is our own
            run_id,
        )
        question, at = rows[0] if rows else ("", 0.0)
        if run_id is None and question and self._read("SELECT 1 FROM runs WHERE created > ? LIMIT 1", at):
            return ""
        return str(question)

    def refusals(self, run_id: str) -> int:
        """Count the submits of a run that an engine refused."""
        rows = self._read("SELECT COUNT(*) FROM calls WHERE run_id = ? AND refused = 1", run_id)
        return int(rows[0][0]) if rows else 0

    def passed(self, run_id: str, tool: str) -> ToolResult | None:
        """Return the newest result with which a tool did what this run asked of it."""
        rows = self._read(
            "SELECT result FROM passed JOIN calls ON calls.id = passed.call "
            "WHERE passed.run_id = ? AND passed.tool = ?",
            run_id,
            tool,
        )
        return ToolResult.model_validate_json(rows[0][0]) if rows else None

    def passed_by_tool(self, run_id: str) -> Passed:
        """Return, by tool, the data of its newest green result in a run."""
        return Passed(
            self._read(
                "SELECT passed.tool, call, result FROM passed JOIN calls ON calls.id = passed.call "
                "WHERE passed.run_id = ?",
                run_id,
            )
        )

    def decisions(self, run_id: str | None) -> list[Decision]:
        """Return every decision of a run, in order; without a run, those about calls that belong to none."""
        return [decision for call in self.calls(run_id) for decision in call.result.decisions]

    def claim(self, run_id: str, batch: str, values: Mapping[str, str], pool: str) -> bool:
        """Claim the right to send one workflow of a run; False when somebody else has it."""
        with self._writing() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO submissions VALUES (?, ?, 'claimed', NULL, ?, ?)",
                (run_id, batch, _claim(values, pool), time.time()),
            )
            return done.rowcount == 1

    def reclaim(self, run_id: str, record: SubmissionRecord) -> bool:
        """Take over a claim whose process is gone; False when somebody was quicker."""
        with self._writing() as db:
            done = db.execute(
                "UPDATE submissions SET state = 'claimed', detail = ?, at = ? "
                "WHERE run_id = ? AND batch = ? AND at = ? AND state <> 'sent'",
                (_claim(record.values, record.pool), time.time(), run_id, record.batch, record.at),
            )
            return done.rowcount == 1

    def settle(self, run_id: str, batch: str, state: SubmissionState, workflow_id: str | None = None) -> None:
        """Write what became of a claimed submission."""
        with self._writing() as db:
            db.execute(
                "UPDATE submissions SET state = ?, workflow_id = ? WHERE run_id = ? AND batch = ?",
                (state, workflow_id, run_id, batch),
            )

    def submissions(self, run_id: str) -> list[SubmissionRecord]:
        """Return the workflows of a run, in the order of their batches."""
        rows = self._read(
            "SELECT batch, state, workflow_id, detail, at FROM submissions WHERE run_id = ? "
            "ORDER BY at, batch",
            run_id,
        )
        return [
            SubmissionRecord(batch, state, workflow_id, at=at, **json.loads(detail))
            for batch, state, workflow_id, detail, at in rows
        ]

    def run_of_workflow(self, workflow_id: str) -> str | None:
        """Return the run that a workflow was submitted for."""
        rows = self._read("SELECT run_id FROM submissions WHERE workflow_id = ?", workflow_id)
        return str(rows[0][0]) if rows else None

    def _read(self, query: str, *values: str | float | None) -> list[Any]:
        if self._connection is None and not self.path.exists():
            return []
        return self._open().execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one writer's place for a transaction, from its start on."""
        db = self._open()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _taken_up(self.path) or _connected(self.path)
        return self._connection


@dataclass(frozen=True)
class _Spare:
    """A connection that is at rest, and the very file that it is connected to."""

    pid: int
    path: Path
    device: int
    inode: int
    connection: sqlite3.Connection

    def is_for(self, path: Path) -> bool:
        """Tell whether it leads to the file that lies at a path now, from this process."""
        try:
            there = path.stat()
        except OSError:
            return False
        return (self.pid, self.path, self.device, self.inode) == (
            os.getpid(),
            path,
            there.st_dev,
            there.st_ino,
        )


# The last connection of a file copies its log over as it closes, which costs more than a call does; so the
# one that was used last stays open. Taking it out of the list is one step: two threads never have the same.
_spares: list[_Spare] = []


def _taken_up(path: Path) -> sqlite3.Connection | None:
    try:
        spare = _spares.pop()
    except IndexError:
        return None
    if spare.is_for(path):
        return spare.connection
    _close(spare)
    return None


def _lay_aside(path: Path, connection: sqlite3.Connection) -> None:
    try:
        there = path.stat()
    except OSError:
        connection.close()
        return
    if _spares:
        connection.close()
    else:
        _spares.append(_Spare(os.getpid(), path, there.st_dev, there.st_ino, connection))


def _close(spare: _Spare) -> None:
    # A connection of the process that this one was forked from is that process's to close.
    if spare.pid == os.getpid():
        spare.connection.close()
    else:
        _foreign.append(spare.connection)


_foreign: list[sqlite3.Connection] = []


@atexit.register
def _close_spares() -> None:
    while _spares:
        _close(_spares.pop())


def _connected(path: Path) -> sqlite3.Connection:
    """Open the file, and make it where there is none yet.

    Raises:
        InputError: the folder can't be made or written to, or the file is no journal.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.DatabaseError) as error:
        raise _unusable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit has reached the disk when it returns, so a power cut loses no decision.
        connection.execute("PRAGMA synchronous = FULL")
        with closing(connection.cursor()) as cursor:
            cursor.executescript(SCHEMA)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error) from error
    return connection


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The journal of the workspace, {path}, can't be used: {error}",
        expected="a workspace that may be written to, with the journal as it was left",
        remedy="give another workspace; a damaged journal may be moved aside, the runs' files stay",
        code="input.workspace",
    )


def _claim(values: Mapping[str, str], pool: str) -> str:
    return _json({"values": dict(values), "pool": pool, "pid": os.getpid()})


def _json(value: Mapping[str, JsonValue] | Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
