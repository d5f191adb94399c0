"""What a submit may carry: every value, none left open, on the platform and storage that exist."""

from __future__ import annotations

import re

from skill_tools.errors import InputError
from skill_tools.flows.values import REQUIRED_VALUES
from skill_tools.policy.rule import Facts, Finding, Rule
from skill_tools.storage.url import parse

# What stands in for a value that somebody forgot to fill in: markup, angle brackets, an ellipsis, or a
# word that is used for nothing else.
_PLACEHOLDER = re.compile(
    r"\{\{|\{%|<[^>]*>|…|\.\.\.|\b(?:TODO|TBD|FIXME|CHANGEME|placeholder)\b", re.IGNORECASE
)


def _complete(facts: Facts) -> Finding | None:
    values = facts.arguments.get("values") or {}
    if not values:
        return None
    missing = [key for key in REQUIRED_VALUES if not str(values.get(key, "")).strip()]
    open_ones = [key for key, value in values.items() if _PLACEHOLDER.search(str(value))]
    if not missing and not open_ones:
        return None
    what = [f"{key} is missing or empty" for key in missing] + [
        f"{key} is not filled in" for key in open_ones
    ]
    return Finding(
        "; ".join(what),
        {"missing": missing, "placeholders": open_ones},
        facts.again("the guarded values are complete", values=None) if facts.run else None,
    )


def _pool(facts: Facts) -> Finding | None:
    preflight = facts.passed.get("preflight")
    pool = facts.text("pool")
    if preflight is None or not pool or pool in preflight["pools"]:
        return None
    return Finding(
        f"the pool {pool!r} is not ONLINE; online: {', '.join(preflight['pools']) or 'none'}",
        {"pool": pool, "online": preflight["pools"]},
        facts.again("on the pool that preflight found", pool=preflight["pool"]),
    )


def _platform(facts: Facts) -> Finding | None:
    preflight = facts.passed.get("preflight")
    platform = str((facts.arguments.get("values") or {}).get("gpu_platform", ""))
    if preflight is None or not platform or platform in preflight["platforms"]:
        return None
    return Finding(
        f"{platform!r} is no platform that the pool lists; it lists {', '.join(preflight['platforms'])}",
        {"platform": platform, "listed": preflight["platforms"]},
        facts.again("the platform that preflight found", values=None),
    )


def _no_stale(facts: Facts) -> Finding | None:
    derived = facts.passed.get("derive_storage_url")
    values = facts.arguments.get("values") or {}
    if derived is None or not values:
        return None
    storage = derived["storage_url"]
    if values.get("storage_url", storage) != storage:
        return _stale(facts, "storage_url", str(values["storage_url"]), storage)
    for key in ("cosmos_model_cache_url", "auto_labeling_model_cache_url"):
        url = str(values.get(key, "")) or storage
        if not _on_one_backend(url, storage):
            return _stale(facts, key, url, storage)
    return None


def _on_one_backend(url: str, storage: str) -> bool:
    """Tell whether a URL lies in the storage's bucket; on this machine, which has none, below the storage."""
    if url == storage or url.startswith(f"{storage}/"):
        return True
    try:
        return parse(url).bucket == parse(storage).bucket
    except InputError:
        return False


def _stale(facts: Facts, key: str, url: str, storage: str) -> Finding:
    return Finding(
        f"{key}={url} is not on the data set's own storage {storage}",
        {"key": key, "url": url, "storage_url": storage},
        facts.again("the guarded values lie on one storage", values=None),
    )


RULES = (
    Rule("SUBMIT-COMPLETE", "deny", "All required values are there, none empty or left open.", _complete),
    Rule("POOL-ONLINE", "deny", "The pool is ONLINE now.", _pool),
    Rule("PLATFORM-EXACT", "deny", "`gpu_platform` is a platform that the pool lists now.", _platform),
    Rule("STORAGE-NO-STALE", "deny", "Storage and caches lie on the data set's own backend.", _no_stale),
)
