"""The user's clips are the run's clips: kept, named by stems, never replaced or made up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from skill_tools.policy.inputs import DEMO_REPOSITORY
from tests.policy.conftest import Guarded
from tests.tools.workspace_bench import Workspace, make_clip, rules_in


@contextmanager
def hub_with(clip: Path) -> Iterator[str]:
    """Serve a hub on which every data set holds one clip in a folder."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_listing = "/tree/" in urlsplit(self.path).path
            listing = [{"type": "file", "path": f"clips/{clip.name}", "size": clip.stat().st_size}]
            body = json.dumps(listing).encode() if is_listing else clip.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.breaks("INPUT-KEEP")
def test_another_clip_never_takes_the_place_of_the_user_s(workspace: Workspace) -> None:
    """Clips that the user did not name are refused; the corrected call has the user's and goes through."""
    mine, other = workspace.clip("mine.mp4"), workspace.clip("other.mp4", shade=90)
    run_id = workspace.begin(mine)
    workspace.pass_until(run_id, "prepare_dataset")
    result = workspace.call("prepare_dataset", run_id=run_id, clips=[other])
    assert (result.status, result.exit_code, rules_in(result)) == ("denied", 4, ["INPUT-KEEP"])
    assert result.next[0].arguments["clips"] == [mine]
    assert not workspace.settings.local_storage.exists()
    kept = workspace.follow(result.next[0])
    assert kept.ok
    assert rules_in(kept) == []


@pytest.mark.breaks("INPUT-KEEP")
def test_a_stranger_s_stem_is_not_submitted(guarded: Guarded) -> None:
    """Values that name another clip than the run's are refused."""
    values = guarded.with_values(video="somebody_elses")
    result = guarded.workspace.call("submit", run_id=guarded.run_id, values=values)
    assert (result.status, rules_in(result)[0]) == ("denied", "INPUT-KEEP")
    assert guarded.workspace.call("submit", **{**result.next[0].arguments, "dry_run": True}).ok


@pytest.mark.breaks("INPUT-KEEP")
def test_the_clip_beside_a_variant_is_the_user_s_own(guarded: Guarded) -> None:
    """Staging takes no other clip as the original."""
    other = guarded.workspace.clip("other.mp4")
    result = guarded.workspace.call("stage_artifacts", run_id=guarded.run_id, input_local_video=other)
    assert (result.status, rules_in(result)) == ("denied", ["INPUT-KEEP"])
    assert "input_local_video" not in result.next[0].arguments


@pytest.mark.keeps("INPUT-KEEP", "INPUT-STEM")
def test_the_user_s_clips_may_be_named_again(guarded: Guarded) -> None:
    """The very clips and stems of the run pass at every step."""
    folder = guarded.workspace.folder / "clips"
    again = guarded.workspace.call(
        "prepare_dataset", run_id=guarded.run_id, clips=[f"{folder}/../clips/car.mp4"]
    )
    assert (again.ok, rules_in(again)) == (True, [])
    shown = guarded.workspace.call("submit", run_id=guarded.run_id, values=guarded.values, dry_run=True)
    assert (shown.ok, rules_in(shown)) == (True, [])


@pytest.mark.breaks("INPUT-STEM")
@pytest.mark.parametrize("video", ["car.mp4", "clips/car", "../car", "-car", "car,,car"])
def test_a_video_value_that_is_no_stem_is_refused(workspace: Workspace, video: str) -> None:
    """`video` is a base name without folders and extension, for the guard as for the submit."""
    result = workspace.call("check_submission", workflow="e2e.yaml", values={"video": video})
    assert (result.status, rules_in(result)) == ("denied", ["INPUT-STEM"])


@pytest.mark.breaks("INPUT-DEMO")
def test_without_any_input_the_demo_is_used_and_nobody_asked(workspace: Workspace) -> None:
    """A run without clips is a demo run, says so, and gets its clips before they are put in place."""
    result = workspace.call("select_flow", flow="e2e", engine="local")
    assert (result.ok, result.data["demo"], rules_in(result)) == (True, True, ["INPUT-DEMO"])
    assert DEMO_REPOSITORY in result.decisions[0].reason
    assert result.run_id
    assert workspace.pass_until(result.run_id, "prepare_demo").ok


@pytest.mark.breaks("INPUT-DEMO-ONLY")
def test_another_repository_is_taken_only_on_request(workspace: Workspace) -> None:
    """A repository that the user did not ask for is refused, with the demo's own in the corrected call."""
    result = workspace.call("prepare_demo", repository="somebody/clips")
    assert (result.status, result.exit_code, rules_in(result)) == ("denied", 4, ["INPUT-DEMO-ONLY"])
    assert "repository" not in result.next[0].arguments
    assert not workspace.root.exists()


@pytest.mark.keeps("INPUT-DEMO-ONLY", "INPUT-NO-INVENT")
@pytest.mark.parametrize("wanted", [{}, {"repository": "somebody/clips", "repository_was_asked_for": True}])
def test_the_demo_and_what_was_asked_for_are_fetched(tmp_path: Path, wanted: dict[str, str | bool]) -> None:
    """The demo's clips, or those of a repository that the user named, land flat in the folder."""
    with hub_with(make_clip(tmp_path / "hub" / "junction.mp4")) as endpoint:
        workspace = Workspace(tmp_path, {"HF_ENDPOINT": endpoint})
        run_id = workspace.begin()
        result = workspace.call("prepare_demo", run_id=run_id, directory="demo", **wanted)
    assert result.ok, result.problem
    assert rules_in(result) == []
    assert result.data["clips"] == [str(workspace.root / "demo" / "junction.mp4")]
    assert result.data["repository"] == wanted.get("repository", DEMO_REPOSITORY)


@pytest.mark.breaks("INPUT-NO-INVENT")
def test_the_demo_never_stands_in_for_the_user_s_clips(workspace: Workspace) -> None:
    """A run with clips gets no others; the corrected call goes on with the user's."""
    run_id = workspace.begin(workspace.clip())
    workspace.pass_until(run_id, "prepare_dataset")
    result = workspace.call("prepare_demo", run_id=run_id)
    assert (result.status, rules_in(result)) == ("denied", ["INPUT-NO-INVENT"])
    assert workspace.follow(result.next[0]).ok
