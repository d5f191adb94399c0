"""The report: one file, self-contained, true to the facts, safe whatever the facts say."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from skill_tools.errors import ArtifactError
from skill_tools.media.report import (
    EMBED_LIMIT_BYTES,
    Answer,
    Count,
    Evaluator,
    LabelCounts,
    Question,
    StageTiming,
    headline,
    write_report,
)
from skill_tools.media.report_page import timeline, total_seconds

HOSTILE = "<script>window.pwned=1</script>\"'><img src=x onerror=pwned()>{{ 7*7 }}</script><!--"


@dataclass
class Page(HTMLParser):
    """What a browser finds in the page: elements with attributes, scripts, visible text."""

    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        """Parse at once."""
        super().__init__(convert_charrefs=True)
        self._script: dict[str, str | None] | None = None
        self._style = False
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))
        self.text += " " if tag in {"td", "th", "li", "p", "dd", "small"} else ""
        self._script = dict(attrs) if tag == "script" else self._script
        self._style = tag == "style" or self._style

    def handle_endtag(self, tag: str) -> None:
        """Close a script or a style."""
        self._script = None if tag == "script" else self._script
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        """Keep scripts apart from what people read."""
        if self._script is not None:
            self.scripts.append((self._script, data))
        elif not self._style:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        """Return every value of an attribute."""
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    @property
    def words(self) -> str:
        """The text with its white space folded."""
        return " ".join(self.text.split())


def page_of(path: Path) -> Page:
    """Parse a written page."""
    return Page(path.read_text("utf-8"))


def player_items(page: Page) -> list[dict[str, Any]]:
    """Return what the page tells its player."""
    return next(json.loads(body) for attrs, body in page.scripts if attrs.get("id") == "items")


def test_the_page_tells_what_the_run_made(small_run: Any, tmp_path: Path) -> None:
    """Headline, values, counts with their change, checks, stages and decisions are all there in words."""
    write_report(small_run.data(cookbook="city_traffic", notes=("Two cores.",)), tmp_path / "report.html")
    words = page_of(tmp_path / "report.html").words
    for expected in (
        "One variant of junction (rain, evening), beside its original, with labels.",
        "run-0123abcd",
        "city traffic",
        "weather rain time of day evening",
        "person 5 4 \N{MINUS SIGN}1",
        "truck 0 1 +1",
        "All 7 5 \N{MINUS SIGN}2",
        "82% of the original's 114 boxes are found again on the variant",
        "Hallucination check passed score 0.810, threshold 0.682",
        "setup 1.5 s augmentation 8 frames a second 4.5 s",
        "FLOW-DEFAULT fix select_flow",
        "Two cores.",
    ):
        assert expected in words


def test_the_page_holds_its_media_and_refers_to_nothing_outside(small_run: Any, tmp_path: Path) -> None:
    """Every source is a data URL or an element of the page; links lead to files of the run only."""
    target = small_run.folder / "report.html"
    write_report(small_run.data(), target)
    page = page_of(target)
    assert all(source.startswith("data:image/") for source in page.attributes("src"))
    assert {link for link in page.attributes("href") if not link.startswith(("#", "data:"))} == {
        "original.mp4",
        "variant.mp4",
        "compare.mp4",
        "sheet.jpg",
    }
    assert not re.search(r"https?://|url\(|@import", target.read_text("utf-8"))
    sources = {view["source"] for item in player_items(page) for view in item["views"]}
    assert sources == {"#media-0"}
    assert "media-0" in page.attributes("id")
    assert "are inside this page" in page.words


def test_a_film_that_several_views_show_travels_once(small_run: Any, tmp_path: Path) -> None:
    """Side by side and wipe, and three variants of one film, share one copy of it."""
    variants = [small_run.variant(k) for k in range(3)]
    write_report(small_run.data(small_run.clip(*variants)), tmp_path / "report.html")
    page = page_of(tmp_path / "report.html")
    assert sum(attrs.get("type") == "text/plain" for attrs, _ in page.scripts) == 1


def test_more_media_than_the_limit_stay_beside_the_page(small_run: Any, tmp_path: Path) -> None:
    """Over 24 MiB the page links its media by relative, encoded paths and says so."""
    folder = tmp_path / "a run, 100% #1"
    shutil.copytree(small_run.folder, folder)
    film = folder / "compare.mp4"
    padding = EMBED_LIMIT_BYTES
    with film.open("ab") as out:
        out.write(padding.to_bytes(4, "big") + b"free" + bytes(padding - 8))
    variant = small_run.variant(compare=film, contact_sheet=folder / "sheet.jpg")
    write_report(small_run.data(small_run.clip(variant)), tmp_path / "pages" / "report.html")
    page = page_of(tmp_path / "pages" / "report.html")
    side = player_items(page)[0]["views"][0]
    assert side["source"] == "../a%20run%2C%20100%25%20%231/compare.mp4"
    assert "../a%20run%2C%20100%25%20%231/sheet.jpg" in page.attributes("src")
    assert "lie beside it" in page.words
    assert (tmp_path / "pages" / "report.html").stat().st_size < 1_000_000


def test_hostile_words_stay_words(small_run: Any, tmp_path: Path) -> None:
    """Names, values, reasons and metadata that look like markup add no element and no script."""
    plain, hostile = tmp_path / "plain.html", tmp_path / "hostile.html"
    write_report(_wordy(small_run, "x"), plain)
    write_report(_wordy(small_run, HOSTILE), hostile)
    calm, tried = page_of(plain), page_of(hostile)
    assert [tag for tag, _ in tried.elements] == [tag for tag, _ in calm.elements]
    assert [sorted(attrs) for _, attrs in tried.elements] == [sorted(attrs) for _, attrs in calm.elements]
    assert "49" not in tried.words.replace(HOSTILE, "")
    assert tried.words.count("window.pwned=1") > 10
    policy = next(a["content"] for _, a in tried.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def _wordy(small_run: Any, words: str) -> Any:
    variant = small_run.variant(
        name=words,
        sampled_vars={words: words},
        label_counts=LabelCounts.of({"tracks": {words: 1}}, {"tracks": {words: 2}}),
        evaluators=(Evaluator(words, passed=None, detail=words),),
        questions=(Question(words, Answer("answered", words, words), Answer(words, reason=words)),),
        metadata={words: words},
    )
    decision = small_run.data().decisions[0].__class__(words, words, words, words, 0.0)
    return small_run.data(
        small_run.clip(variant, video=words),
        small_run.clip(variant, video=words + "2"),
        run_id=words,
        flow=words,
        engine=words,
        engine_reason=words,
        dataset=words,
        cookbook=words,
        demo_source=words,
        stages=(StageTiming(words, 1.0, words),),
        decisions=(decision,),
        notes=(words,),
    )


def test_a_missing_film_is_an_error_and_the_old_page_stays(small_run: Any, tmp_path: Path) -> None:
    """A page never claims what isn't there: the error names the file, and nothing was changed."""
    target = tmp_path / "report.html"
    target.write_text("before")
    data = small_run.data(small_run.clip(small_run.variant(compare=small_run.folder / "gone.mp4")))
    with pytest.raises(ArtifactError, match=r"gone\.mp4") as caught:
        write_report(data, target)
    assert caught.value.code == "artifact.missing"
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_without_a_side_by_side_both_clips_stand_in(small_run: Any, tmp_path: Path) -> None:
    """No film and no still: the page shows the variant and the original, and says why."""
    write_report(small_run.data(small_run.clip(small_run.variant(compare=None))), tmp_path / "report.html")
    page = page_of(tmp_path / "report.html")
    assert [view["key"] for view in player_items(page)[0]["views"]] == ["variant", "original"]
    assert "could not be made" in page.words
    assert "beside its original" not in page.words


def test_a_run_that_only_labels_shows_the_original_and_its_counts(small_run: Any, tmp_path: Path) -> None:
    """Without variants there is one column of counts, no change and no checks."""
    clip = small_run.clip(
        overlay=small_run.folder / "variant.mp4",
        label_counts=LabelCounts.of({"tracks": {"person": 5}, "detections": {}}, None),
    )
    write_report(small_run.data(clip, flow="auto_labeling"), tmp_path / "report.html")
    page = page_of(tmp_path / "report.html")
    assert "junction, labelled." in page.words
    assert "person 5" in page.words
    assert "Change" not in page.words
    assert [view["key"] for view in player_items(page)[0]["views"]] == ["labels", "original"]


def test_a_demo_run_says_where_its_clips_came_from(small_run: Any, tmp_path: Path) -> None:
    """The source of demo clips is named at the head of the page, and only then."""
    write_report(small_run.data(demo_source="nvidia/video-data-augmentation-demo"), tmp_path / "demo.html")
    write_report(small_run.data(), tmp_path / "own.html")
    assert "nvidia/video-data-augmentation-demo" in page_of(tmp_path / "demo.html").words
    assert "demo data set" not in page_of(tmp_path / "own.html").words


def test_the_player_knows_when_each_frame_begins(small_run: Any, tmp_path: Path) -> None:
    """A steady film is described by start and step, so that stepping is exact."""
    write_report(small_run.data(), tmp_path / "report.html")
    side, wipe = player_items(page_of(tmp_path / "report.html"))[0]["views"]
    assert side["times"] == {"n": 24, "start": 0.0, "step": pytest.approx(1 / 12)}
    assert (side["split"], wipe["split"]) == (None, 0.5)


def test_label_counts_come_from_the_summaries() -> None:
    """A class that one side lacks counts 0 there; a side that was not labelled counts nothing at all."""
    both = LabelCounts.of({"tracks": {"car": 2}, "detections": {"car": 9}}, {"tracks": {"person": 1}})
    assert both == LabelCounts(
        tracks={"car": Count(2, 0), "person": Count(0, 1)}, detections={"car": Count(9, 0)}
    )
    assert LabelCounts.of(None, {"tracks": {"car": 3}}).tracks == {"car": Count(None, 3)}
    assert Count(None, 3).difference is None
    assert LabelCounts.of(None, None) is None


def test_evaluators_come_from_the_metadata() -> None:
    """Score, threshold and verdict are read; everything else is put in words."""
    found = Evaluator.all_of(
        {
            "evaluators": {
                "hallucination_check": {"score": 0.5, "threshold": 0.682, "passed": False},
                "attribute_verification": {"passed": True, "weather": {"passed": True, "mean": 0.25}},
                "broken": "not a mapping",
            }
        }
    )
    assert found == (
        Evaluator("hallucination_check", passed=False, score=0.5, threshold=0.682),
        Evaluator("attribute_verification", passed=True, detail="weather passed yes, mean 0.25"),
    )
    assert Evaluator.all_of({}) == ()


def test_questions_of_both_sides_are_paired_by_id() -> None:
    """A question that only one side was asked has no answer on the other."""
    asked = {
        "questions": [{"id": "w", "question": "Weather?", "status": "answered", "answer": ["rain", "fog"]}]
    }
    other = {
        "questions": [{"id": "n", "question": "How many?", "status": "not_answered", "reason": "no VLM"}]
    }
    assert Question.all_of(asked, other) == (
        Question("Weather?", original=Answer("answered", "rain, fog")),
        Question("How many?", augmented=Answer("not_answered", reason="no VLM")),
    )


def test_headlines_count_what_there_is(small_run: Any) -> None:
    """One sentence for one variant, for several, for several clips."""
    one, bare = small_run.variant(), small_run.variant(label_counts=None, sampled_vars={})
    assert headline(small_run.data(small_run.clip(bare))) == "One variant of junction, beside its original."
    assert headline(small_run.data(small_run.clip(one, bare))) == (
        "2 variants of junction, each beside its original, with labels."
    )
    assert headline(small_run.data(small_run.clip(bare), small_run.clip(bare))) == (
        "2 variants of 2 clips, each beside its original."
    )


def test_stages_lie_end_to_end_unless_they_say_when_they_began() -> None:
    """Stages that ran side by side overlap on the time axis; the whole is the last end."""
    stages = (
        StageTiming("setup", 2.0),
        StageTiming("labels", 8.0),
        StageTiming("variants", 6.0, start_s=2.0),
    )
    assert total_seconds(stages) == 10.0
    assert [(s.start_share, s.width_share) for s in timeline(stages)] == [(0.0, 0.2), (0.2, 0.8), (0.2, 0.6)]
    assert timeline(()) == ()


def test_each_judged_value_is_said_in_a_sentence() -> None:
    """A reader sees which sampled value the variant shows, and from which figures that was judged."""
    values = {
        "weather": {"value": "rain", "passed": True, "judged": True, "measured": {"grain_ratio": 1.25}},
        "time_of_day": {"value": "evening", "passed": False, "judged": True, "measured": {}},
        "surface": {"value": "dry", "passed": True, "judged": False},
    }

    (found,) = Evaluator.all_of(
        {"evaluators": {"attribute_verification": {"passed": False, "values": values}}}
    )

    assert found.detail == (
        "weather rain shows (grain ratio 1.25). time of day evening does not show. "
        "surface dry can't be judged."
    )
