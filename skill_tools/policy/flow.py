"""Which flow a request means: never asked about, unless the request contradicts itself."""

from __future__ import annotations

from pathlib import PurePath

from skill_tools.flows import intent
from skill_tools.flows.catalog import ALIASES, DEFAULT_FLOW, FLOWS, canonical_name
from skill_tools.policy.rule import Facts, Finding, Rule


def _default(facts: Facts) -> Finding | None:
    if facts.text("flow"):
        return None
    choice = intent.choose(facts.text("request"))
    if choice.flow is not None or choice.contradiction or choice.out_of_scope:
        return None
    return Finding(
        f"no flow was named, so it is {DEFAULT_FLOW}", {"flow": DEFAULT_FLOW}, fixed={"flow": DEFAULT_FLOW}
    )


LABELS_OR_VARIANTS = (
    "The words ask for labels only, and variants were asked for too: "
    "shall variants be made, or only the source clips be labelled?"
)


def _intent(facts: Facts) -> Finding | None:
    choice = intent.choose(facts.text("request"))
    question = choice.question if choice.contradiction else _variants_unwanted(facts, choice)
    if facts.text("flow") or not question:
        return None
    if facts.asked == question:
        return Finding(
            f"{choice.reason}, which was asked about once already, so it is {DEFAULT_FLOW}",
            {"matched": list(choice.matched), "flow": DEFAULT_FLOW},
            fixed={"flow": DEFAULT_FLOW},
            outcome="fix",
        )
    return Finding(
        question,
        {"matched": list(choice.matched)},
        facts.again("the variants are wanted", flow=DEFAULT_FLOW),
    )


def _variants_unwanted(facts: Facts, choice: intent.Choice) -> str:
    """Return the question where the words want labels alone and the call asks for variants."""
    wanted = facts.arguments.get("variants") or facts.arguments.get("variables")
    labels_only = choice.flow is not None and not FLOWS[choice.flow].has_augmentation
    return LABELS_OR_VARIANTS if wanted and labels_only else ""


def _alias(facts: Facts) -> Finding | None:
    flow, file = facts.text("flow"), facts.text("workflow")
    named = PurePath(file).name.removesuffix(".yaml")
    if not flow and named in ALIASES:
        right = str(PurePath(file).with_name(f"{ALIASES[named]}.yaml"))
        return Finding(
            f"{named} is another name of {ALIASES[named]}", {"workflow": file}, fixed={"workflow": right}
        )
    canonical = canonical_name(flow)
    if not flow or canonical in {None, flow}:
        return None
    return Finding(f"{flow} is another name of {canonical}", {"flow": flow}, fixed={"flow": canonical})


def _scope(facts: Facts) -> Finding | None:
    choice = intent.choose(facts.text("request"))
    if facts.text("flow") or not choice.out_of_scope:
        return None
    return Finding(
        "the request is only about tuning inside a container, which this skill does not do",
        {"matched": list(choice.matched)},
    )


RULES = (
    Rule(
        "FLOW-DEFAULT",
        "fix",
        "Without a named flow, `augmentation_and_al` is used; nobody is asked.",
        _default,
    ),
    Rule(
        "FLOW-INTENT",
        "ask",
        "The request's words pick the flow; words that contradict each other are asked about once.",
        _intent,
    ),
    Rule("FLOW-ALIAS", "fix", "`augmentation_and_pl` is still accepted.", _alias),
    Rule("FLOW-SCOPE", "deny", "Questions only about tuning inside a container are out of scope.", _scope),
)
