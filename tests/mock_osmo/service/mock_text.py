"""How the CLI prints: tables, errors, progress bars, warnings."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

GAP = "   "


class Refused(Exception):
    """The command fails: what is printed, its code, the exit code, and whether a service said so."""

    def __init__(
        self, message: str, *, code: int = 400, exit_code: int = 2, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.exit_code = message, code, exit_code
        self.status = status or (code if code != 1 else None)


def out(text: str) -> None:
    """Print a line to standard output."""
    sys.stdout.write(text + "\n")


def err(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(text + "\n")


def dump(document: Any, indent: int = 2) -> None:
    """Print JSON."""
    out(json.dumps(document, indent=indent))


def fail(refused: Refused, *, as_json: bool) -> NoReturn:
    """Print an error as the CLI does and end the process."""
    if refused.status is not None:
        err(f"Server responded with status code {refused.status}")
    if as_json:
        dump({"message": refused.message, "code": refused.code})
    else:
        out(f"Error message: {refused.message}\nError code: {refused.code}")
    sys.stdout.flush()
    raise SystemExit(refused.exit_code)


def server_error(detail: str, status: int = 500) -> Refused:
    """Return the failure of the service itself."""
    body = json.dumps({"message": f"Internal server error: {detail}"}, separators=(",", ":"))
    text = (
        f"Status Code: {status}\nHeader:\n  date: Mon, 23 Nov 2026 17:34:36 GMT\n  server: uvicorn\n"
        f"  content-length: {len(body)}\n  content-type: application/json\nBody:\n{body}"
    )
    return Refused(text, code=status, exit_code=10)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines: the headings, a rule, the rows."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    rule = "=" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return [_row(headings, widths), rule, *(_row(row, widths) for row in rows)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


def pool_table(rows: Sequence[Sequence[str]], figures: Sequence[str], sums: Sequence[str]) -> list[str]:
    """Return the table of pools, with its second line of headings and its sums."""
    plain = ("Pool", "Description", "Status")
    every = [(*plain, *figures), *rows, ("", "", "", *sums)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    total = sum(widths) + len(GAP) * (len(widths) - 1)
    first = _row((*plain, "GPU [#]"), [*widths[:3], total - sum(widths[:3]) - 3 * len(GAP)])
    second = _row(("", "", "", *figures), widths)
    rule = "=" * total
    return [
        first,
        second,
        rule,
        *(_row(row, widths) for row in rows),
        rule,
        _row(("", "", "", *sums), widths),
    ]


def bar(done: int, total: int, name: str) -> str:
    """Return a progress bar's text."""
    percent = 100 * done // total if total else 100
    return (
        f"\r{percent:3d}%|\x1b[38;2;118;185;0m{'█' * (percent // 10):10s}\x1b[0m| "
        f"{_size(done)}/{_size(total)} [00:01<00:00, 8.88B/s, file_name={name}]"
    )


def _size(number: float) -> str:
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 999.5:
            digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
            return f"{number:.{digits}f}{unit}"
        number /= 1000
    return f"{number:.1f}P"
