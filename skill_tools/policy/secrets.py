"""Keys: asked for only when they are missing, judged by what a registry says, kept while they are good."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from skill_tools.policy.rule import Facts, Finding, Rule

_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
# What a tool would say that turned a key down by its looks.
_BY_ITS_LOOKS = re.compile(
    r"\b(?:prefix|nvapi-|hf_)\S*.{0,60}\b(?:unsupported|invalid|wrong|rejected|expected|required)\b|"
    r"\b(?:unsupported|invalid|wrong|rejected)\b.{0,60}\b(?:prefix|nvapi-|kind of key|key type)|"
    r"\bmust (?:start|begin) with\b",
    re.IGNORECASE,
)


def _checks(facts: Facts) -> Sequence[Mapping[str, Any]]:
    return facts.after.data.get("checks", []) if facts.after else []


def _required(facts: Facts) -> Finding | None:
    if facts.after is None or facts.after.question != "SECRET-REQUIRED" or facts.after.problem is None:
        return None
    said = facts.after.problem
    missing = sorted(set(_VARIABLE.findall(said.message)))
    return Finding(said.message, {"missing": list(missing)}, facts.again("once the secret is there"))


def _prefix(facts: Facts) -> Finding | None:
    wrong = [
        check["name"]
        for check in _checks(facts)
        if check["status"] == "failed" and _BY_ITS_LOOKS.search(f"{check['detail']} {check['remedy']}")
    ]
    if not wrong:
        return None
    return Finding(
        f"{', '.join(wrong)}: a key is judged by what its registry answers, never by its prefix",
        {"checks": wrong},
        facts.again("without judging a key by its prefix"),
    )


def _evidence(facts: Facts) -> Finding | None:
    refs = [
        check["name"].removeprefix("image: ")
        for check in _checks(facts)
        if check["name"].startswith("image: ") and "access failure" in check["detail"]
    ]
    if not refs:
        return None
    return Finding(
        f"no access at the registry to {', '.join(refs)}, after an anonymous and, with a key, a keyed try",
        {"refs": refs},
    )


def _refresh(facts: Facts) -> Finding | None:
    kept = [
        check["name"].removeprefix("credential ")
        for check in _checks(facts)
        if check["name"].startswith("credential ") and check["detail"] == "kept as it is"
    ]
    if not kept:
        return None
    return Finding(
        f"{', '.join(kept)} kept: it exists, and neither new key material nor a refresh was given",
        {"kept": kept, "refresh": bool(facts.arguments.get("refresh"))},
    )


RULES = (
    Rule(
        "SECRET-REQUIRED",
        "ask",
        "A missing required secret is asked for in one line that names it, and the run stops.",
        _required,
    ),
    Rule("SECRET-PREFIX", "deny", "No key is turned down for its prefix.", _prefix),
    Rule("SECRET-EVIDENCE", "note", "401 and 403 are told as no access to the images probed.", _evidence),
    Rule("SECRET-REFRESH", "note", "Credentials that exist are kept unless keys are new.", _refresh),
)
