"""The report in a real browser: it plays, steps, wipes, switches, and asks nobody for anything."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skill_tools.media.report import EMBED_LIMIT_BYTES, write_report

VIDEO = "document.querySelector('.player video')"
READY = f"{VIDEO}.readyState >= 2 && !{VIDEO}.seeking"
READOUT = "document.querySelector('.player .readout').value"
CURRENT = "document.querySelector('.panel.current').id"
GROUND = "getComputedStyle(document.body).backgroundColor"


def darkness(rgb: str) -> float:
    """Return 0 for a white and 1 for a black `rgb(…)` colour."""
    channels = [int(part) for part in rgb[rgb.index("(") + 1 : -1].split(",")[:3]]
    return 1 - sum(channels) / (3 * 255)


def put(selector: str, value: object) -> str:
    """Return the expression that enters a value in a field."""
    return f"""(() => {{
      const field = document.querySelector({selector!r});
      field.value = {value!r};
      field.dispatchEvent(new Event("input"));
    }})()"""


@pytest.fixture
def report(small_run: Any, page: Any, tmp_path: Path) -> Path:
    """Open a report of one variant and wait until its first frame is there."""
    target = tmp_path / "report.html"
    write_report(small_run.data(), target)
    page.open(target)
    page.until(READY)
    return target


@pytest.fixture
def nine(small_run: Any, page: Any, tmp_path: Path) -> Path:
    """Open a report of three clips with three variants each."""
    weathers = ("rain", "overcast", "clear")
    clips = [
        small_run.clip(
            *(small_run.variant(k, sampled_vars={"weather": weathers[k]}) for k in range(3)), video=name
        )
        for name in ("junction", "square", "a_long_name_" * 8)
    ]
    target = tmp_path / "report.html"
    write_report(small_run.data(*clips), target)
    page.open(target)
    page.until(READY)
    return target


def test_the_side_by_side_plays_from_a_file_without_a_word_to_the_network(page: Any, report: Path) -> None:
    """The film loads, its time advances, the console stays silent, the one request is the page."""
    assert page.js(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [640, 240]
    assert page.js(f"{VIDEO}.duration") == pytest.approx(2.0, abs=0.01)
    page.js("document.querySelector('[data-do=toggle]').click()")
    page.until(f"{VIDEO}.currentTime > 0.2 && !{VIDEO}.paused")
    assert page.js("document.querySelector('[data-do=toggle]').textContent") == "Pause"
    assert page.problems == []
    assert page.requests == [report.as_uri()]


def test_arrow_keys_step_frame_by_frame(page: Any, report: Path) -> None:
    """Right and left move by one frame, with shift by ten, End and Home to the ends; the picture follows."""
    assert page.js(READOUT) == "0.00 s, frame 1 of 24"
    for key, shift, expected in (
        ("ArrowRight", False, "0.08 s, frame 2 of 24"),
        ("ArrowRight", False, "0.17 s, frame 3 of 24"),
        ("ArrowRight", True, "1.00 s, frame 13 of 24"),
        ("ArrowLeft", False, "0.92 s, frame 12 of 24"),
        ("ArrowLeft", True, "0.08 s, frame 2 of 24"),
        ("ArrowLeft", True, "0.00 s, frame 1 of 24"),
    ):
        page.press(key, shift=shift)
        page.until(READY)
        assert page.js(READOUT) == expected
        # The square stands at 6 pixels a frame; the film shows the clip at twice its size.
        frame = int(expected.split("frame ")[1].split()[0]) - 1
        page.until(
            f"Math.abs({SQUARE_AT} - {12 * frame}) <= 3"
        )  # a moment after the film says that it is there
    assert page.js(f"{VIDEO}.paused")
    assert page.problems == []


SQUARE_AT = """(() => {
  const video = document.querySelector(".player video"), canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  const row = pen.getImageData(0, 180, canvas.width / 2, 1).data;
  for (let x = 0; x < canvas.width / 2; x++) if (row[4 * x] - row[4 * x + 2] > 80) return x;
  return -1;
})()"""


def test_the_space_bar_plays_and_speed_keys_change_speed(page: Any, report: Path) -> None:
    """Space starts and stops, `<` and `>` choose among the speeds on offer."""
    page.press(" ")
    page.until(f"!{VIDEO}.paused")
    page.press("<")
    assert page.js(f"{VIDEO}.playbackRate") == 0.5
    page.press(">")
    page.press(">")
    assert page.js(f"{VIDEO}.playbackRate") == 2
    page.press(" ")
    page.until(f"{VIDEO}.paused")


def green_at(share: float) -> str:
    """Return the expression for the wipe's green at a share of its width, below the words."""
    return f"""(() => {{
      const shown = document.querySelector(".player canvas"), copy = document.createElement("canvas");
      copy.width = copy.height = 1;
      const pen = copy.getContext("2d");
      pen.drawImage(shown, shown.width * {share}, shown.height * 0.6, 1, 1, 0, 0, 1, 1);
      return pen.getImageData(0, 0, 1, 1).data[1];
    }})()"""


def test_the_wipe_lays_the_variant_over_the_original(page: Any, report: Path) -> None:
    """In the wipe the left of the handle is the bright original, the right the dark variant."""
    page.press("v")
    page.until("!document.querySelector('.player canvas').hidden")
    assert page.js("document.querySelector('.player canvas').width") == 320
    page.until(f"{green_at(0.3)} > 150 && {green_at(0.8)} < 110")
    page.js(put(".wipe", 90))
    assert page.js(green_at(0.8)) > 150
    assert page.problems == []


def test_colours_follow_the_system_until_the_reader_chooses(page: Any, report: Path) -> None:
    """Dark and light differ, the system's scheme is the default, and the button turns it over."""
    light = page.js(GROUND)
    page.look(scheme="dark")
    dark = page.js(GROUND)
    assert darkness(light) < 0.1
    assert darkness(dark) > 0.85
    page.js("document.getElementById('theme').click()")
    assert page.js(GROUND) == light
    page.look(scheme="light")
    page.js("document.getElementById('theme').click()")
    assert page.js(GROUND) == dark
    assert page.problems == []


def test_the_two_schemes_look_different(page: Any, report: Path, tmp_path: Path) -> None:
    """What is painted, not only what is computed, is light in one and dark in the other."""
    means = []
    for scheme in ("light", "dark"):
        page.look(scheme=scheme)
        with Image.open(page.screenshot(tmp_path / f"{scheme}.png")) as shot:
            means.append(np.asarray(shot.convert("L"))[:150].mean())
    assert means[0] > 200
    assert means[1] < 60


def test_nine_variants_are_walked_through_and_filtered(page: Any, nine: Path) -> None:
    """Keys, cards, addresses and the filter all lead to a variant; one panel shows at a time."""
    visible = "[...document.querySelectorAll('.panel')].filter((p) => p.offsetHeight).map((p) => p.id)"
    assert page.js(visible) == ["item-0"]
    page.press("]")
    assert page.js(visible) == ["item-1"]
    page.press("[")
    page.press("[")
    assert page.js(visible) == ["item-8"]
    page.js("document.querySelector('.card[href=\"#item-4\"]').click()")
    page.until(f"{CURRENT} === 'item-4'")
    assert page.js("document.querySelector('.card[aria-current=true]').hash") == "#item-4"
    page.js(put("#filter", "square cl"))
    cards = "[...document.querySelectorAll('.card')].filter((c) => c.offsetHeight).map((c) => c.hash)"
    assert page.js(cards) == ["#item-5"]
    page.press("]")
    assert page.js(visible) == ["item-5"]
    page.until(READY)
    assert page.problems == []


def test_an_address_opens_its_variant(page: Any, nine: Path) -> None:
    """A link to `#item-7` shows that variant at once."""
    page.open("about:blank")
    page.open(f"{nine.as_uri()}#item-7")
    page.until(f"{CURRENT} === 'item-7'")


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 1920])
def test_no_width_makes_the_page_scroll_sideways(page: Any, nine: Path, width: int) -> None:
    """From a small phone to a wide screen everything fits the window, long names too."""
    page.look(width=width)
    assert page.js("document.documentElement.scrollWidth") <= width


def test_hostile_words_do_not_run(page: Any, small_run: Any, tmp_path: Path) -> None:
    """A clip, a value and a reason that are markup show as text; no script of theirs runs."""
    words = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
    variant = small_run.variant(name=words, sampled_vars={words: words}, metadata={words: words})
    write_report(small_run.data(small_run.clip(variant, video=words), notes=(words,)), tmp_path / "r.html")
    page.open(tmp_path / "r.html")
    page.until(READY)
    assert page.js("window.pwned") is None
    assert page.js("document.querySelector('.panel h2').textContent").count(words) == 2
    assert page.problems == []


def test_a_script_that_got_into_the_page_would_not_run(page: Any, report: Path) -> None:
    """The content security policy lets the page's own script run and no other."""
    text = report.read_text("utf-8").replace("<main>", "<main><script>window.pwned = 1</script>")
    report.write_text(text, "utf-8")
    page.open(report)
    page.until(READY)
    assert page.js("window.pwned") is None
    assert any("Content Security Policy" in problem for problem in page.problems)


@pytest.fixture
def beside(small_run: Any, tmp_path: Path) -> Path:
    """Write a report whose media are too large to travel inside it."""
    folder = tmp_path / "a run, 100% #1"
    shutil.copytree(small_run.folder, folder)
    with (folder / "compare.mp4").open("ab") as film:
        film.write(EMBED_LIMIT_BYTES.to_bytes(4, "big") + b"free" + bytes(EMBED_LIMIT_BYTES - 8))
    variant = small_run.variant(compare=folder / "compare.mp4", contact_sheet=folder / "sheet.jpg")
    write_report(small_run.data(small_run.clip(variant)), folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def served(beside: Path) -> Iterator[str]:
    """Serve the folder of the large report as a web server would."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(beside.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{beside.name}"
        server.shutdown()
        thread.join()


def test_media_beside_the_page_play_from_a_file(page: Any, beside: Path) -> None:
    """The linked film of a large run plays from `file://`, its contact sheet shows."""
    page.open(beside)
    page.until(READY)
    page.press(" ")
    page.until(f"{VIDEO}.currentTime > 0.1")
    page.until(
        "(() => { const i = document.querySelector('.sheet'); i.scrollIntoView(); return i.naturalWidth; })()"
    )
    assert page.problems == []
    assert all(url.startswith(beside.parent.as_uri()) for url in page.requests)


def test_media_beside_the_page_play_from_a_server(page: Any, served: str) -> None:
    """The same folder behind a web server plays as well, asking that server alone."""
    page.open(served)
    page.until(READY)
    page.press("ArrowRight")
    page.until(READY)
    assert page.js(READOUT) == "0.08 s, frame 2 of 24"
    assert page.problems == []
    assert all(url.startswith(served.rpartition("/")[0]) for url in page.requests)


def test_a_lost_film_is_said_to_be_lost(page: Any, beside: Path) -> None:
    """When the page was moved without its folder, the player says what is wrong."""
    (beside.parent / "compare.mp4").unlink()
    page.open(beside)
    page.until("!document.querySelector('.trouble').hidden")
    assert "without its folder" in page.js("document.querySelector('.trouble').textContent")


def test_without_a_side_by_side_a_still_and_both_clips_are_shown(
    page: Any, small_run: Any, tmp_path: Path
) -> None:
    """The fallback picture comes first; the view key leads on to the variant's own film."""
    variant = small_run.variant(compare=None, still=small_run.folder / "sheet.jpg")
    write_report(small_run.data(small_run.clip(variant)), tmp_path / "r.html")
    page.open(tmp_path / "r.html")
    page.until("document.querySelector('.player .still').naturalWidth > 0")
    page.press("v")
    page.until(f"{VIDEO}.videoWidth === 160")
    assert page.problems == []


def test_paper_shows_every_variant_and_no_controls(page: Any, nine: Path) -> None:
    """Printed, the page is light, has all panels with a picture each, and no player."""
    page.look(media="print", scheme="dark", width=794)
    assert page.js("[...document.querySelectorAll('.panel')].every((p) => p.offsetHeight > 0)")
    assert page.js("[...document.querySelectorAll('.panel .poster')].every((p) => p.offsetHeight > 0)")
    assert page.js("[...document.querySelectorAll('.slot, .rail, #theme')].every((p) => !p.offsetHeight)")
    assert darkness(page.js(GROUND)) < 0.05


def test_everything_to_press_has_a_name(page: Any, nine: Path) -> None:
    """Every button, field and link that shows has words that a screen reader says."""
    nameless = """[...document.querySelectorAll("button, input, select, a, summary")]
      .filter((e) => e.offsetHeight && !(e.getAttribute("aria-label") || e.textContent.trim()
        || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)"""
    assert page.js(nameless) == []
    assert page.js("document.documentElement.lang") == "en"
    assert page.js("document.querySelectorAll('h1').length") == 1
