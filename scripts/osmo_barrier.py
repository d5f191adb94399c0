#!/usr/bin/env python3
"""Hold a group's lead until every other worker of the group has reported that its work is done.

Rank 0, the lead, serves; every other rank reports to it and may end. So the lead ends last, and with it
the group. All waiting is bounded, names that don't resolve yet and refused connections are retried.

A report is one JSON line, {"run", "size", "rank", "nonce"}; the answer {"accepted", "reason"}. A report
that is sent again (same nonce) is accepted again. A second process under a rank that has reported is
refused, as is one of another run or of another size. Lines that are no report are ignored.

Exit codes: 0 all have reported, or this rank was heard; 2 bad arguments; 3 time ran out (the lead names
the missing ranks); 4 this rank was refused; 5 the lead's port can't be opened.
"""

# ruff: noqa: UP041 - a container may have Python 3.10, where asyncio.TimeoutError is not yet TimeoutError
from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

EXIT_ARGUMENTS, EXIT_TIME, EXIT_REFUSED, EXIT_PORT = 2, 3, 4, 5
LINE_LIMIT_BYTES = 4096
ANSWER_TIMEOUT_S = 10.0
GONE = (OSError, ValueError, asyncio.TimeoutError)
"""What a connection raises that ends, garbles or stalls."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """Which worker this is, of which group of which run, and where its lead is found."""

    rank: int
    size: int
    run: str
    host: str
    port: int
    timeout_s: float
    retry_s: float
    linger_s: float


@dataclass
class Roll:
    """Who has reported so far: rank to the nonce of its process."""

    place: Place
    reported: dict[int, str] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def missing(self) -> list[int]:
        """Return the ranks that haven't reported."""
        return [rank for rank in range(1, self.place.size) if rank not in self.reported]

    def hear(self, report: dict) -> str:
        """Take a report; return why it is refused, or nothing."""
        rank, nonce = report.get("rank"), report.get("nonce")
        if (report.get("run"), report.get("size")) != (self.place.run, self.place.size):
            return f"another run or size: this is {self.place.run!r} with {self.place.size} workers"
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 < rank < self.place.size:
            return f"there is no rank {rank!r} to wait for"
        if self.reported.get(rank, nonce) != nonce:
            return f"rank {rank} has reported already, from another process"
        if rank not in self.reported:
            self.reported[rank] = str(nonce)
            say(f"rank {rank} is done, {len(self.missing())} to go")
        if not self.missing():
            self.complete.set()
        return ""


async def serve(place: Place) -> int:
    """Wait, as the lead, until every other rank has reported."""
    roll = Roll(place)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), ANSWER_TIMEOUT_S)
            report = json.loads(line)
            if isinstance(report, dict):
                reason = roll.hear(report)
                writer.write(json.dumps({"accepted": not reason, "reason": reason}).encode() + b"\n")
                await writer.drain()
        except GONE:
            pass  # not one of ours, or gone before it was answered; a worker of ours asks again
        finally:
            writer.close()

    bind = "127.0.0.1" if place.host in LOOPBACK else None
    try:
        server = await asyncio.start_server(answer, bind, place.port, limit=LINE_LIMIT_BYTES)
    except OSError as error:
        say(f"port {place.port} can't be opened: {error}")
        return EXIT_PORT
    async with server:
        try:
            await asyncio.wait_for(roll.complete.wait(), place.timeout_s)
        except asyncio.TimeoutError:
            ranks = ", ".join(map(str, roll.missing()))
            say(f"no word from rank(s) {ranks} within {place.timeout_s:g} s")
            return EXIT_TIME
        # Stay reachable a moment: a rank whose answer got lost asks again, and outputs get uploaded.
        await asyncio.sleep(place.linger_s)
    say(f"all {place.size} workers are done")
    return 0


async def report(place: Place) -> int:
    """Tell the lead, as any other rank, that the work is done; ask until it answers."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + place.timeout_s
    line = {"run": place.run, "size": place.size, "rank": place.rank, "nonce": uuid.uuid4().hex}
    while True:
        left = deadline - loop.time()
        if left <= 0:
            say(f"rank {place.rank}: the lead at {place.host}:{place.port} did not answer in time")
            return EXIT_TIME
        try:
            answer = await asyncio.wait_for(ask(place, line), min(left, ANSWER_TIMEOUT_S))
        except GONE:
            await asyncio.sleep(min(place.retry_s, left))
            continue
        if answer.get("accepted"):
            say(f"rank {place.rank}: the lead knows")
            return 0
        say(f"rank {place.rank} was refused: {answer.get('reason')}")
        return EXIT_REFUSED


async def ask(place: Place, line: dict) -> dict:
    """Send one report and return the answer; raises one of GONE if the connection ended without one."""
    reader, writer = await asyncio.open_connection(place.host, place.port, limit=LINE_LIMIT_BYTES)
    try:
        writer.write(json.dumps(line).encode() + b"\n")
        await writer.drain()
        answer = json.loads(await reader.readline())
    finally:
        writer.close()
    if not isinstance(answer, dict):
        raise ConnectionError("no answer")
    return answer


def say(text: str) -> None:
    """Write a line to the task's log at once."""
    sys.stdout.write(f"barrier: {text}\n")
    sys.stdout.flush()


def place_from(arguments: Sequence[str] | None) -> Place:
    """Read the arguments; argparse ends the process with 2 when they are wrong."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--rank", type=int, required=True)
    options.add_argument("--size", type=int, required=True, help="how many workers the group has")
    options.add_argument("--run", default="", help="what tells this group from another; the workflow's id")
    options.add_argument("--host", default="127.0.0.1", help="where rank 0 is")
    options.add_argument("--port", type=int, default=12345, help="VDA_BARRIER_PORT overrides it")
    options.add_argument("--timeout-s", type=float, default=7200.0)
    options.add_argument("--retry-s", type=float, default=1.0, help="pause between two tries to report")
    options.add_argument("--linger-s", type=float, default=2.0, help="how long the lead stays afterwards")
    given = options.parse_args(arguments)
    port = os.environ.get("VDA_BARRIER_PORT") or str(given.port)
    if given.size < 1 or not 0 <= given.rank < given.size:
        options.error(f"--rank {given.rank} is not in 0..{given.size - 1}")
    if not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - TCP's ports
        options.error(f"port {port} is not in 1..65535")
    return Place(
        given.rank,
        given.size,
        given.run,
        given.host,
        int(port),
        given.timeout_s,
        given.retry_s,
        given.linger_s,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve or report, by rank; return the exit code."""
    place = place_from(arguments)
    if place.size == 1:
        return 0
    return asyncio.run(serve(place) if place.rank == 0 else report(place))


if __name__ == "__main__":
    sys.exit(main())
