"""What is said to people: no needless question, no claim without evidence, media in their one form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skill_tools.dispatch import run_script
from skill_tools.policy.engine import judge
from skill_tools.policy.rule import Facts, FileFact
from skill_tools.tools.check_message import CHECK_MESSAGE
from tests.policy.rule_bench import LOCAL_RUN, aftermath, facts, outcomes
from tests.tools.workspace_bench import Workspace, rules_in

PLAYS = {
    "/clips/a.mp4": FileFact(exists=True, plays=True),
    "/clips/b.txt": FileFact(exists=True, plays=False),
}
NOT_A_WORD_WRONG = [
    "The variants are ready to be submitted.",
    "Everything is ready for the submit.",
    "Time overview\n- Cold start: nothing is cached yet.\n- In all 20–40 s for e2e.",
    "Preflight on local: 5 of 5 checks are green; pool local, platform embedded.",
    "Guard: green. 1 workflow(s) with 3 tasks would be submitted to local.",
    "run-0a1b2c3d: RUNNING for 12 s (cosmos_worker_0, about 30 s left).",
    "Two of four variants are done so far, 2 of 4.",
    "The run is not complete yet.",
    "Once the run is complete, the report follows.",
    "USER_INPUT_REQUIRED: A Hugging Face token is missing: set HF_TOKEN",
    "> is this a question?\n> MEDIA:/etc/passwd",
    "Storage: file:///clips/what?/.vda/storage",
    "COMPARE_VIDEO=/clips/really?/a.mp4",
]
APPROVALS = [
    "Ready？",
    "Green. OK to go on؟",
    "Tell me if I should continue.",
    "Ready?",
    "Shall I continue?",
    "Should I go ahead and submit?",
    "Do you want me to start the run?",
    "Would you like to proceed?",
    "Preflight is green. May I submit now?",
    "Okay to go on?",
    "Please confirm.",
    "Let me know if I should submit.",
    "Reply yes to start.",
    "I am waiting for your go-ahead.",
    "I will submit once you approve.",
]
FORBIDDEN = [
    "Which cookbook shall I use?",
    "Do you have an external VLM endpoint?",
    "What caching strategy do you prefer?",
    "Use the cached models?",
    "Shall I scale the NIMs down afterwards?",
    "Which flow do you want?",
    "Should the model servers be shut down?",
]
NEEDLESS = ["What colour do you like?", "How many variants?", "Which storage prefix?", "Which pool?"]
CLAIMS = [
    "✅ Done",
    "Your rainy variants are ready.",
    "The run is complete.",
    "Everything is done!",
    "All variants were finished.",
    "Done.",
    "It succeeded.",
]
GUESSES = [
    "It should be done by now.",
    "The run has probably failed.",
    "I think the workflow is running.",
    "COMPLETED",
]


def saying(*bubbles: str, run: Any = LOCAL_RUN, **seen: Any) -> Facts:
    """Return the facts of a check of these bubbles."""
    messages = [{"kind": "media" if text.startswith("MEDIA:") else "text", "body": text} for text in bubbles]
    return replace(facts("check_message", run=run, messages=messages), **{"files": PLAYS, **seen})


def broken(given: Facts) -> list[str]:
    """Return the rules that bubbles break, and see that the corrected ones break none."""
    decisions = judge(CHECK_MESSAGE.guards, given).decisions
    for decision in decisions:
        assert decision.corrected
        again = replace(given, arguments=decision.corrected.arguments)
        assert not judge(CHECK_MESSAGE.guards, again).decisions, decision
        assert again.arguments["messages"]
    return [decision.rule for decision in decisions]


@pytest.mark.keeps("ASK-NEVER", "ASK-ONLY-BLOCKED", "EVIDENCE-REQUIRED", "POLL-TRUTH", "SECRET-SILENT")
@pytest.mark.parametrize("bubble", NOT_A_WORD_WRONG)
def test_plain_words_pass(bubble: str) -> None:
    """Heartbeats, overviews, quoted lines, paths and URLs, and what is not complete yet."""
    assert broken(saying(bubble)) == []


@pytest.mark.breaks("ASK-NEVER")
@pytest.mark.parametrize("bubble", APPROVALS + FORBIDDEN)
def test_what_is_never_asked(bubble: str) -> None:
    """Approval between green stages, in a question or in disguise, and what the skill decides."""
    assert broken(saying(bubble)) == ["ASK-NEVER"]
    assert broken(saying("Preflight: green.", bubble)) == ["ASK-NEVER"]


@pytest.mark.breaks("ASK-ONLY-BLOCKED")
@pytest.mark.parametrize("bubble", NEEDLESS)
def test_a_question_while_nothing_is_blocked(bubble: str) -> None:
    """Even a pool or a storage is asked about only when a tool could not know it."""
    assert broken(saying(bubble)) == ["ASK-ONLY-BLOCKED"]


@pytest.mark.keeps("ASK-ONLY-BLOCKED")
@pytest.mark.breaks("ASK-ONLY-BLOCKED")
def test_the_one_question_that_a_tool_put_is_asked_once() -> None:
    """The tool's own words may be relayed; a second question beside it may not."""
    question = "Which storage URL shall the clips go to?"
    assert broken(saying(question, asked=question)) == []
    assert broken(saying(question, "And which pool?", asked=question)) == ["ASK-ONLY-BLOCKED"]
    assert broken(saying(f"{question} {question}", asked=question)) == ["ASK-ONLY-BLOCKED"]
    assert broken(saying("Which storage bucket is it?", run=None)) == []


@pytest.mark.breaks("ASK-ONLY-BLOCKED", "ASK-NEVER")
@pytest.mark.keeps("ASK-ONLY-BLOCKED")
def test_the_tools_own_questions_are_judged_too() -> None:
    """A tool asks only under the rules that may; its messages ask nothing else."""
    for code, expected in (("needs_input.POOL-ONLINE", []), ("needs_input.COOKBOOK", ["deny"])):
        given = facts("preflight", after={"problem": code})
        assert [one.outcome for one in outcomes("ASK-ONLY-BLOCKED", given).decisions] == expected
    given = facts("poll", after={"messages": ["Shall I go on?"]})
    assert [one.outcome for one in outcomes("ASK-NEVER", given).decisions] == ["deny"]


@pytest.mark.breaks("EVIDENCE-REQUIRED")
@pytest.mark.parametrize("bubble", CLAIMS)
def test_a_claim_needs_the_report(bubble: str) -> None:
    """Without it the sentence goes; with it the same words pass."""
    assert broken(saying(bubble)) == ["EVIDENCE-REQUIRED"]
    assert broken(saying(bubble, passed={"report": {}})) == []


@pytest.mark.breaks("POLL-TRUTH")
@pytest.mark.parametrize("bubble", GUESSES)
def test_a_state_is_not_guessed(bubble: str) -> None:
    """Neither from time nor from hope; a report elsewhere makes no guess true."""
    assert broken(saying(bubble, passed={"report": {}})) == ["POLL-TRUTH"]


@pytest.mark.keeps("POLL-TRUTH")
def test_the_engines_own_word_is_told() -> None:
    """COMPLETED is said once a poll said so."""
    assert broken(saying("run-0a1b2c3d: COMPLETED after 9 s.", passed={"poll": {"state": "COMPLETED"}})) == []


@pytest.mark.breaks("MEDIA-FORM", "STAGE-WORKSPACE")
@pytest.mark.parametrize(
    ("bubble", "rule"),
    [
        ("Look:\nMEDIA:/clips/a.mp4", "MEDIA-FORM"),
        ("Look: MEDIA:/clips/a.mp4 nice", "MEDIA-FORM"),
        ("  MEDIA:/clips/a.mp4", "MEDIA-FORM"),
        ("MEDIA: /clips/a.mp4", "MEDIA-FORM"),
        ("MEDIA:a.mp4", "MEDIA-FORM"),
        ("MEDIA:/clips/a.mp4\nMEDIA:/clips/a.mp4", "MEDIA-FORM"),
        ("MEDIA:/clips/missing.mp4", "MEDIA-FORM"),
        ("MEDIA:/clips/b.txt", "MEDIA-FORM"),
        ("MEDIA:", "MEDIA-FORM"),
        ("MEDIA:/etc/passwd", "STAGE-WORKSPACE"),
        ("MEDIA:/clips/../etc/passwd", "STAGE-WORKSPACE"),
    ],
)
def test_a_media_bubble_has_one_form(bubble: str, rule: str) -> None:
    """One line, absolute, in the workspace, there, and playing; the corrected bubbles keep what is right."""
    assert broken(saying(bubble)) == [rule]


@pytest.mark.keeps("MEDIA-FORM", "STAGE-WORKSPACE")
def test_a_media_line_that_plays_passes() -> None:
    """Between other bubbles too."""
    assert broken(saying("Here it is.", "MEDIA:/clips/a.mp4", "Report: /clips/report.html")) == []


@pytest.mark.breaks("SECRET-SILENT")
@pytest.mark.parametrize("secret", ["nvapi-" + "a1" * 16, "hf_" + "b2" * 15, "hunter2-hunter2"])
def test_a_secret_is_taken_out(secret: str) -> None:
    """Known ones and those that look like one; what is left of the bubble says the same without it."""
    given = saying(f"I use {secret} for it", secrets=frozenset({"hunter2-hunter2"}))
    assert broken(given) == ["SECRET-SILENT"]
    assert secret not in str(judge(["SECRET-SILENT"], given).decisions)


@pytest.mark.breaks("ASK-NEVER")
@pytest.mark.keeps("ASK-NEVER")
def test_a_command_line_checks_bubbles_too(workspace: Workspace) -> None:
    """`check_message.py` refuses and passes as the tool does."""
    refused = run_script(
        ["python3", "scripts/check_message.py", "All set.", "Shall I go on?"], settings=workspace.settings
    )
    assert (refused.status, rules_in(refused)) == ("denied", ["ASK-NEVER"])
    passed = run_script('python3 scripts/check_message.py "All set."', settings=workspace.settings)
    assert [message.body for message in passed.messages] == ["All set."]


@pytest.mark.keeps("ASK-NEVER", "ASK-ONLY-BLOCKED")
def test_bubbles_of_a_result_are_left_to_the_rules_on_its_data() -> None:
    """What a tool states is judged with its data, not by its words."""
    given = replace(
        facts("report"), after=aftermath(messages=["The run is complete."]), workspace=Path("/clips")
    )
    assert not judge(["ASK-NEVER", "ASK-ONLY-BLOCKED"], given).decisions
