"""Listing, downloading and uploading through the OSMO engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skill_tools.engines.osmo.transfer import key_prefix, read_bar
from skill_tools.errors import ArtifactError, EngineError, EngineUnavailable, InputError, OutcomeUnknown
from tests.mock_osmo.bench import MockOsmo

RUN = {
    "s3://lab/datasets/demo/a.mp4": b"a" * 1500,
    "s3://lab/datasets/demo/sub/b.mp4": b"bb",
    "s3://lab/datasets/demo/sub/empty": b"",
    "s3://lab/datasets/demo/sub/with space.txt": b"cc" * 900,
    "s3://lab/datasets/demo2/c.txt": b"no",
}


@pytest.fixture
def stocked(mock_osmo: MockOsmo) -> MockOsmo:
    """Give a mock with objects in its bucket."""
    for url, content in RUN.items():
        mock_osmo.put(url, content)
    return mock_osmo


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give an empty directory."""
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def found(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


WHOLE = {"a.mp4": b"a" * 1500, "sub/b.mp4": b"bb", "sub/empty": b"", "sub/with space.txt": b"cc" * 900}


def test_list_gives_paths_below_the_url(stocked: MockOsmo) -> None:
    """Keys come relative to the bucket and are made relative to the URL; a neighbour's aren't there."""
    for url in ("s3://lab/datasets/demo", "s3://lab/datasets/demo/"):
        assert {each.path for each in stocked.engine().list(url)} == set(WHOLE)
    assert stocked.engine().list("s3://lab/datasets/dem") == ()
    assert stocked.engine().list("s3://lab/datasets/demo/a.mp4") == ()


def test_list_that_was_cut_short_is_not_taken_for_the_whole(stocked: MockOsmo) -> None:
    """A listing without its closing count is an error, not a shorter listing."""
    with pytest.raises(EngineUnavailable) as caught:
        stocked.engine(MOCK_OSMO_LIST_SHORT="1").list("s3://lab/datasets/demo")
    assert caught.value.code == "engine.garbled"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("s3://nosuchbucket/x", "engine.unknown_bucket"),
        ("gs://bucket/x", "engine.missing_credential"),
        ("file:///tmp", "input.storage_url"),
        ("https://x/y", "input.storage_url"),
        ("s3://lab/a;b", "input.storage_url"),
        ("azure://account", "input.storage_url"),
    ],
)
def test_storage_that_cannot_be_listed_is_a_typed_error(stocked: MockOsmo, url: str, code: str) -> None:
    """A missing bucket, a missing credential and a URL that OSMO doesn't know are told apart."""
    with pytest.raises((EngineError, InputError)) as caught:
        stocked.engine().list(url)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("s3://b", ""),
        ("s3://b/a/c/", "a/c"),
        ("gs://b/a", "a"),
        ("azure://acct/cont/a", "a"),
        ("swift://h/ns/cont/a/b", "a/b"),
        ("tos://h/b/a%20b", "a%20b"),
        ("s3://b/a b#c?d", "a b#c?d"),
    ],
)
def test_key_prefix_is_what_follows_the_container(url: str, prefix: str) -> None:
    """Each scheme has its own number of parts that name the container."""
    assert key_prefix(url) == prefix


def test_download_places_the_structure_below_the_url(stocked: MockOsmo, target: Path) -> None:
    """Contents land directly in the directory; nothing else stays there."""
    told: list[tuple[str, int, int | None]] = []
    placed = stocked.engine().download(
        "s3://lab/datasets/demo/", target, lambda name, done, total: told.append((name, done, total))
    )
    assert found(target) == WHOLE
    assert set(placed) == {target / name for name in WHOLE}
    assert told[-1][1] == told[-1][2]


def test_download_of_one_object_lands_under_its_name(stocked: MockOsmo, target: Path) -> None:
    """The URL of an object, which lists nothing, downloads as a file."""
    assert stocked.engine().download("s3://lab/datasets/demo/a.mp4", target) == (target / "a.mp4",)
    assert found(target) == {"a.mp4": b"a" * 1500}


def test_download_of_nothing_gives_nothing(stocked: MockOsmo, target: Path) -> None:
    """Where nothing is stored nothing lands, and no folder is left."""
    assert stocked.engine().download("s3://lab/datasets/zzz", target) == ()
    assert list(target.iterdir()) == []


def test_download_needs_its_directory(stocked: MockOsmo, target: Path) -> None:
    """The CLI would die with a traceback; here nothing is asked at all."""
    with pytest.raises(EngineError) as caught:
        stocked.engine().download("s3://lab/datasets/demo", target / "missing")
    assert caught.value.code == "engine.storage"
    assert stocked.asked("data") == []


def test_interrupted_download_leaves_no_half_file_and_goes_on(stocked: MockOsmo, target: Path) -> None:
    """A CLI that dies in the middle leaves the directory without any of its files; the next call ends it."""
    (target / "a.mp4").write_bytes(b"older")
    with pytest.raises(EngineUnavailable):
        stocked.faulty("half_file:data download").download("s3://lab/datasets/demo", target)
    seen = {name: content for name, content in found(target).items() if not name.startswith(".")}
    assert seen == {"a.mp4": b"older"}
    stocked.engine().download("s3://lab/datasets/demo", target)
    assert found(target) == WHOLE
    resumed = Path(stocked.environ["MOCK_OSMO_STATE"], "resumed").read_text().split("\n")
    assert "a.mp4" in resumed


@pytest.mark.parametrize("fault", ["partial", "short_file"])
def test_download_that_lies_about_its_end_is_found_out(stocked: MockOsmo, target: Path, fault: str) -> None:
    """Exit code 0 with files or bytes lacking is tried anew once, and then an error."""
    url = "s3://lab/datasets/demo"
    with pytest.raises(ArtifactError) as caught:
        stocked.faulty(f"{fault}:data download").download(url, target)
    assert caught.value.code == "artifact.not_downloaded"
    assert not [name for name in found(target) if not name.startswith(".")]
    stocked.faulty(f"{fault}*1:data download").download(url, target)
    assert found(target) == WHOLE


def test_upload_puts_files_flat_and_folders_under_their_name(mock_osmo: MockOsmo, target: Path) -> None:
    """What was sent is there afterwards, the same bytes."""
    (target / "clip.mp4").write_bytes(b"clip")
    (target / "dir" / "sub").mkdir(parents=True)
    (target / "dir" / "sub" / "x.txt").write_bytes(b"x")
    mock_osmo.engine().upload([target / "clip.mp4", target / "dir"], "s3://lab/datasets/demo")
    assert found(mock_osmo.bucket("s3://lab/datasets/demo")) == {"clip.mp4": b"clip", "dir/sub/x.txt": b"x"}


def test_upload_takes_names_that_the_cli_would_read_as_patterns(mock_osmo: MockOsmo, target: Path) -> None:
    """The CLI expands globs itself; files in folders and with names of that kind arrive all the same."""
    folder = target / "my [clips]*"
    folder.mkdir()
    for name in ("a[1].mp4", "-b.mp4", "c?.mp4"):
        (folder / name).write_bytes(name.encode())
    mock_osmo.engine().upload(sorted(folder.iterdir()), "s3://lab/in")
    assert set(found(mock_osmo.bucket("s3://lab/in"))) == {"a[1].mp4", "-b.mp4", "c?.mp4"}


def test_relative_paths_are_uploaded(mock_osmo: MockOsmo, target: Path) -> None:
    """A path relative to the current directory is sent as that very file."""
    (target / "-clip.mp4").write_bytes(b"1")
    mock_osmo.engine().upload([Path(os.path.relpath(target / "-clip.mp4"))], "s3://lab/in")
    assert set(found(mock_osmo.bucket("s3://lab/in"))) == {"-clip.mp4"}


def test_upload_that_lies_about_its_end_is_found_out(mock_osmo: MockOsmo, target: Path) -> None:
    """Exit code 0 with files lacking in the storage is an error; a cut-short one is unknown."""
    for name in ("a", "b"):
        (target / name).write_bytes(name.encode())
    files = sorted(target.iterdir())
    with pytest.raises(ArtifactError) as caught:
        mock_osmo.faulty("partial:data upload").upload(files, "s3://lab/in")
    assert "b" in caught.value.message
    with pytest.raises(OutcomeUnknown):
        mock_osmo.faulty("die:data upload").upload(files, "s3://lab/in")


def test_upload_of_what_is_not_there_asks_nobody(mock_osmo: MockOsmo, target: Path) -> None:
    """A missing path and two files of one name are refused before anything is sent."""
    (target / "sub").mkdir()
    for path in (target / "a", target / "sub" / "a"):
        path.write_bytes(b"")
    with pytest.raises(EngineError):
        mock_osmo.engine().upload([target / "missing"], "s3://lab/in")
    with pytest.raises(InputError):
        mock_osmo.engine().upload([target / "a", target / "sub" / "a"], "s3://lab/in")
    assert mock_osmo.calls == []


@pytest.mark.parametrize(
    ("text", "size_bytes", "agrees"),
    [
        ("100%|██| 14.0/14.0 [00:01<00:00, 6.33B/s, file_name=x]", 14, True),
        ("100%|██| 14.0/14.0 [00:01<00:00, 6.33B/s]", 13, False),
        ("100%|██| 1.50k/1.50k [00:01<00:00, 6.33B/s]", 1500, True),
        ("100%|██| 1.46k/1.46k [00:01<00:00, 6.33B/s]", 1500, True),
        ("100%|██| 1.50k/1.50k [00:01<00:00, 6.33B/s]", 750, False),
        (
            "\r 50%|█ | 1.00M/26.2M [00:01]\r100%|\x1b[38;2;1;1;1m█\x1b[0m| 26.2M/26.2M [00:02<",
            26_214_400,
            True,
        ),
    ],
)
def test_progress_bar_tells_the_total(text: str, size_bytes: int, agrees: bool) -> None:
    """The newest bar counts, in units of 1000 or of 1024, as exact as it is printed."""
    bar = read_bar(text)
    assert bar is not None
    assert bar.total.can_be(size_bytes) == agrees
    assert read_bar("0.00B [00:00, ?B/s]") is None
