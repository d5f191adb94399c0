"""What a submit may carry: every value, none left open, on the platform and storage that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import dropwhile, takewhile

from skill_tools.errors import InputError
from skill_tools.flows.values import REQUIRED_VALUES
from skill_tools.policy.rule import Facts, Finding, Rule
from skill_tools.storage.url import parse
from skill_tools.tool import NextStep

CACHE_URLS = {
    "cosmos_model_cache_url": "data/models/cosmos_transfer",
    "auto_labeling_model_cache_url": "data/models/auto_labeling",
}
"""The values that are passed explicitly, and where each cache lies below the storage."""
SUBMIT_VERB = ["osmo", "workflow", "submit"]
PLATFORM_CHECK = "platform of every task"
"""The guard's own name for what SCHED-PLATFORM judges."""

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
    if facts.after is not None:
        return _asked_for("POOL-ONLINE", facts)
    preflight = facts.passed.get("preflight")
    pool = facts.text("pool")
    if preflight is None or not pool or pool in preflight["pools"]:
        return None
    # A pool that is known to be ONLINE leaves nothing to ask.
    return Finding(
        f"the pool {pool!r} is not ONLINE; online: {', '.join(preflight['pools']) or 'none'}",
        {"pool": pool, "online": preflight["pools"]},
        facts.again("on the pool that preflight found", pool=preflight["pool"]),
        outcome="deny" if preflight["pools"] else "ask",
    )


def _asked_for(rule: str, facts: Facts) -> Finding | None:
    """Return the question that a tool puts under a rule."""
    after = facts.after
    if after is None or after.problem is None or after.question != rule:
        return None
    return Finding(after.problem.message, {"expected": after.problem.expected}, outcome="ask")


def _platform(facts: Facts) -> Finding | None:
    if facts.after is not None:
        return _asked_for("PLATFORM-EXACT", facts)
    preflight = facts.passed.get("preflight")
    platform = str(facts.values.get("gpu_platform", ""))
    if preflight is None or not platform or platform in preflight["platforms"]:
        return None
    return Finding(
        f"{platform!r} is no platform that the pool lists; it lists {', '.join(preflight['platforms'])}",
        {"platform": platform, "listed": preflight["platforms"]},
        facts.again("the platform that preflight found", values=None),
    )


def _no_stale(facts: Facts) -> Finding | None:
    derived, values = facts.passed.get("derive_storage_url"), facts.values
    if facts.tool == "derive_storage_url":
        return _other_engine(facts)
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


def _other_engine(facts: Facts) -> Finding | None:
    """Look whether a storage that is given is one that the run's engine can reach."""
    given = facts.text("storage_url")
    if facts.run is None or not given:
        return None
    if given.startswith("file://") == (facts.run.engine == "local"):
        return None
    return Finding(
        f"{given} is not a storage of the {facts.run.engine} engine",
        {"storage_url": given, "engine": facts.run.engine},
        facts.again("from the run's own data", storage_url=None),
    )


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


def _derive(facts: Facts) -> Finding | None:
    """Ask where the data lies rather than guess: by the tool's own question, or before a guessed value."""
    if facts.after is not None:
        said = facts.after.problem
        if facts.after.question != "STORAGE-DERIVE" or said is None:
            return None
        return Finding(said.message, {"expected": said.expected})
    given = str(facts.values.get("storage_url", ""))
    if facts.run is None or not given or "derive_storage_url" in facts.passed:
        return None
    return Finding(
        f"{given} is a guess until it was derived from the data set's own URL",
        {"storage_url": given},
        facts.step("derive_storage_url", "says where the data lies"),
    )


def _explicit_cache(facts: Facts) -> Finding | None:
    values, storage = facts.values, str(facts.values.get("storage_url", ""))
    missing = [key for key in CACHE_URLS if not str(values.get(key, "")).strip()]
    if not values or not missing or not storage or _PLACEHOLDER.search(storage):
        return None
    batches = facts.passed.get("check_submission", {}).get("batches") or [{"values": {}}]
    guarded = batches[0]["values"]
    given = {key: guarded.get(key) or f"{storage.rstrip('/')}/{CACHE_URLS[key]}" for key in missing}
    return Finding(
        f"{', '.join(missing)} is passed explicitly",
        {"added": given},
        fixed={"values": {**values, **given}},
    )


def _shape(facts: Facts) -> Finding | None:
    for words in _lines(facts):
        if wrong := misshapen(words):
            return Finding(wrong, {"command": right_command(facts)}, _right_submit(facts))
    return None


def _lines(facts: Facts) -> Iterator[list[str]]:
    """Yield the words of each line that an agent hands in, or that the tool itself has sent."""
    if facts.arguments.get("words"):
        yield [str(word) for word in facts.arguments["words"]]
    if facts.after is not None and not facts.after.problem:
        for workflow in facts.after.data.get("workflows", ()):
            yield shlex.split(workflow.get("command", ""))


def right_command(facts: Facts) -> str:
    """Return the one right submit line: with the guarded values where they are known, else its form."""
    guard = facts.passed.get("check_submission")
    if guard is None or not guard.get("batches"):
        names = " ".join(f"{key}=…" for key in REQUIRED_VALUES)
        return f"osmo workflow submit assets/configs/osmo/<flow>.yaml --pool <pool> --set-string {names}"
    sent = {record.batch for record in facts.submissions if record.state == "sent"}
    waiting = [batch for batch in guard["batches"] if batch["batch"] not in sent] or guard["batches"]
    pairs = [f"{key}={value}" for key, value in waiting[0]["values"].items()]
    return shlex.join([*SUBMIT_VERB, guard["workflow"], "--pool", str(guard["pool"]), "--set-string", *pairs])


def misshapen(words: Sequence[str]) -> str:
    """Return what is wrong with the shape of an `osmo workflow submit` line, empty for any other line."""
    if [*words[:3]] != SUBMIT_VERB:
        return ""
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    pairs = words[words.index("--set-string") + 1 :] if "--set-string" in words else []
    behind = list(takewhile(lambda word: not word.startswith("-"), pairs))
    names = [word.partition("=")[0] for word in behind]
    faults = {
        "a submit names its workflow file first": not words[3:] or words[3].startswith("-"),
        "a submit has no --set beside its --set-string": bool(
            {"--set", "--set-file", "--set-env"} & {*options}
        ),
        "a submit has one --set-string with all pairs behind it": options.count("--set-string") != 1
        or any(word.startswith("--set-string=") for word in words),
        "behind --set-string stand pairs, name=value, and nothing else": not behind
        or any("=" not in word for word in behind),
        "each name is given once behind --set-string": len({*names}) < len(names),
        "a submit names its pool": not {"--pool", "-p"} & {*options},
        "a submit has its file, --pool, --set-string and --dry-run, and nothing else": bool(
            _strange(words[4:])
        ),
    }
    return next((fault for fault, is_there in faults.items() if is_there), "")


def _strange(options: Sequence[str]) -> list[str]:
    """Return the words behind a submit's file that belong to none of its options; an open `--pool` too."""
    strange, rest = [], list(options)
    while rest:
        word = rest.pop(0)
        if word in {"--pool", "-p"} and rest and not rest[0].startswith("-"):
            rest.pop(0)
        elif word == "--set-string":
            rest = list(dropwhile(lambda pair: not pair.startswith("-"), rest))
        elif word != "--dry-run" and not word.startswith("--pool="):
            strange.append(word)
    return strange


def _right_submit(facts: Facts) -> NextStep | None:
    if facts.run is None:
        return None
    return facts.step("submit", "builds the one right command from the guarded values")


def _retry_once(facts: Facts) -> Finding | None:
    if facts.refusals <= 1 or facts.arguments.get("dry_run"):
        return None
    return Finding(
        f"the engine refused this run {facts.refusals} times; after one retry there is no other",
        {"refusals": facts.refusals},
        facts.anew("begins anew once the cause is mended"),
    )


def _every_task(facts: Facts) -> Finding | None:
    if facts.after is None:
        return None
    off = [
        check["detail"]
        for check in facts.after.data.get("checks", ())
        if check["name"] == PLATFORM_CHECK and not check["ok"]
    ]
    if not off:
        return None
    return Finding(
        f"every task of a flow runs on gpu_platform; these ask for another: {'; '.join(off)}",
        {"resources": off},
        facts.again("with the workflow file as it was delivered", values=None),
    )


def _cache_auto(facts: Facts) -> Finding | None:
    fill = facts.step("ensure_cache", "fills the model caches")
    if facts.after is not None:
        if facts.after.problem is not None or facts.after.data.get("cache_full") is not False:
            return None
        return Finding(
            "a model cache is empty, so the cache workflow runs first and the guard follows again",
            {"cache_full": False},
            fill,
        )
    guard = facts.passed.get("check_submission")
    if guard is None or guard.get("cache_full") is not False or facts.arguments.get("dry_run"):
        return None
    return Finding(
        "the guard saw an empty model cache; it is filled first", {"cache_full": False}, fill, outcome="deny"
    )


RULES = (
    Rule(
        "STORAGE-DERIVE",
        "ask",
        "The storage comes from the data set's own URL, or from the user; never from a guess.",
        _derive,
    ),
    Rule("SUBMIT-EXPLICIT-CACHE", "fix", "Both cache URLs are passed explicitly.", _explicit_cache),
    Rule("SUBMIT-COMPLETE", "deny", "All required values are there, none empty or left open.", _complete),
    Rule("POOL-ONLINE", "ask", "The pool is ONLINE now; asked about only where none is.", _pool),
    Rule("PLATFORM-EXACT", "deny", "`gpu_platform` is a platform that the pool lists now.", _platform),
    Rule("STORAGE-NO-STALE", "deny", "Storage and caches lie on the data set's own backend.", _no_stale),
    Rule("SUBMIT-SHAPE", "deny", "One --set-string with all pairs behind it, no --set beside it.", _shape),
    Rule("SUBMIT-RETRY-ONCE", "deny", "After a refusal there is one retry, no more.", _retry_once),
    Rule("SCHED-PLATFORM", "deny", "Every task of a flow runs on `gpu_platform`.", _every_task),
    Rule(
        "CACHE-AUTO",
        "fix",
        "An empty cache is filled by its workflow, and the guard looks again.",
        _cache_auto,
    ),
)
