"""For every storage URL that can be written: nothing is lost on the way in and out."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from skill_tools.errors import InputError, NeedsInput
from skill_tools.storage.url import (
    DATASET_PATTERN,
    MIN_COMPONENTS,
    check_dataset_name,
    dataset_name_like,
    derive,
    file_path,
    file_url,
    parse,
)

components = st.text(
    st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="/,;*?#\\"),
    min_size=1,
    max_size=12,
).filter(lambda text: text not in {".", ".."} and not any(char.isspace() for char in text))
datasets = st.from_regex(DATASET_PATTERN, fullmatch=True).filter(lambda name: len(name) <= 64)


@st.composite
def storages(draw: st.DrawFn) -> str:
    """Write the URL of a storage, with a prefix or without."""
    scheme = draw(st.sampled_from(sorted(MIN_COMPONENTS)))
    least = MIN_COMPONENTS[scheme]
    parts = draw(st.lists(components, min_size=least, max_size=least + 3))
    return ("file:///" if scheme == "file" else f"{scheme}://") + "/".join(parts)


@given(storages())
def test_a_url_survives_being_taken_apart(url: str) -> None:
    """Every storage URL is written out again to the letter."""
    assert str(parse(url)) == url
    assert parse(str(parse(url))) == parse(url)


@given(storages(), datasets, st.lists(components.filter(lambda part: part != "datasets"), max_size=2))
def test_deriving_is_the_inverse_of_placing_a_data_set(storage: str, dataset: str, below: list[str]) -> None:
    """Whatever lies below a data set, its storage is found again exactly."""
    found = derive("/".join([storage, "datasets", dataset, *below]))
    assert (found.storage_url, found.dataset) == (storage, dataset)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_an_error_in_words(text: str) -> None:
    """Nothing that somebody pastes makes the parser fail in another way."""
    error = _error_of(text)
    assert error is None or (error.message and error.expected and error.remedy)


def _error_of(text: str) -> InputError | NeedsInput | None:
    try:
        derive(text)
    except (InputError, NeedsInput) as error:
        return error
    return None


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40))
def test_any_folder_name_survives_the_way_through_a_url(name: str) -> None:
    """A path that this machine can have has a URL, and comes back from it."""
    if name in {".", ".."}:
        return
    folder = PurePosixPath("/srv") / name
    assert str(file_path(file_url(folder))) == str(folder)  # type: ignore[arg-type]  # a pure path does


@given(st.text(max_size=100))
def test_the_nearest_data_set_name_is_always_valid(text: str) -> None:
    """Whatever a folder is called, a data set can be named after it; a valid name stays itself."""
    near = dataset_name_like(text)
    assert check_dataset_name(near) == near
    assert dataset_name_like(near) == near
