"""`vda policy`, `audit` and `replay`: the rules, what they decided in a run, and whether they still do."""

from __future__ import annotations

import argparse
import json
import re

from skill_tools.commands.command import Command, add_json, settings_of
from skill_tools.errors import EXIT_CODES, InputError


def _add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", nargs="?", metavar="ID")


def _add_journal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_id", metavar="RUN", nargs="?", help="a run; without it, the calls that belong to none"
    )
    add_json(parser)


def _policy(given: argparse.Namespace) -> int:
    from skill_tools.policy.engine import EVERY_CALL, EVERY_OUTCOME, RULES, RUN_SCRIPT_GUARDS
    from skill_tools.registry import TOOLS

    if given.rule is not None and given.rule not in RULES:
        raise InputError(
            f"There is no rule {given.rule!r}", expected=", ".join(RULES), code="input.unknown_rule"
        )
    page = settings_of(given).skill_dir / "references" / "policy.md"
    if given.rule and page.is_file():
        print(_section(page.read_text(encoding="utf-8"), given.rule))
        return 0
    for rule in RULES.values():
        if given.rule not in {None, rule.id}:
            continue
        where = [tool.name for tool in TOOLS.values() if rule.id in (*tool.guards, *tool.outcome_guards)]
        where = ["every tool"] if rule.id in {*EVERY_CALL, *EVERY_OUTCOME} else where
        where += ["run_script"] if rule.id in RUN_SCRIPT_GUARDS else []
        print(f"{rule.id:22} {rule.outcome:4} {rule.sentence}  [{', '.join(where)}]")
    return 0


def _section(page: str, rule: str) -> str:
    """Return a rule's section of the policy page as it reads at a terminal: no links, no fences."""
    section = re.split(r"^##+ ", page, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(f"{rule}\n"))
    return re.sub(r"\[(`\w+`)\]\(\S+\)|^```\w*\n", r"\1", text, flags=re.MULTILINE).strip()


def _audit(given: argparse.Namespace) -> int:
    from datetime import datetime

    from skill_tools.registry import opened

    with opened(settings_of(given)) as context:
        if given.run_id:
            context.journal.run(given.run_id)
        decisions = context.journal.decisions(given.run_id)
    if given.json:
        print(json.dumps([one.model_dump(mode="json") for one in decisions], indent=2))
    for one in [] if given.json else decisions:
        when = datetime.fromtimestamp(one.at).astimezone().isoformat(timespec="seconds")
        print(f"{when}  {one.outcome:4} {one.rule:22} {one.tool:16} {one.reason}")
        if one.corrected:
            print(f"{'':33}vda call {one.corrected.tool} '{json.dumps(one.corrected.arguments)}'")
    if not decisions and not given.json:
        print("no rule did more than nod")
    return 0


def _replay(given: argparse.Namespace) -> int:
    from skill_tools.registry import opened
    from skill_tools.replay import replay

    with opened(settings_of(given)) as context:
        found = replay(given.run_id, context.journal)
    if given.json:
        print(json.dumps({**found.model_dump(mode="json"), "same": found.same}, indent=2))
    else:
        others = f", {found.other_policy} of them under another policy" if found.other_policy else ""
        about = found.run_id or "of no run"
        print(f"{about}: {found.calls} calls, {found.decisions} decisions{others}; policy {found.policy}")
        for one in found.different:
            print(f"  call {one.call}, {one.tool}\n    then {one.then}\n    now  {one.now}")
        print("every decision is the same" if found.same else "not every decision is the same")
    return 0 if found.same else EXIT_CODES["artifact"]


POLICY = Command(
    name="policy",
    summary="Explain the rules of the policy, or one of them.",
    examples=("vda policy ETA-FIRST",),
    run=_policy,
    add_arguments=_add_policy,
)
AUDIT = Command(
    name="audit",
    summary="Show the decisions of the policy in a run, in order.",
    examples=("vda audit run-1a2b3c4d",),
    run=_audit,
    add_arguments=_add_journal,
)
REPLAY = Command(
    name="replay",
    summary="Make every decision of a run again from its journal, and compare.",
    examples=("vda replay run-1a2b3c4d",),
    run=_replay,
    add_arguments=_add_journal,
)
