"""Credentials of the OSMO engine: secrets stay out of sight, and an old one is not lost to a refusal."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from skill_tools.engines.osmo import OsmoEngine
from skill_tools.errors import EngineError, InputError, OutcomeUnknown
from tests.mock_osmo.bench import MockOsmo

NVCR = {"registry": "nvcr.io", "username": "$oauthtoken", "auth": "nvapi-0123456789"}


def payloads(mock: MockOsmo) -> dict[str, dict[str, str]]:
    """Return what the mock has stored, by name."""
    return {each["name"]: each["payload"] for each in mock.state["credentials"]}


def test_secrets_reach_osmo_through_files_that_are_gone_afterwards(
    mock_osmo: MockOsmo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No argument holds a value; the payload arrives whole; nothing stays in the temporary folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    token = "hf_secret=with spaces\nand 'quotes'"  # noqa: S105 - made up
    mock_osmo.engine().set_credential(
        "hf_token", "GENERIC", {"token": token, "HF_TOKEN": token}, replace=False
    )
    assert payloads(mock_osmo) == {"hf_token": {"token": token, "HF_TOKEN": token}}
    assert not any("hf_secret" in word for call in mock_osmo.calls for word in call)
    assert list(folder.iterdir()) == []


def test_payload_files_are_for_the_owner_only(mock_osmo: MockOsmo) -> None:
    """While `osmo` reads them the files can be read by nobody else."""
    modes = mock_osmo.folder / "modes"
    spy = mock_osmo.folder / "spy"
    spy.write_text(
        "#!/bin/sh\n"
        f'for word; do case "$word" in *=*) ls -l "${{word#*=}}" | cut -c1-10 >> {modes};; esac; done\n'
        'exec osmo "$@"\n'
    )
    spy.chmod(0o755)
    engine = OsmoEngine(str(spy), environ=mock_osmo.environ)
    engine.set_credential("hf_token", "GENERIC", {"token": "hf_x"}, replace=False)
    assert modes.read_text().strip() == "-rw-------"


def test_existing_credential_is_replaced_only_on_request(mock_osmo: MockOsmo) -> None:
    """Without `replace` what exists stays; with it the new one takes its place, and no trial is left."""
    engine = mock_osmo.engine()
    engine.set_credential("hf_token", "GENERIC", {"token": "old"}, replace=False)
    with pytest.raises(EngineError) as caught:
        engine.set_credential("hf_token", "GENERIC", {"token": "new"}, replace=False)
    assert caught.value.code == "engine.credential_exists"
    assert payloads(mock_osmo) == {"hf_token": {"token": "old"}}
    engine.set_credential("hf_token", "GENERIC", {"token": "new"}, replace=True)
    assert payloads(mock_osmo) == {"hf_token": {"token": "new"}}


@pytest.mark.parametrize("kind", ["GENERIC", "REGISTRY"])
def test_refused_replacement_leaves_the_old_one(mock_osmo: MockOsmo, kind: str) -> None:
    """When OSMO refuses the new payload the old credential is as it was."""
    engine = mock_osmo.engine()
    old = {"token": "old"} if kind == "GENERIC" else NVCR
    engine.set_credential("mine", kind, old, replace=False)
    with pytest.raises(EngineError) as caught:
        engine.set_credential("mine", kind, {**old, "auth": "refuse-me"}, replace=True)
    assert "refuses this key" in caught.value.message
    assert payloads(mock_osmo) == {"mine": old}


def test_registry_credential_of_another_registry_is_tried_before_the_old_one_goes(
    mock_osmo: MockOsmo,
) -> None:
    """A name that moves to another registry is replaced by trial as well, and the trial takes the name."""
    engine = mock_osmo.engine()
    engine.set_credential("mine", "REGISTRY", {"registry": "quay.io", "auth": "a"}, replace=False)
    with pytest.raises(EngineError):
        engine.set_credential("mine", "REGISTRY", {**NVCR, "auth": "refuse-me"}, replace=True)
    assert payloads(mock_osmo) == {"mine": {"registry": "quay.io", "auth": "a"}}
    engine.set_credential("mine", "REGISTRY", NVCR, replace=True)
    assert payloads(mock_osmo) == {"mine": NVCR}


def test_credential_of_the_same_registry_is_not_renamed_by_accident(mock_osmo: MockOsmo) -> None:
    """OSMO would rename somebody's credential that workflows map; that takes `replace`."""
    engine = mock_osmo.engine()
    engine.set_credential("other_name", "REGISTRY", NVCR, replace=False)
    with pytest.raises(EngineError) as caught:
        engine.set_credential("nvcr_io", "REGISTRY", NVCR, replace=False)
    assert caught.value.code == "engine.credential_renames"
    assert "other_name" in caught.value.message
    assert list(payloads(mock_osmo)) == ["other_name"]


def test_replacement_that_was_cut_short_is_put_right_by_the_same_call(mock_osmo: MockOsmo) -> None:
    """After a death between deleting and setting, nothing is lost and the next call finishes."""
    engine = mock_osmo.engine()
    engine.set_credential("hf_token", "GENERIC", {"token": "old"}, replace=False)
    with pytest.raises(OutcomeUnknown) as caught:
        mock_osmo.faulty("die:credential delete hf_token").set_credential(
            "hf_token", "GENERIC", {"token": "new"}, replace=True
        )
    assert "new" not in caught.value.message.split()
    assert payloads(mock_osmo) == {"hf_token": {"token": "old"}, "hf_token-vda-new": {"token": "new"}}
    with pytest.raises(OutcomeUnknown):
        mock_osmo.faulty("die:credential set hf_token GENERIC").set_credential(
            "hf_token", "GENERIC", {"token": "new"}, replace=True
        )
    assert payloads(mock_osmo) == {"hf_token-vda-new": {"token": "new"}}
    engine.set_credential("hf_token", "GENERIC", {"token": "new"}, replace=True)
    assert payloads(mock_osmo) == {"hf_token": {"token": "new"}}


def test_words_of_a_refusal_do_not_carry_the_secret(mock_osmo: MockOsmo) -> None:
    """OSMO quotes a payload's value in one of its errors; the error here doesn't."""
    payload = {"access_key_id": "id", "access_key": "k-secret", "endpoint": "s3://lab", "bogus": "hidden-1"}
    with pytest.raises(EngineError) as caught:
        mock_osmo.engine().set_credential("d2", "DATA", payload, replace=False)
    assert "Extra inputs are not permitted" in caught.value.message
    assert "hidden-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind", "payload"),
    [
        ("1bad", "GENERIC", {"a": "b"}),
        ("bad-", "GENERIC", {"a": "b"}),
        ("good", "SECRET", {"a": "b"}),
        ("good", "GENERIC", {}),
        ("good", "GENERIC", {"a": ""}),
    ],
)
def test_what_osmo_would_not_take_is_refused_here(
    mock_osmo: MockOsmo, name: str, kind: str, payload: dict[str, str]
) -> None:
    """A malformed credential, which OSMO answers with exit code 0, never gets there."""
    with pytest.raises(InputError):
        mock_osmo.engine().set_credential(name, kind, payload, replace=True)
    assert mock_osmo.calls == []
