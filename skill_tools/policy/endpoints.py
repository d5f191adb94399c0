"""Model servers: those of the cluster are reused or deployed, others only where the user gave them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from skill_tools.access.endpoints import is_cluster_internal, normalise_url
from skill_tools.access.nim import SERVICES
from skill_tools.errors import VdaError
from skill_tools.policy.rule import Facts, Finding, Rule

ROLES = ("vlm", "llm")
_KUBERNETES = {"kubectl", "oc", "helm", "k9s", "k3s", "microk8s"}
_TAKES_DOWN = re.compile(
    r"\b(?:delete|scale|uninstall|drain|cordon|evict|rollback|patch|replace|down)\b", re.IGNORECASE
)


def _endpoints(facts: Facts) -> Sequence[Mapping[str, Any]]:
    return facts.after.data.get("endpoints", []) if facts.after else []


def _named(endpoints: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"endpoints": [{key: one[key] for key in ("role", "url", "healthy")} for one in endpoints]}


def _reuse(facts: Facts) -> Finding | None:
    served = [one for one in _endpoints(facts) if one["healthy"] and not one["external"]]
    if not served or (facts.after and facts.after.data["deployed"]):
        return None
    return Finding(
        f"{', '.join(one['url'] for one in served)} serves already, so it is reused", _named(served)
    )


def _deploy(facts: Facts) -> Finding | None:
    if facts.after is None or not facts.after.data.get("deployed"):
        return None
    own = [one for one in _endpoints(facts) if not one["external"]]
    strangers = [one["role"] for one in own if one["role"] not in SERVICES]
    if strangers:
        return Finding(
            f"only {' and '.join(SERVICES.values())} may be deployed", {"roles": strangers}, outcome="deny"
        )
    return Finding(
        f"a model server did not serve, so {' '.join(SERVICES.values())} were deployed without a question",
        _named(own) | {"allowed": list(SERVICES.values())},
    )


def _external(url: str) -> bool:
    try:
        return bool(url) and not is_cluster_internal(url)
    except (VdaError, ValueError):
        # What can't be read as a URL is none of the cluster's.
        return True


def _normal(url: str) -> str:
    """Return a URL so that two ways of writing one endpoint are equal, with and without `/v1` too."""
    try:
        return normalise_url(url).removesuffix("/v1") if url else ""
    except (VdaError, ValueError):
        return url


def _strange_urls(facts: Facts) -> dict[str, tuple[str, str]]:
    """Return, by role, an external URL that the run was not begun with, beside the one that it was."""
    run = facts.run
    if run is None:
        return {}
    given = {role: str(facts.values.get(f"{role}_url", "")) for role in ROLES}
    given |= {one["role"]: one["url"] for one in _endpoints(facts) if one["external"]}
    own = {"vlm": run.vlm_url, "llm": run.llm_url}
    return {
        role: (url, own[role])
        for role, url in given.items()
        if _external(url) and _normal(url) != _normal(own[role])
    }


def _opt_in(facts: Facts) -> Finding | None:
    strange = _strange_urls(facts)
    if not strange:
        return None
    urls = [url for url, _ in strange.values()]
    return Finding(
        f"{', '.join(urls)} is none of the endpoints that the user gave for this run",
        {"urls": urls, "given": [own for _, own in strange.values() if own]},
        facts.again("with the run's own endpoints", values=None),
    )


def _no_infer(facts: Facts) -> Finding | None:
    inferred = {role: url for role, (url, own) in _strange_urls(facts).items() if not own}
    if not inferred:
        return None
    return Finding(
        f"nobody gave this run an endpoint for {' and '.join(inferred)}; a key alone never means one",
        {"urls": list(inferred.values())},
        facts.again("with the cluster's own endpoints", values=None),
    )


def _never_down(facts: Facts) -> Finding | None:
    words = [str(word) for word in facts.arguments.get("words") or ()]
    programs = {word.rsplit("/", 1)[-1].lower() for word in words}
    if programs & _KUBERNETES and any(_TAKES_DOWN.fullmatch(word.lstrip("-")) for word in words):
        return Finding(
            "no endpoint is ever scaled down or deleted; this line could do it",
            {"words": words[:12]},
        )
    gone = _vanished(facts)
    if gone:
        return Finding(f"{', '.join(gone)} was there before this call and is gone", {"urls": gone})
    return None


def _vanished(facts: Facts) -> list[str]:
    """Return the endpoints that served before the call and are not even named after it."""
    before = facts.passed.get("ensure_endpoints")
    if facts.after is None or before is None or facts.tool != "ensure_endpoints" or facts.after.problem:
        return []
    now = {one["url"] for one in _endpoints(facts)}
    return [one["url"] for one in before["endpoints"] if one["healthy"] and one["url"] not in now]


RULES = (
    Rule("NIM-REUSE", "fix", "Healthy endpoints in the cluster are reused.", _reuse),
    Rule("NIM-DEPLOY", "fix", "Missing endpoints are deployed from the allow-list, unasked.", _deploy),
    Rule("NIM-EXTERNAL-OPT-IN", "deny", "External endpoints only where the user gave them.", _opt_in),
    Rule("NIM-NO-INFER", "deny", "A key in the environment never means external endpoints.", _no_infer),
    Rule("NIM-NEVER-DOWN", "deny", "No endpoint is ever scaled down or deleted.", _never_down),
)
