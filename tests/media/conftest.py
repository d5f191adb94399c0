"""A small run to report on, and a real Chromium to see it in.

The browser is spoken to over its DevTools pipe: no driver, no port, no dependency.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skill_tools.media.compare import render_compare
from skill_tools.media.contact_sheet import contact_sheet
from skill_tools.media.found_again import FoundAgain
from skill_tools.media.report import (
    ClipReport,
    DecisionEntry,
    Evaluator,
    LabelCounts,
    Question,
    ReportData,
    StageTiming,
    VariantReport,
)
from skill_tools.media.video import ClipWriter

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-startup-window",  # whose new-tab page now and then keeps two cores busy until the end
    "--remote-debugging-pipe",
)
PATIENCE_S = 30.0
# Chromium reads commands from descriptor 3 and answers on 4; this sets them up in the child itself.
LAUNCHER = """
import os, sys
_, reads, writes, *command = sys.argv
os.dup2(int(reads), 3)
os.dup2(int(writes), 4)
os.execvp(command[0], command)
"""
KEY_CODES = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, " ": 32}


class BrowserGone(AssertionError):
    """Chromium closed its pipe or did not answer."""


class Browser:
    """One Chromium process with a profile of its own."""

    def __init__(self, executable: str, profile: Path) -> None:
        to_child, self._to = os.pipe()
        self._from, from_child = os.pipe()
        # Above 3 and 4, so that neither is lost while they are put in place.
        passed = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_child, from_child)]
        self._log = (profile.parent / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCHER,
                *map(str, passed),
                executable,
                *FLAGS,
                f"--user-data-dir={profile}",
            ],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        for fd in (to_child, from_child, *passed):
            os.close(fd)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._from, selectors.EVENT_READ)
        self._buffer, self._last_id = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        """Send a DevTools command and return its result."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self._next(deadline)).get("id") != self._last_id:
            self.events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, event: str, session: str) -> None:
        """Wait until `event` has come for the session."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(e.get("method") == event and e.get("sessionId") == session for e in self.events):
            self.events.append(self._next(deadline))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not self._ready.select(max(0.0, deadline - time.monotonic())):
                raise BrowserGone(f"Chromium did not answer within {PATIENCE_S} s; see {self._log.name}")
            got = os.read(self._from, 1 << 20)
            if not got:
                raise BrowserGone(f"Chromium ended; see {self._log.name}")
            self._buffer += got
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def close(self) -> None:
        """End the process and its children."""
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self._ready.close()
        for fd in (self._to, self._from):
            os.close(fd)
        self._log.close()


@dataclass
class Page:
    """One tab; `problems` and `requests` tell what went wrong and what was asked of the network."""

    browser: Browser
    target: str
    session: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """Send a DevTools command to this tab."""
        return self.browser.call(method, self.session, **params)

    def open(self, address: str | Path) -> None:
        """Load a file or an address and wait until it has loaded."""
        self.browser.events.clear()
        self.send("Page.navigate", url=address.as_uri() if isinstance(address, Path) else address)
        self.browser.wait_for("Page.loadEventFired", self.session)

    def js(self, expression: str) -> Any:
        """Evaluate an expression in the page; a promise is awaited."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Evaluate until it is true and return the value."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := self.js(expression)):
            if time.monotonic() > deadline:
                raise AssertionError(f"never became true: {expression}; {self.problems}")
            time.sleep(0.05)
        return value

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key, as a keyboard does."""
        code = KEY_CODES.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                modifiers=8 if shift else 0,
                **({"text": key} if kind == "keyDown" and len(key) == 1 else {}),
            )

    def look(self, *, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Set the size of the window, the colour scheme and the medium."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.send(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self, target: Path, *, whole: bool = False) -> Path:
        """Write what the window shows, or the whole page, as a PNG."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        target.write_bytes(base64.b64decode(data))
        return target

    @property
    def problems(self) -> list[str]:
        """Exceptions, console errors and warnings, refusals by the content security policy."""
        found = []
        for event in self._mine():
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
                found.append(str(params["args"]))
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for, without those inside itself (`data:` and `blob:`)."""
        asked = (
            e["params"]["request"]["url"] for e in self._mine() if e["method"] == "Network.requestWillBeSent"
        )
        return [url for url in asked if not url.startswith(("data:", "blob:"))]

    def _mine(self) -> list[dict[str, Any]]:
        return [event for event in self.browser.events if event.get("sessionId") == self.session]


def _executable() -> str | None:
    named = os.environ.get("VDA_CHROMIUM")
    if named:
        return named
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or (str(MACOS) if MACOS.exists() else None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run a Chromium; `VDA_REQUIRE_BROWSER=1` makes its absence a failure instead of a skip."""
    executable = _executable()
    if executable is None:
        reason = f"no Chromium on PATH ({', '.join(NAMES)}) and VDA_CHROMIUM is not set"
        if os.environ.get("VDA_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    running = Browser(executable, tmp_path_factory.mktemp("chromium") / "profile")
    try:
        running.call("Browser.getVersion")
        yield running
    finally:
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a tab with storage of its own, its console and its network watched."""
    context = browser.call("Target.createBrowserContext")["browserContextId"]
    target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    tab = Page(browser, target, session)
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.send(f"{domain}.enable")
    tab.look()
    yield tab
    browser.call("Target.disposeBrowserContext", browserContextId=context)


@dataclass(frozen=True)
class SmallRun:
    """A folder with a clip, a variant, their side by side and contact sheet, all real and small."""

    folder: Path

    def variant(self, index: int = 0, **changes: Any) -> VariantReport:
        """Return the facts of a variant, with `changes` to them."""
        made = VariantReport(
            name=f"Variant {index}",
            aug_idx=index,
            sampled_vars={"weather": "rain", "time_of_day": "evening"},
            video=self.folder / "variant.mp4",
            compare=self.folder / "compare.mp4",
            contact_sheet=self.folder / "sheet.jpg",
            label_counts=LabelCounts.of(
                {"tracks": {"person": 5, "car": 2}, "detections": {"person": 90, "car": 24}},
                {"tracks": {"person": 4, "truck": 1}, "detections": {"person": 80, "truck": 3}},
            ),
            found_again=FoundAgain(114, 93),
            evaluators=(Evaluator("hallucination_check", passed=True, score=0.81, threshold=0.682),),
            questions=(Question("Is it raining?"),),
            metadata={"seed": 42},
        )
        return replace(made, **changes)

    def clip(self, *variants: VariantReport, **changes: Any) -> ClipReport:
        """Return the facts of the clip with these variants."""
        made = ClipReport(video="junction", input=self.folder / "original.mp4", variants=variants)
        return replace(made, **changes)

    def data(self, *clips: ClipReport, **changes: Any) -> ReportData:
        """Return the facts of the run, by default one clip with one variant."""
        made = ReportData(
            run_id="run-0123abcd",
            flow="e2e",
            engine="local",
            created=datetime(2025, 11, 3, 9, 30, tzinfo=UTC),
            clips=clips or (self.clip(self.variant()),),
            stages=(StageTiming("setup", 1.5), StageTiming("augmentation", 4.5, "8 frames a second")),
            decisions=(DecisionEntry("FLOW-DEFAULT", "fix", "No flow was named.", "select_flow", 1.76e9),),
        )
        return replace(made, **changes)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """Make the clips of a small run: 24 frames, 12 a second, a square that moves to the right."""
    folder = tmp_path_factory.mktemp("run-0123abcd")
    for name, ground in (("original", 190), ("variant", 70)):
        with ClipWriter(folder / f"{name}.mp4", width=160, height=120, rate=Fraction(12)) as clip:
            for index in range(24):
                picture = np.full((120, 160, 3), ground, np.uint8)
                picture[80:100, 6 * index : 6 * index + 20] = (40, 90, 220)
                clip.write_bgr(picture, index)
    original, variant = folder / "original.mp4", folder / "variant.mp4"
    words = {"weather": "rain", "time_of_day": "evening"}
    render_compare(
        original,
        variant,
        folder / "compare.mp4",
        left="Original",
        right="Variant 0",
        caption=words,
        height=240,
    )
    contact_sheet(original, [("Variant 0", variant)], folder / "sheet.jpg")
    return SmallRun(folder)
