"""`file://` storage: objects appear whole or not at all, under the names that OSMO would give them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skill_tools.errors import EngineError, InputError
from skill_tools.storage import file_store
from skill_tools.storage.url import file_url

FAR_TOO_LARGE = 15 << 40
"""Bytes of a file with nothing in it, more than the disk of a machine that runs tests."""


def tree(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, **files: str) -> Path:
    """Make a folder with files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_listing_names_every_file_relative_to_the_url(tmp_path: Path) -> None:
    """All files below, by path, with their sizes; nothing for a URL without any, or of a file."""
    store = made(tmp_path / "my store", b="22", a="1")
    made(store / "deep" / "er", c="333")
    found = file_store.list_files(file_url(store))
    assert [(file.path, file.size) for file in found] == [("a", 1), ("b", 2), ("deep/er/c", 3)]
    assert file_store.list_files(file_url(tmp_path / "nothing")) == ()
    assert file_store.list_files(file_url(store / "a")) == ()


def test_names_survive_the_way_there_and_back(tmp_path: Path) -> None:
    """Spaces, percent signs, quotes and letters of any script stay what they are."""
    names = ["a b.mp4", "100%.mp4", "it's “q”.mp4", "видео.mp4", "-dash.mp4", "x#y?z;.mp4"]
    source = made(tmp_path / "in", **dict.fromkeys(names, "x"))
    url = file_url(tmp_path / "st ore")
    file_store.upload([source / name for name in names], url)
    assert [file.path for file in file_store.list_files(url)] == sorted(names)
    back = made(tmp_path / "back")
    file_store.download(url, back)
    assert sorted(tree(back)) == sorted(names)


def test_upload_puts_files_flat_and_folders_under_their_own_name(tmp_path: Path) -> None:
    """As `osmo data upload` does; what was there is replaced, what else was there stays."""
    store = made(tmp_path / "store", x="old", other="stays")
    source = made(tmp_path / "in", x="new")
    made(source / "folder", y="y")
    put = file_store.upload([source / "x", source / "folder"], file_url(store))
    assert tree(store) == {"x": "new", "other": "stays", "folder/y": "y"}
    assert [(file.path, file.size) for file in put] == [("x", 3), ("folder/y", 1)]


def test_download_keeps_the_structure_below_the_url(tmp_path: Path) -> None:
    """No folder is named after the URL's last part; a file's URL gives that file, nothing gives nothing."""
    store = made(tmp_path / "store", a="A")
    made(store / "deep", b="B")
    into = made(tmp_path / "into")
    assert sorted(file_store.download(file_url(store), into)) == [into / "a", into / "deep" / "b"]
    one = made(tmp_path / "one")
    assert file_store.download(file_url(store / "deep" / "b"), one) == (one / "b",)
    assert file_store.download(file_url(tmp_path / "nothing"), one) == ()
    with pytest.raises(EngineError, match="no directory to download into"):
        file_store.download(file_url(store), tmp_path / "missing")


def test_a_regex_is_matched_from_the_start_of_the_relative_path(tmp_path: Path) -> None:
    """As OSMO does it, both ways."""
    source = made(tmp_path / "in", **{"a.mp4": "", "b.txt": ""})
    made(source / "d", **{"c.mp4": ""})
    url = file_url(tmp_path / "store")
    file_store.upload([source / "a.mp4", source / "b.txt", source / "d"], url, regex=r".*\.mp4")
    assert [file.path for file in file_store.list_files(url)] == ["a.mp4", "d/c.mp4"]
    into = made(tmp_path / "into")
    assert file_store.download(url, into, regex="mp4") == ()
    assert file_store.download(url, into, regex="d/") == (into / "d" / "c.mp4",)


def test_the_ticker_hears_of_every_file(tmp_path: Path) -> None:
    """Name, bytes done and bytes in all, for copies and links alike."""
    source = made(tmp_path / "in", x="12345")
    heard: list[tuple[str, int, int | None]] = []
    for may_link in (False, True):
        url = file_url(tmp_path / f"store{may_link}")
        file_store.upload([source], url, lambda *tick: heard.append(tick), may_link=may_link)
    assert heard == [("in/x", 5, 5)] * 2


def test_a_copy_that_is_stopped_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception in the middle, as of Ctrl-C, leaves the old file and no part of the new one."""
    store = made(tmp_path / "store", x="old")
    source = made(tmp_path / "in", x="new")

    def stop(_name: str, _done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file_store.upload([source / "x"], file_url(store), stop)
    assert tree(store) == {"x": "old"}


def test_a_file_that_grows_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    """A copy that may be torn never gets its name."""
    source = made(tmp_path / "in", x="new")

    def grow(_name: str, _done: int, _total: int | None) -> None:
        with (source / "x").open("a") as file:
            file.write("er")

    with pytest.raises(EngineError, match="changed while it was copied"):
        file_store.upload([source / "x"], file_url(tmp_path / "store"), grow)
    assert tree(tmp_path / "store") == {}


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    """What can't fit is refused with the figures, and nothing is there."""
    store = made(tmp_path / "store", x="old")
    with (tmp_path / "x").open("wb") as huge:
        huge.truncate(FAR_TOO_LARGE)
    with pytest.raises(EngineError, match="The disk is full") as full:
        file_store.upload([tmp_path / "x"], file_url(store))
    assert full.value.code == "engine.disk_full"
    assert f"{FAR_TOO_LARGE:,} bytes free" in full.value.expected
    assert tree(store) == {"x": "old"}


def test_a_file_that_does_not_fit_leaves_no_half(tmp_path: Path) -> None:
    """When the system refuses to write on in the middle of a file, the old one stays and no part is left."""
    store = made(tmp_path / "store", x="old")
    (tmp_path / "x").write_bytes(bytes(3 << 20))
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from skill_tools.errors import EngineError; from skill_tools.storage import file_store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: file_store.upload([Path(sys.argv[1])], sys.argv[2])\n"
        "except EngineError as error: print(error.code)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x"), file_url(store)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "engine.disk_full\n"
    assert tree(store) == {"x": "old"}


def test_links_are_made_only_of_what_the_caller_gives_away(tmp_path: Path) -> None:
    """Given away: one file, two names. Otherwise, or if it has other owners: a copy of its own."""
    source, models = made(tmp_path / "in", mine="m"), made(tmp_path / "models", model="w", twin="t")
    (source / "borrowed").symlink_to(models / "model")
    os.link(models / "twin", source / "shared")
    kept, given = tmp_path / "kept", tmp_path / "given"
    file_store.upload([*source.iterdir()], file_url(kept))
    assert not any((kept / name).samefile(source / name) for name in ("mine", "borrowed", "shared"))
    file_store.upload([*source.iterdir()], file_url(given), may_link=True)
    assert (given / "mine").samefile(source / "mine")
    assert not (given / "borrowed").samefile(models / "model")
    assert not (given / "shared").samefile(models / "twin")
    assert tree(given) == tree(kept) == {"mine": "m", "borrowed": "w", "shared": "t"}


def test_what_a_killed_process_left_is_no_object_and_goes_when_it_is_old(tmp_path: Path) -> None:
    """Unfinished copies are never listed or downloaded; a later upload removes stale ones."""
    store = made(tmp_path / "store", **{".1.vda-part": "half", ".2.vda-part": "half"})
    os.utime(store / ".1.vda-part", (0, 0))
    assert file_store.list_files(file_url(store)) == ()
    file_store.upload([made(tmp_path / "in", x="1") / "x"], file_url(store))
    assert sorted(tree(store)) == [".2.vda-part", "x"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A folder that links to one above it is listed once."""
    store = made(tmp_path / "store", x="1")
    (store / "loop").symlink_to(store, target_is_directory=True)
    (store / "broken").symlink_to(store / "nowhere")
    assert [file.path for file in file_store.list_files(file_url(store))] == ["x"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A missing source, a target below a file and a foreign URL are clear errors."""
    source = made(tmp_path / "in", x="1")
    with pytest.raises(EngineError, match="is not there to be uploaded"):
        file_store.upload([source / "y"], file_url(tmp_path / "store"))
    with pytest.raises(EngineError, match="Not a directory"):
        file_store.upload([source / "x"], file_url(source / "x" / "below"))
    with pytest.raises(InputError, match="is not on this machine"):
        file_store.list_files("s3://bucket/x")
