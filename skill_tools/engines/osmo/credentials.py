"""Store credentials without a secret in an argument list, and without losing the old one to a refusal."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from skill_tools.engines.base import Credential
from skill_tools.errors import EngineError, InputError

KINDS = ("GENERIC", "REGISTRY", "DATA")

_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_PUBLIC = frozenset({"registry", "username", "endpoint", "region", "override_url", "addressing_style"})
_DOCKER_HUB = "registry-1.docker.io"
_TRIAL = "-vda-new"


class Desk(Protocol):
    """Where credentials are stored, listed and deleted."""

    def credentials(self) -> tuple[Credential, ...]:
        """List them."""

    def put_credential(self, name: str, kind: str, payload: Mapping[str, str]) -> None:
        """Store one, or raise `EngineError`."""

    def delete_credential(self, name: str) -> None:
        """Delete one, or raise `EngineError`."""


def store(desk: Desk, name: str, kind: str, payload: Mapping[str, str], *, replace: bool) -> None:
    """Store a credential; with `replace` also where one of that name exists.

    OSMO overwrites a REGISTRY or DATA credential in place when the registry or storage is the same, after
    it has tried the new one. It never overwrites a GENERIC one, and payloads can't be read back. So the new
    payload is stored under a name of its own first; a refusal of it leaves the old one as it was. Only then
    is the old one deleted and the new one stored under its name. Should that last step fail, the new
    payload is still there under the other name, and the same call again puts it right.
    """
    _check(name, kind, payload)
    stored = {each.name: each for each in desk.credentials()}
    if not replace:
        _refuse_to_replace(name, kind, payload, stored.values())
    trial = f"{name}{_TRIAL}"
    old = stored.get(name)
    if old is None or _overwrites(old, kind, payload):
        desk.put_credential(name, kind, payload)
    else:
        if trial in stored:
            desk.delete_credential(trial)
        desk.put_credential(trial, kind, payload)
        desk.delete_credential(name)
        desk.put_credential(name, kind, payload)
        if kind != "GENERIC":
            return  # the last step has renamed the trial
        stored[trial] = Credential(trial, kind)
    if trial in stored:
        with suppress(EngineError):  # the credential is in place; a leftover goes with the next replacement
            desk.delete_credential(trial)


@contextmanager
def as_files(payload: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Give the pairs of `--payload-file`; the files are this user's only, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vda-credential-") as folder:
        pairs = []
        for number, (key, value) in enumerate(payload.items()):
            file = Path(folder) / str(number)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as content:
                content.write(value)
            pairs.append(f"{key}={file}")
        yield tuple(pairs)


def secrets_of(payload: Mapping[str, str]) -> Sequence[str]:
    """Return the values of a payload that nobody may see."""
    return [value for key, value in payload.items() if key not in _PUBLIC]


def _check(name: str, kind: str, payload: Mapping[str, str]) -> None:
    wrong = None
    if not _NAME.fullmatch(name):
        wrong = f"{name!r} is no credential name"
    elif kind not in KINDS:
        wrong = f"{kind!r} is no kind of credential"
    elif not payload or not all(payload) or not all(payload.values()):
        wrong = f"the payload of {name} has an empty key or value, or none at all"
    if wrong is not None:
        raise InputError(
            wrong,
            expected="a name of letters, digits, `-` and `_`; GENERIC, REGISTRY or DATA; keys and values",
            remedy="put the argument right",
            code="input.credential",
        )


def _refuse_to_replace(
    name: str, kind: str, payload: Mapping[str, str], stored: Iterable[Credential]
) -> None:
    profile = _profile(kind, payload)
    for each in stored:
        if each.name == name:
            raise EngineError(
                f"The credential {name} exists",
                expected="a new name, or the wish to replace it",
                remedy="keep it, or ask for a replacement",
                code="engine.credential_exists",
            )
        if each.kind == kind and profile is not None and each.profile == profile:
            raise EngineError(
                f"The credential {each.name} is for {profile} already; OSMO would rename it to {name}, "
                f"and workflows that map {each.name} would break",
                expected=f"one credential for {profile}",
                remedy=f"map {each.name} in the workflow, or ask for a replacement",
                code="engine.credential_renames",
            )


def _overwrites(old: Credential, kind: str, payload: Mapping[str, str]) -> bool:
    return kind != "GENERIC" and old.kind == kind and old.profile == _profile(kind, payload)


def _profile(kind: str, payload: Mapping[str, str]) -> str | None:
    """Return what OSMO keys a credential on besides its owner."""
    if kind == "REGISTRY":
        registry = payload.get("registry", "docker.io").rstrip("/")
        return _DOCKER_HUB if registry == "docker.io" else registry
    return payload.get("endpoint", "").rstrip("/") or None if kind == "DATA" else None
