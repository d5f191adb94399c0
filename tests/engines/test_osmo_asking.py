"""What the OSMO engine reads from the CLI's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skill_tools.engines.base import Credential, Pool
from skill_tools.engines.osmo import OsmoEngine
from skill_tools.engines.osmo.tables import read_table
from skill_tools.errors import EngineError, EngineUnavailable, InputError
from tests.mock_osmo.bench import MockOsmo


def test_ready_state_names_user_versions_and_pool(mock_osmo: MockOsmo) -> None:
    """A logged-in client is ready, with both versions, the user and the default pool."""
    state = mock_osmo.engine().state()
    assert (state.ready, state.user, state.default_pool) == (True, "testuser", "default")
    assert (state.client_version, state.service_version) == ("6.4.0", "6.4.0")


def test_released_client_warns_on_standard_error_without_harm(mock_osmo: MockOsmo) -> None:
    """6.3.1's warnings about a newer client disturb nothing."""
    engine = mock_osmo.engine(MOCK_OSMO_VERSION="6.3.1")
    assert engine.state().client_version == "6.3.1"
    assert [pool.name for pool in engine.pools()] == ["default"]


def test_missing_client_is_a_state_and_a_typed_error(mock_osmo: MockOsmo) -> None:
    """Without `osmo` the state isn't ready, and asking says how to get it."""
    engine = OsmoEngine("osmo", environ={"PATH": str(mock_osmo.folder)})
    assert not engine.state().ready
    with pytest.raises(EngineUnavailable) as caught:
        engine.pools()
    assert caught.value.code == "engine.not_installed"


def test_client_is_found_on_the_path_that_was_passed_in(mock_osmo: MockOsmo) -> None:
    """The executable is looked up on the engine's own PATH, not on this process's."""
    assert OsmoEngine(environ=mock_osmo.environ).state().ready


def test_logged_out_is_a_state_and_a_typed_error(mock_osmo: MockOsmo) -> None:
    """Logged out, the version is known, and asking names the login; nothing is tried again."""
    mock_osmo.change(user=None)
    engine = mock_osmo.engine()
    state = engine.state()
    assert (state.ready, state.client_version, state.user) == (False, "6.4.0", None)
    assert "login" in state.reason
    with pytest.raises(EngineUnavailable) as caught:
        engine.credentials()
    assert caught.value.code == "engine.not_logged_in"
    assert 'Must login first with "login" command' in caught.value.message
    assert mock_osmo.pauses == []


def test_pools_carry_the_platforms_that_only_the_json_has(mock_osmo: MockOsmo) -> None:
    """Pools come with status, default platform and all platforms."""
    assert mock_osmo.engine().pools() == (
        Pool("default", "ONLINE", ("cpu", "default", "h100", "l40s"), "default", "Lab default pool", gpus=12),
    )


def test_credentials_come_with_kind_and_profile(mock_osmo: MockOsmo) -> None:
    """GENERIC credentials have no profile; others name their registry or storage."""
    engine = mock_osmo.engine()
    engine.put_credential("hf_token", "GENERIC", {"token": "hf_abc"})
    engine.put_credential("nvcr_io", "REGISTRY", {"registry": "nvcr.io", "username": "u", "auth": "k"})
    assert engine.credentials() == (
        Credential("nvcr_io", "REGISTRY", "nvcr.io"),
        Credential("hf_token", "GENERIC", None),
    )


def test_local_profiles_are_the_storages_that_this_machine_has_keys_for(mock_osmo: MockOsmo) -> None:
    """Of DATA credentials only those that are Local count, whatever the credentials are called."""
    engine = mock_osmo.engine()
    keys = {"access_key_id": "i", "access_key": "k"}
    engine.put_credential("Profile", "DATA", {**keys, "endpoint": "s3://here"})
    engine.put_credential("Name", "GENERIC", {"DATA": "Yes"})
    stored = mock_osmo.state["credentials"]
    away = {"name": "away", "type": "DATA", "profile": "s3://away", "local": "No", "payload": {}}
    mock_osmo.change(credentials=[*stored, away])
    assert engine.local_profiles() == frozenset({"s3://here"})


def test_empty_credential_table_has_no_rows(mock_osmo: MockOsmo) -> None:
    """A table of nothing but its heading is empty."""
    assert mock_osmo.engine().credentials() == ()
    assert mock_osmo.engine().local_profiles() == frozenset()


def test_tables_are_cut_by_their_headings() -> None:
    """Spaces in cells, cells like headings, wide cells, sums and a second line of headings are understood."""
    text = Path(__file__).parents[1].joinpath("mock_osmo", "golden", "pools_free.out").read_text()
    rows = read_table(text)
    assert [row["Pool"] for row in rows] == ["dead-pool", "default", "gpu-pool", "maint-pool"]
    assert rows[2]["Description"] == "Team GPU pool: ask #team before use, online support 9-5"
    assert (rows[2]["Quota Free"], rows[2]["Total Free"]) == ("4", "12 (shared)")
    assert read_table("nothing here") == ()
    wide = "Name" + " " * 40 + "Type\n" + "=" * 48 + "\n" + "x" * 41 + "   DATA\n"
    assert read_table(wide) == ({"Name": "x" * 41, "Type": "DATA"},)


def test_pod_templates_come_by_name(mock_osmo: MockOsmo) -> None:
    """The pod templates are a mapping from name to fragment."""
    assert list(mock_osmo.engine().pod_templates()) == ["default_user"]


def test_reads_are_tried_again_with_growing_pauses(mock_osmo: MockOsmo) -> None:
    """A service that can't be reached twice, and then can, is no error."""
    assert mock_osmo.faulty("unreachable*2:pool list").pools()
    assert mock_osmo.pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unreachable", "engine.unreachable"),
        ("timeout", "engine.unreachable"),
        ("http_502", "engine.service_error"),
        ("http_429", "engine.busy"),
        ("garbage", "engine.garbled"),
        ("truncated_json", "engine.garbled"),
        ("empty", "engine.garbled"),
        ("die", "engine.killed"),
        ("exit_137", "engine.killed"),
        ("exit_10", "engine.service_error"),
    ],
)
def test_trouble_that_stays_is_a_typed_error(mock_osmo: MockOsmo, fault: str, code: str) -> None:
    """After three tries the trouble has a code, words and a remedy, and may be tried again."""
    with pytest.raises(EngineUnavailable) as caught:
        mock_osmo.faulty(fault).pools()
    error = caught.value
    assert (error.code, error.retry) == (code, "now")
    assert error.remedy
    assert len(mock_osmo.asked("pool", "list")) == 3


def test_refusals_are_not_tried_again(mock_osmo: MockOsmo) -> None:
    """A plain no, like a workflow that isn't there, is asked once."""
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().query("nosuch-9")
    assert caught.value.code == "engine.unknown_workflow"
    assert "Workflow nosuch-9 is not found." in caught.value.message
    assert len(mock_osmo.asked("workflow", "query")) == 1


def test_names_that_look_like_options_never_reach_the_command_line(mock_osmo: MockOsmo) -> None:
    """A workflow id or task that begins with a dash is refused before anything runs."""
    with pytest.raises(InputError):
        mock_osmo.engine().query("--help")
    with pytest.raises(InputError):
        mock_osmo.engine().logs("demo-1", "-x", tail=5)
    assert mock_osmo.calls == []


def test_storage_patience_is_set_unless_the_caller_has_set_it(mock_osmo: MockOsmo) -> None:
    """The CLI would retry a dead storage for 24 h; the engine gives it seconds, or what the caller says."""
    printer = mock_osmo.folder / "printer"
    printer.write_text('#!/bin/sh\nprintf \'{"client": {"major": "%s"}}\' "$OSMO_S3_TIMEOUT"\n')
    printer.chmod(0o755)
    for environ, patience in (({}, "20s"), ({"OSMO_S3_TIMEOUT": "3s"}, "3s")):
        engine = OsmoEngine(
            str(printer), environ={**mock_osmo.environ, **environ}, sleep=mock_osmo.pauses.append
        )
        assert json.dumps(engine.state().client_version).startswith(f'"{patience}')
