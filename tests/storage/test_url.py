"""Storage URLs: taken apart without loss, derived where they say enough, asked about where they don't."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.errors import InputError, NeedsInput
from skill_tools.storage.url import (
    Layout,
    check_dataset_name,
    dataset_name_like,
    derive,
    file_path,
    file_url,
    is_stem,
    parse,
)

STORAGES = [
    ("s3://lab", "s3://lab"),
    ("s3://lab/team/a", "s3://lab"),
    ("gs://lab", "gs://lab"),
    ("azure://acct/container", "azure://acct/container"),
    ("azure://acct/container/pre/fix", "azure://acct/container"),
    ("swift://host.example:8080/AUTH_team/container", "swift://host.example:8080/AUTH_team/container"),
    ("tos://tos-cn-beijing.example/bucket", "tos://tos-cn-beijing.example/bucket"),
    ("tos://tos-cn-beijing.example/bucket/prefix", "tos://tos-cn-beijing.example/bucket"),
    ("file:///srv/storage", "file:///srv/storage"),
]


@pytest.mark.parametrize(("url", "bucket"), STORAGES)
def test_every_scheme_is_known_with_its_bucket(url: str, bucket: str) -> None:
    """A URL of each scheme comes back to the letter, and knows the part that names its bucket."""
    assert str(parse(url)) == url
    assert parse(url).bucket == bucket


@pytest.mark.parametrize(("storage", "_bucket"), STORAGES)
@pytest.mark.parametrize("below", ["", "/", "//", "/clip.mp4", "/deep/er/clip.mp4"])
def test_the_storage_is_what_stands_before_the_data_set(storage: str, _bucket: str, below: str) -> None:
    """`…/datasets/<dataset>[/…]` is taken off, for every scheme and with anything below."""
    found = derive(f"{storage}/datasets/vda-demo{below}")
    assert (found.storage_url, found.dataset) == (storage, "vda-demo")
    assert found.dataset_url == f"{storage}/datasets/vda-demo"
    assert found.video == ("clip" if below == "/clip.mp4" else None)


def test_a_prefix_may_hold_a_folder_of_that_name_too() -> None:
    """The last `datasets` folder counts; a bucket or account of that name never does."""
    assert derive("s3://lab/datasets/old/datasets/cars").storage_url == "s3://lab/datasets/old"
    assert derive("s3://datasets/datasets/cars").storage_url == "s3://datasets"
    assert derive("azure://datasets/lab/datasets/cars").storage_url == "azure://datasets/lab"


def test_a_clip_is_no_data_set() -> None:
    """A clip directly below `datasets` names no data set, so there is nothing to derive."""
    with pytest.raises(NeedsInput):
        derive("s3://lab/datasets/clip.mp4")


@pytest.mark.parametrize(
    "url",
    [
        "s3://lab/cars",
        "s3://lab/datasets",
        "s3://lab/datasets/",
        "s3://datasets/cars",
        "azure://datasets/cars/clip.mp4",
        "gs://lab/Datasets/cars",
        "file:///srv/cars",
    ],
)
def test_what_the_url_does_not_say_is_asked_and_never_guessed(url: str) -> None:
    """A URL without a data set's folder gives one question that names it."""
    with pytest.raises(NeedsInput) as caught:
        derive(url)
    assert url in caught.value.message
    assert "datasets" in caught.value.expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lab/datasets/cars",
        "/srv/datasets/cars",
        "s3:/lab/datasets/cars",
        "s3://",
        "s3:///datasets/cars",
        "http://lab/datasets/cars",
        "https://lab.example/datasets/cars",
        "abfs://lab/datasets/cars",
        "azure://acct",
        "swift://host/acct",
        "tos://endpoint",
        "file://srv/datasets/cars",
        "file:srv",
        "s3://lab//datasets/cars",
        "s3://lab/datasets/ca rs",
        "s3://lab/datasets/cars;rm",
        "s3://lab/datasets/cars?x=1",
        "s3://lab/datasets/cars#top",
        "s3://lab/datasets/*",
        "s3://lab/datasets/a,b",
        "s3://lab/../other/datasets/cars",
        "s3://lab/./datasets/cars",
        "s3://lab\\datasets\\cars",
        "s3://lab/datasets/ca\nrs",
        "s3://lab/datasets/\u2028cars",
    ],
)
def test_what_is_no_storage_url_is_refused_with_the_forms_that_are(url: str) -> None:
    """An unknown scheme, a missing bucket, an empty part or a sign that storages refuse is an error."""
    with pytest.raises(InputError) as caught:
        derive(url)
    assert "s3://bucket" in caught.value.expected


def test_schemes_are_read_in_any_case_and_spaces_around_are_no_part() -> None:
    """What people paste is understood; what is kept is the canonical form."""
    assert str(parse("  S3://Lab/Team/ \n")) == "s3://Lab/Team"


@pytest.mark.parametrize(
    "name", ["9lives", "-cars", "cars-", "my cars", "größe", "a/b", "", "a" * 65, "cars_"]
)
def test_a_name_that_no_workflow_can_have_gets_the_nearest_one(name: str) -> None:
    """A data set's name is the workflow's too; what OSMO would refuse is refused with a valid one."""
    with pytest.raises(InputError) as caught:
        check_dataset_name(name)
    assert check_dataset_name(dataset_name_like(name)) in caught.value.remedy


def test_a_data_set_whose_name_is_none_is_refused_where_it_is_derived() -> None:
    """A URL with a data set that no workflow can be named after is refused, not asked about."""
    with pytest.raises(InputError, match="9lives"):
        derive("s3://lab/datasets/9lives")


@pytest.mark.parametrize("video", ["clip", "clip-1", "a.b.c", "0001", "A_b"])
def test_a_stem_is_a_base_name(video: str) -> None:
    """Letters, digits, dots, underscores and dashes make a stem."""
    assert is_stem(video)


@pytest.mark.parametrize(
    "video", ["", "clip.mp4", "clip.MOV", "a/b", "../clip", "-clip", ".clip", "a b", "clip\n", "ä", "a,b"]
)
def test_what_is_no_stem(video: str) -> None:
    """Separators, extensions and other signs make none."""
    assert not is_stem(video)


@pytest.mark.parametrize(
    "folder", ["/srv/data", "/srv/my clips/it's 100 %", "/srv/grüße/データ", "/srv/a;b?c#d,e*"]
)
def test_any_folder_of_this_machine_has_a_url(folder: str) -> None:
    """Spaces, quotes, percent signs and all letters survive the way into a URL and back."""
    assert file_path(file_url(Path(folder))) == Path(folder)
    derived = derive(file_url(Path(folder)) + "/datasets/cars")
    assert file_path(derived.storage_url) == Path(folder)


def test_a_remote_url_is_no_path() -> None:
    """Only `file` URLs lie on this machine."""
    with pytest.raises(InputError, match="not on this machine"):
        file_path("s3://lab/cars")


def test_the_layout_of_a_run() -> None:
    """Clips, outputs and caches of a run lie where every flow looks for them."""
    layout = Layout("azure://acct/box", "cars", "run-0a1b2c3d")
    assert layout.dataset_url == "azure://acct/box/datasets/cars"
    assert layout.run_url == "azure://acct/box/datasets/cars-outputs/run-0a1b2c3d"
    assert layout.cosmos_cache_url == "azure://acct/box/data/models/cosmos_transfer"
    assert layout.labeling_cache_url == "azure://acct/box/data/models/auto_labeling"
