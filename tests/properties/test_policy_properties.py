"""The policy whatever comes: no check raises, changes or forgets anything, nor depends on the order."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skill_tools.access.secrets import mask
from skill_tools.journal import Passed
from skill_tools.policy.engine import RULES, judge
from skill_tools.policy.messages import tidied
from skill_tools.policy.rule import Facts
from skill_tools.policy.snapshot import restored, snapshot
from skill_tools.registry import TOOLS
from skill_tools.tool import Decision
from tests.properties.policy_strategies import WORKSPACE, facts, messages, values

LENIENT = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
STOPPING = {"deny", "ask"}


def said(decisions: tuple[Decision, ...]) -> list[tuple[str, str, str]]:
    """Return decisions as rule, outcome and reason."""
    return [(one.rule, one.outcome, one.reason) for one in decisions]


def before(given_facts: Facts) -> tuple[str, ...]:
    """Return the guards of the facts' tool."""
    return ("SECRET-SILENT", *TOOLS[given_facts.tool].guards)


@LENIENT
@given(facts)
def test_no_facts_make_a_check_raise(given_facts: Facts) -> None:
    """Each rule answers to anything that a call may bring, also outside its own tools."""
    for rule in RULES.values():
        finding = rule.check(given_facts)
        assert finding is None or finding.reason


@LENIENT
@given(facts)
def test_checks_are_pure(given_facts: Facts) -> None:
    """The same facts give the same finding, and are the same afterwards."""
    kept = copy.deepcopy(given_facts)
    first = [rule.check(given_facts) for rule in RULES.values()]
    assert [rule.check(given_facts) for rule in RULES.values()] == first
    assert given_facts == kept


@LENIENT
@given(facts, st.randoms(use_true_random=False))
def test_the_order_of_rules_decides_nothing(given_facts: Facts, random: st.DataObject) -> None:
    """Rules that fix nothing find the same, in whichever order they are asked."""
    guards = [rule for rule in before(given_facts) if not _fixes(rule, given_facts)]
    shuffled = list(guards)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(said(judge(guards, given_facts).decisions)) == sorted(
        said(judge(shuffled, given_facts).decisions)
    )


def _fixes(rule: str, given_facts: Facts) -> bool:
    finding = RULES[rule].check(given_facts)
    return bool(finding and finding.fixed)


@LENIENT
@given(
    facts,
    st.sampled_from(["gpu_platform", "storage_url", "video", "vlm_url", "dataset"]),
    st.text(max_size=8),
)
def test_a_further_violation_never_turns_a_denial_into_a_nod(
    given_facts: Facts, name: str, junk: str
) -> None:
    """A submit that is stopped stays stopped when another of its values goes wrong."""
    wrong = replace(
        given_facts, tool="submit", arguments={"values": {"dataset": "x"}, **given_facts.arguments}
    )
    guards = TOOLS["submit"].guards
    if not STOPPING & {one.outcome for one in judge(guards, wrong).decisions}:
        return
    worse_values = {**wrong.arguments["values"], name: f"<{junk}>"}
    worse = replace(wrong, arguments={**wrong.arguments, "values": worse_values})
    assert STOPPING & {one.outcome for one in judge(guards, worse).decisions}


@LENIENT
@given(facts)
def test_what_is_kept_of_the_facts_is_enough_to_judge_again(given_facts: Facts) -> None:
    """A snapshot goes through JSON and gives the very same decisions."""
    plain = replace(given_facts, secrets=frozenset())
    rows = [
        (tool, number, json.dumps({"data": data})) for number, (tool, data) in enumerate(plain.passed.items())
    ]
    plain = replace(plain, passed=Passed(rows))
    seen = json.loads(json.dumps(snapshot(plain)))
    data_of = {number: plain.passed[tool] for tool, number, _ in rows}
    again = replace(restored(seen, plain.run, data_of), secrets=frozenset())
    assert said(judge(before(plain), again).decisions) == said(judge(before(plain), plain).decisions)


@LENIENT
@given(facts, messages)
def test_tidied_bubbles_always_pass(given_facts: Facts, bubbles: list[dict[str, str]]) -> None:
    """Whatever an agent was about to say, its corrected bubbles break no rule and are not empty."""
    saying = replace(given_facts, tool="check_message", arguments={"messages": bubbles})
    mended = [one.model_dump() for one in tidied(saying)]
    assert mended
    again = replace(saying, arguments={"messages": mended})
    assert not judge(TOOLS["check_message"].guards, again).decisions


@LENIENT
@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="*"), min_size=6, max_size=40),
    st.text(max_size=40),
)
def test_masking_takes_out_every_planted_secret(left: str, secret: str, right: str) -> None:
    """As it is, in JSON, in a URL, in a longer text: afterwards it is nowhere."""
    for text in (
        left + secret + right,
        json.dumps({left: secret + right}),
        f"https://x/?key={quote(secret)}&y",
    ):
        clean = mask(text, [secret])
        assert secret not in clean
        assert json.dumps(secret)[1:-1] not in clean
        assert quote(secret) not in clean


@LENIENT
@given(st.binary(max_size=9), st.text(st.characters(codec="ascii", exclude_categories=("C",)), min_size=12))
def test_masking_finds_a_secret_in_base64(before: bytes, secret: str) -> None:
    """A Basic header, whatever the user's name before the key, gives the key away no more."""
    header = base64.b64encode(before + b":" + secret.encode()).decode()
    clean = mask(f"Authorization: Basic {header}", [secret])
    assert "***" in clean
    assert header not in clean


@LENIENT
@given(values, st.sampled_from(sorted(TOOLS)))
def test_a_planted_secret_stops_any_call(planted: dict[str, str], tool: str) -> None:
    """Wherever in the arguments it stands."""
    given_facts = Facts(
        tool,
        {"values": {**planted, "x": "a hunter2-hunter2 b"}},
        WORKSPACE,
        secrets=frozenset({"hunter2-hunter2"}),
    )
    decisions = judge(("SECRET-SILENT",), given_facts).decisions
    assert [one.outcome for one in decisions] == ["deny"]
    assert "hunter2" not in str(said(decisions))
