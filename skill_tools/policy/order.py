"""The order of a run: overview, preflight, guard, submit once, stage, compare, report."""

from __future__ import annotations

from skill_tools.flows.catalog import FLOWS
from skill_tools.policy.messages import finding_of
from skill_tools.policy.rule import Aftermath, Facts, Finding, Rule


def _eta_first(facts: Facts) -> Finding | None:
    if facts.run is None or "estimate_time" in facts.passed or _only_shows(facts):
        return None
    return Finding(
        f"{facts.tool} changes something, and this run's time overview was not given yet",
        {"passed": sorted(facts.passed)},
        facts.step("estimate_time", "gives the time overview"),
    )


def _only_shows(facts: Facts) -> bool:
    """Tell whether a call changes nothing: a dry run, or a preflight where there are no credentials."""
    here = facts.run is not None and facts.run.engine == "local"
    return bool(facts.arguments.get("dry_run")) or (facts.tool in {"preflight", "ensure_endpoints"} and here)


def _preflight_first(facts: Facts) -> Finding | None:
    if facts.run is None or _only_shows(facts):
        return None
    green = facts.passed.get("preflight")
    if green and green.get("flow") == facts.run.flow and green.get("engine") == facts.run.engine:
        return None
    return Finding(
        "a submit needs a green preflight of this run, for the same flow and engine",
        {"preflight": green is not None, "flow": facts.run.flow, "engine": facts.run.engine},
        facts.step("preflight", "checks that the run can start"),
    )


def _guard_first(facts: Facts) -> Finding | None:
    if facts.run is None or _only_shows(facts):
        return None
    guard = facts.passed.get("check_submission")
    check = facts.step("check_submission", "checks the values that will be submitted")
    if guard is None or not guard.get("complete"):
        return Finding("a submit needs a green guard of this run", {"guard": False}, check)
    given = facts.arguments.get("values") or {}
    if not given:
        return None
    changed = _difference(given, guard["batches"])
    if not changed:
        return None
    return Finding(
        f"{', '.join(changed)} differs from what the guard saw",
        {"changed": changed},
        facts.again("the guarded values are submitted", values=None),
    )


def _difference(given: dict[str, str], batches: list[dict[str, dict[str, str]]]) -> list[str]:
    """Return the keys in which values differ from those of every guarded batch."""
    differences = [
        sorted(key for key in {*given, *batch["values"]} if given.get(key) != batch["values"].get(key))
        for batch in batches
    ]
    return min(differences, key=len, default=sorted(given))


def _stamp(facts: Facts) -> Finding | None:
    if facts.after is not None:
        return _found_again(facts, facts.after)
    if facts.run is None or _only_shows(facts):
        return None
    sent = {record.batch for record in facts.submissions if record.state == "sent"}
    guard = facts.passed.get("check_submission", {})
    wanted = {batch["batch"] for batch in guard.get("batches", [])}
    if not sent or wanted - sent:
        return None
    return Finding(
        f"{facts.run.run_id} was submitted already; a run id is never submitted twice",
        {"workflows": [record.workflow_id for record in facts.submissions]},
        facts.step("poll", "follows what was submitted"),
    )


def _found_again(facts: Facts, after: Aftermath) -> Finding | None:
    sent = after.data.get("workflows", ())
    found = [workflow["workflow_id"] for workflow in sent if workflow["found_again"]]
    if not found:
        return None
    return Finding(
        f"{facts.run_id} was sent before its outcome could be written; nothing was sent again",
        {"workflows": found},
        outcome="fix",
    )


def _render_local(facts: Facts) -> Finding | None:
    if facts.after is not None:
        return _cut_film(facts, facts.after)
    if facts.run is None:
        return None
    staged = facts.passed.get("stage_artifacts")
    if staged is None:
        return Finding(
            "the comparison is rendered from the staged copy, and this run is not staged yet",
            {"staged": False},
            facts.step("stage_artifacts", "brings the run's files here"),
        )
    given = facts.text("run_local_dir")
    if not given or given == staged["run_local_dir"]:
        return None
    return Finding(
        "the comparison is rendered from this run's staged copy, not from another folder",
        {"staged": staged["run_local_dir"], "call": given},
        facts.again("from the staged copy", run_local_dir=staged["run_local_dir"]),
    )


def _cut_film(facts: Facts, after: Aftermath) -> Finding | None:
    """Look whether each film shows all of the staged copy: as many frames as the shorter of its two sides."""
    wrong = {
        name: film
        for name, film in after.witness.get("films", {}).items()
        if film["frames"] is None or not film["fewest"] <= film["frames"] <= film["most"]
    }
    if not wrong:
        return None
    said = [f"{name} has {film['frames']} frames, not {film['most']}" for name, film in wrong.items()]
    return Finding(
        f"the comparison does not show the whole staged copy: {'; '.join(said[:5])}",
        {"films": wrong},
        facts.step("render_compare", "renders it anew"),
    )


def _evidence(facts: Facts) -> Finding | None:
    if facts.arguments.get("messages"):
        return finding_of("EVIDENCE-REQUIRED", facts)
    run = facts.run
    if run is None:
        return None
    if "stage_artifacts" not in facts.passed:
        return Finding(
            "a run is not complete before its files are staged",
            {"staged": False},
            facts.step("stage_artifacts", "brings the run's files here"),
        )
    if not FLOWS[run.flow].has_augmentation:
        return None
    rendered = {item["name"] for item in facts.passed.get("render_compare", {}).get("comparisons", [])}
    missing = [name for name in facts.passed["stage_artifacts"]["variants"] if name not in rendered]
    if not missing:
        return None
    return Finding(
        f"a run with variants is not complete before they are compared: {', '.join(missing[:5])}",
        {"missing": missing},
        facts.step("render_compare", "makes the side by sides"),
    )


RULES = (
    Rule("ETA-FIRST", "deny", "Nothing is changed before the run's time overview was given.", _eta_first),
    Rule("PREFLIGHT-FIRST", "deny", "A submit needs a green preflight of this run.", _preflight_first),
    Rule("GUARD-FIRST", "deny", "A submit needs a green guard for the very values it submits.", _guard_first),
    Rule("SUBMIT-STAMP", "deny", "Each submit has a fresh run id; none is submitted twice.", _stamp),
    Rule("RENDER-LOCAL", "deny", "The comparison is rendered from the staged copy.", _render_local),
    Rule("EVIDENCE-REQUIRED", "deny", "A run is not complete before comparison and summaries.", _evidence),
)
