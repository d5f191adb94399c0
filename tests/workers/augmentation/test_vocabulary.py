"""Words become values and strengths; contradictions are resolved by rule or refused."""

from __future__ import annotations

from itertools import product

import pytest

from skill_tools.errors import InputError
from skill_tools.workers.augmentation.effects import EFFECTS
from skill_tools.workers.augmentation.vocabulary import SYNONYMS, VALUES, seed_for, wish_for


def test_every_value_has_an_effect() -> None:
    """Nothing can be asked for that isn't rendered."""
    assert {variable: set(values) for variable, values in VALUES.items()} == {
        variable: set(effects) for variable, effects in EFFECTS.items()
    }


@pytest.mark.parametrize("variable", VALUES)
def test_strengths_are_drawn_in_their_ranges(variable: str) -> None:
    """Each draw lies in its value's range, and equal seeds draw equally."""
    for value, (low, high) in VALUES[variable].items():
        drawn = [
            wish_for({variable: value}, fixed=None, seed=seed, name="a").strength(variable)
            for seed in range(20)
        ]
        again = [
            wish_for({variable: value}, fixed=None, seed=seed, name="a").strength(variable)
            for seed in range(20)
        ]
        assert all(low <= strength <= high for strength in drawn)
        assert drawn == again
        assert len(set(drawn)) > 10


def test_seeds_are_the_same_on_every_machine() -> None:
    """A seed follows from its parts alone, in every process."""
    assert seed_for(42, "junction_aug0", "weather") == 10575613570328568731
    assert seed_for(42, "a", "b") == seed_for(42, "a", "b")
    assert seed_for("ab", "c") != seed_for("a", "bc")


@pytest.mark.parametrize("synonym", [name for name, variable in SYNONYMS.items() if variable == "surface"])
def test_names_of_one_variable_mean_the_same(synonym: str) -> None:
    """`road` and `surface_condition` are the surface."""
    assert wish_for({synonym: "wet"}, fixed=0.5, seed=1, name="a") == wish_for(
        {"surface": "wet"}, fixed=0.5, seed=1, name="a"
    )


@pytest.mark.parametrize(("weather", "surface"), [("rain", "wet"), ("snow", "snow")])
def test_precipitation_decides_over_a_dry_ground(weather: str, surface: str) -> None:
    """Rain on a dry road is a wet road, and that is noted."""
    wish = wish_for({"weather": weather, "surface": "dry"}, fixed=None, seed=1, name="a")
    assert wish.values["surface"] == surface
    assert "surface=dry" in wish.notes[0]


def test_rain_wets_the_ground_unasked() -> None:
    """Rain alone implies wet ground, and that is noted."""
    wish = wish_for({"weather": "rain"}, fixed=None, seed=1, name="a")
    assert wish.values == {"weather": "rain", "surface": "wet"}
    assert wish.notes


@pytest.mark.parametrize(
    ("sampled", "variable", "shown"),
    [
        ({"time": "night", "time_of_day": "midday"}, "time_of_day", "midday"),
        ({"road": "wet", "surface_condition": "dry"}, "surface", "wet"),
    ],
)
def test_names_that_disagree_are_resolved(sampled: dict[str, str], variable: str, shown: str) -> None:
    """It can't be midday and night at once: its own name decides, else the first given one."""
    wish = wish_for(sampled, fixed=None, seed=1, name="a")
    assert wish.values == {variable: shown}
    assert f"contradicts {variable}={shown}, which is shown." in wish.notes[0]


@pytest.mark.parametrize("weather", ["rain", "snow", "fog"])
def test_weather_in_a_room_is_noted(weather: str) -> None:
    """Lamps and what falls from the sky seldom go together; both are shown."""
    wish = wish_for({"lighting": "dim", "weather": weather}, fixed=None, seed=1, name="a")
    assert {"lighting", "weather"} <= wish.values.keys()
    assert any("room" in note for note in wish.notes)


def test_every_combination_is_a_wish() -> None:
    """Whatever is combined, each variable has a value and a strength in that value's range."""
    for combined in product(*([None, *values] for values in VALUES.values())):
        sampled = {name: value for name, value in zip(VALUES, combined, strict=True) if value}
        wish = wish_for(sampled, fixed=None, seed=3, name="a")
        assert sampled.keys() <= wish.values.keys() == wish.strengths.keys()
        for name, value in wish.values.items():
            low, high = VALUES[name][value]
            assert low <= wish.strength(name) <= high


@pytest.mark.parametrize(
    ("sampled", "meant"),
    [({"weather": "rainy"}, "rain"), ({"time_of_day": "evenin"}, "evening"), ({"wether": "rain"}, "weather")],
)
def test_unknown_words_get_the_nearest_known_one(sampled: dict[str, str], meant: str) -> None:
    """A mistyped variable or value is refused with the one that was probably meant."""
    with pytest.raises(InputError) as caught:
        wish_for(sampled, fixed=None, seed=1, name="a")
    assert repr(meant) in caught.value.remedy


def test_a_fixed_strength_is_taken_as_it_is() -> None:
    """A strength can be fixed for all values or by variable."""
    assert wish_for({"weather": "fog"}, fixed=0.1, seed=1, name="a").strength("weather") == 0.1
    by_name = wish_for({"weather": "fog", "road": "wet"}, fixed={"road": 0.2}, seed=1, name="a")
    assert by_name.strength("surface") == 0.2
    assert 0.5 <= by_name.strength("weather") <= 0.85
