"""Words on a picture: legible whatever the text, and never outside their plate."""

from __future__ import annotations

import numpy as np
import pytest

from skill_tools.media.drawing import plate, readable, stamp


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("campus_walkway", "campus_walkway"),
        ("Straße, café, Łódź", "Strasse, cafe, Lodz"),
        ("a \N{EM DASH} b\N{NON-BREAKING HYPHEN}c", "a - b-c"),
        ("\u8def\u53e3 cam", "?? cam"),
        ("tab\there\u200b\x07", "tab here"),
    ],
)
def test_text_is_shown_in_characters_that_the_font_has(text: str, shown: str) -> None:
    """Accents go, ligatures are spelled out, other scripts become one question mark a character."""
    assert readable(text) == shown


@pytest.mark.parametrize("title", ["Variant 0", "a_very_long_name_" * 12, "", "\u8def" * 400])
@pytest.mark.parametrize("max_width", [60, 400])
def test_a_plate_is_never_wider_than_its_room(title: str, max_width: int) -> None:
    """What doesn't fit is cut, for titles and values alike."""
    values = {"weather": "rain", "time_of_day": "golden_hour", "surface_condition": "x" * 200}
    assert plate(title, values, picture_height=720, max_width=max_width).width <= max_width


def test_values_wrap_into_lines_where_they_do_not_fit_one() -> None:
    """A narrow plate is higher than a wide one of the same words."""
    values = {"weather": "rain", "time_of_day": "evening", "surface_condition": "wet"}
    wide = plate("Variant 0", values, picture_height=720, max_width=1000)
    narrow = plate("Variant 0", values, picture_height=720, max_width=260)
    assert narrow.height > wide.height
    assert narrow.width <= 260 < wide.width


def test_words_are_smooth_and_stand_out() -> None:
    """On white and on black alike there are light words on a darker plate, with soft edges."""
    for ground in (0, 255):
        picture = np.full((200, 400, 3), ground, np.uint8)
        stamp(picture, plate("Original", {}, picture_height=720, max_width=380), 10, 10)
        region = picture[10:60, 10:130].astype(int)
        assert region.max() >= 250
        assert np.median(region) < 100
        assert len(np.unique(region)) > 30


def test_a_stamp_at_the_edge_is_cut_off() -> None:
    """Sticking out changes only what lies in the picture; wholly outside, nothing."""
    picture = np.full((40, 40, 3), 128, np.uint8)
    label = plate("Original", {}, picture_height=720, max_width=380)
    stamp(picture, label, 40, 0)
    assert (picture == 128).all()
    stamp(picture, label, 20, 20)
    assert (picture[:20] == 128).all()
    assert not (picture[25:, 25:] == 128).all()
