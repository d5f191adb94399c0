"""What is said to people: no needless question, no claim without evidence; with the words put right.

A text is judged sentence by sentence. Lines that quote something (`> …`), paths and URLs are no one's own
words and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from skill_tools.access.secrets import mask
from skill_tools.policy.media_line import media_path
from skill_tools.policy.rule import Facts, Finding, Rule
from skill_tools.tool import Message, NextStep

GOING_ON = "Going on."

# Full-width and Arabic question marks ask as well.
_QUESTION_MARKS = ("?", "？", "؟")
_SENTENCE = re.compile(rf".+?(?:[.!{''.join(_QUESTION_MARKS)}](?=\s|$)|$)")
# A media line, or what would be one if it stood alone.
_MEDIA = re.compile(r"^\s*MEDIA:|MEDIA:/")
_PATH_OR_URL = re.compile(r"(?:\S*://\S*|(?<!\S)[A-Z_]*=?/\S*)")
_APPROVAL = re.compile(
    r"\b(?:ready|(?:shall|should|may|can|could) (?:i|we)|do you (?:want|wish|agree|approve)|"
    r"would you (?:like|mind|want)|want me to|okay|ok|go ahead|proceed|continue|carry on|approved?|confirm|"
    r"sounds good|all right)\b",
    re.IGNORECASE,
)
_APPROVAL_UNASKED = re.compile(
    r"\b(?:please (?:confirm|approve)|(?:let me know|tell me) (?:if|when|whether) (?:i|we|you)|"
    r"(?:reply|say|type|answer|press) (?:with )?[\"'“]?(?:yes|ok|go|y|enter)\b|"
    r"(?:waiting|wait|await(?:ing)?) (?:for )?your (?:go-ahead|approval|confirmation|ok|answer|reply)|"
    r"once you (?:confirm|approve|agree)|(?:give|need) (?:me )?(?:the|your) (?:go-ahead|approval|ok))\b",
    re.IGNORECASE,
)
_FORBIDDEN_TOPIC = re.compile(
    r"\b(?:cook-?books?|scene presets?|external|end-?points?|nims?|cache[sd]?|cach(?:e|ing) strateg\w+|"
    r"scal(?:e|ed|ing)|shut(?:ting)? (?:it |them )?down|tear(?:ing)? (?:it |them )?down|model servers?|"
    r"which flow|what flow)\b",
    re.IGNORECASE,
)
_ALLOWED_TOPIC = re.compile(
    r"\b(?:tokens?|secrets?|keys?|credentials?|storage|buckets?|containers?|prefix|pools?|platforms?|"
    r"[A-Z][A-Z0-9]*_(?:TOKEN|KEY))\b",
    re.IGNORECASE,
)
_DONE = r"(?:completed?|done|finished|succeeded|successful(?:ly)?)"
_CLAIM = re.compile(
    rf"\b(?:run|pipeline|workflow|job|augmentation|labell?ing|everything|all|it|that|this|variants?|clips?)\b"
    rf"[^.?!\n]{{0,60}}\b{_DONE}\b|"
    rf"\b(?:variants?|labels|results?)\b[^.?!\n]{{0,60}}\bready\b(?! (?:to|for)\b)|"
    rf"^\W*(?:all )?{_DONE}\s*[.!]?\s*$",
    re.IGNORECASE,
)
_NO_CLAIM = re.compile(
    r"\b(?:not|n't|never|isn't|until|before|when|once|if|will|would|to be|after|as soon as)\b|\d+ of \d+",
    re.IGNORECASE,
)
_GUESS = re.compile(
    rf"\b(?:should|must|probably|likely|presumably|surely|i (?:think|guess|assume|suppose|expect))\b"
    rf"[^.?!\n]{{0,60}}\b(?:{_DONE}|failed|running|by now)\b",
    re.IGNORECASE,
)
_STATE = re.compile(r"\bCOMPLETED\b")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a bubble, under which rule, and the bubbles that would be right in its place."""

    rule: str
    index: int
    reason: str
    instead: tuple[Message, ...]


def faults(facts: Facts) -> list[Fault]:
    """Return everything that is wrong with the bubbles, in their order."""
    found: list[Fault] = []
    questions = 0
    for index, bubble in enumerate(facts.bubbles):
        if bubble.kind == "media" or _holds_media_line(bubble):
            found += _media_faults(index, bubble, facts)
            continue
        clean = Message(body=mask(bubble.body, facts.secrets))
        if clean != bubble or any(secret in bubble.body for secret in facts.secrets):
            found.append(Fault("SECRET-SILENT", index, "a bubble holds a secret", (clean,)))
        for sentence in sentences(clean.body):
            is_question = sentence.rstrip("\"'”)").endswith(_QUESTION_MARKS)
            rule_reason = _asked(sentence, facts, questions) if is_question else _said(sentence, facts)
            questions += is_question
            if rule_reason:
                rule, reason = rule_reason
                found.append(Fault(rule, index, f"{reason}: “{sentence[:160]}”", _without(clean, sentence)))
    return found


def sentences(text: str) -> Iterator[str]:
    """Yield a text's own sentences, without what it quotes and without paths and URLs."""
    for line in text.splitlines():
        if line.lstrip().startswith(">"):
            continue
        for match in _SENTENCE.finditer(_PATH_OR_URL.sub("…", line)):
            sentence = match[0].strip(" -*•\t")
            if sentence:
                yield sentence


def tidied(facts: Facts) -> tuple[Message, ...]:
    """Return handed bubbles as they may be sent; mending goes on until nothing is left to mend."""
    bubbles = tuple(one.model_copy(update={"body": mask(one.body, facts.secrets)}) for one in facts.bubbles)
    facts = replace(facts, secrets=frozenset())
    # Each round takes at least one sentence or line away.
    for _ in range(sum(len(one.body) for one in bubbles) + len(bubbles)):
        judged = _with_bubbles(facts, bubbles)
        found = faults(judged)
        if not found:
            return bubbles
        first = found[0]
        bubbles = (*bubbles[: first.index], *first.instead, *bubbles[first.index + 1 :])
        bubbles = bubbles or (Message(body=GOING_ON),)
    return (Message(body=GOING_ON),)


def _with_bubbles(facts: Facts, bubbles: tuple[Message, ...]) -> Facts:
    handed: dict[str, Any] = {**facts.arguments, "messages": [one.model_dump(mode="json") for one in bubbles]}
    return replace(facts, arguments=handed)


def _asked(sentence: str, facts: Facts, questions: int) -> tuple[str, str] | None:
    """Judge a question; a question that the tools themselves have put stands, once."""
    if _is_owed(sentence, facts):
        return ("ASK-ONLY-BLOCKED", "one question at a time is enough") if questions else None
    if _FORBIDDEN_TOPIC.search(sentence):
        return "ASK-NEVER", "the skill decides this itself, so nobody is asked"
    if _APPROVAL.search(sentence):
        return "ASK-NEVER", "green stages flow into the next, so nobody is asked whether to go on"
    if not _ALLOWED_TOPIC.search(sentence) or (facts.run is not None and not facts.asked):
        return "ASK-ONLY-BLOCKED", "nothing is blocked that only a person could give"
    return ("ASK-ONLY-BLOCKED", "one question at a time is enough") if questions else None


def _is_owed(sentence: str, facts: Facts) -> bool:
    return bool(facts.asked) and sentence in list(sentences(facts.asked))


def _said(sentence: str, facts: Facts) -> tuple[str, str] | None:
    """Judge a statement: a request for approval in disguise, a guess, a claim without evidence."""
    if _APPROVAL_UNASKED.search(sentence) and not _is_owed(sentence, facts):
        return "ASK-NEVER", "green stages flow into the next, so nobody's approval is waited for"
    # A result's own statements are judged by the rules on its data, which know more than its words.
    return _claimed(sentence, facts) if facts.after is None else None


def _claimed(sentence: str, facts: Facts) -> tuple[str, str] | None:
    """Judge what a statement claims of the run: a guess, a state, its being complete."""
    if _GUESS.search(sentence):
        return "POLL-TRUTH", "a state is told as the engine reports it, never guessed"
    if _STATE.search(sentence):
        return None if _engine_says_completed(facts) else ("POLL-TRUTH", "the engine does not report this")
    if _CLAIM.search(sentence) and not _NO_CLAIM.search(sentence) and "report" not in facts.passed:
        return "EVIDENCE-REQUIRED", "this run is not complete: its report is not there"
    return None


def _engine_says_completed(facts: Facts) -> bool:
    told = [facts.passed.get(tool, {}).get("state") for tool in ("poll", "cancel")]
    return "COMPLETED" in told


def _holds_media_line(bubble: Message) -> bool:
    return any(_MEDIA.search(line) for line in bubble.body.splitlines() if not line.lstrip().startswith(">"))


def _media_faults(index: int, bubble: Message, facts: Facts) -> list[Fault]:
    if bubble.kind == "text":
        return [Fault("MEDIA-FORM", index, "a media line stands in a text bubble", _split(bubble))]
    path = media_path(bubble.body)
    if path is None:
        pieces = _split(bubble)
        good = tuple(one for one in pieces if one.kind == "text" or media_path(one.body))
        return [Fault("MEDIA-FORM", index, "a media bubble is exactly one line MEDIA:/absolute/path", good)]
    if not facts.is_inside(path):
        return [Fault("STAGE-WORKSPACE", index, f"{path} lies outside the workspace", ())]
    file = facts.files.get(path)
    if facts.after is None and (file is None or not file.exists or not file.plays):
        return [Fault("MEDIA-FORM", index, f"{path} is no file that plays", ())]
    return []


def _split(bubble: Message) -> tuple[Message, ...]:
    """Part a bubble into its media lines and the text around them."""
    parts: list[Message] = []
    for line in bubble.body.splitlines():
        found = None if line.lstrip().startswith(">") else _MEDIA.search(line)
        before, media = (line[: found.start()], line[found.start() :].strip()) if found else (line, "")
        if before.strip() and parts and parts[-1].kind == "text":
            parts[-1] = Message(body=f"{parts[-1].body}\n{before.rstrip()}")
        elif before.strip():
            parts.append(Message(body=before.rstrip()))
        if media:
            parts.append(Message(kind="media", body=media))
    return tuple(parts)


def _without(bubble: Message, sentence: str) -> tuple[Message, ...]:
    """Return a text bubble without one sentence, or none where nothing is left of it."""
    kept = []
    for line in bubble.body.splitlines():
        if sentence not in list(sentences(line)):
            kept.append(line)
            continue
        rest = " ".join(one for one in sentences(line) if one != sentence)
        if rest:
            kept.append(rest)
    text = "\n".join(kept).strip()
    return (Message(body=text),) if text else ()


def finding_of(rule: str, facts: Facts) -> Finding | None:
    """Return what a rule has against the bubbles; the corrected call has them all put right."""
    found = [one for one in facts.once(faults) if one.rule == rule]
    if not found:
        return None
    corrected: NextStep | None = None
    if facts.after is None:
        messages = [one.model_dump(mode="json") for one in tidied(facts)]
        corrected = facts.again("these bubbles may be sent", messages=messages)
    reason = "; ".join(f"bubble {one.index + 1}: {one.reason}" for one in found[:3])
    return Finding(reason, {"bubbles": len(found)}, corrected)


def _only_blocked(facts: Facts) -> Finding | None:
    question = facts.after.question if facts.after else ""
    if question and question not in BLOCKED:
        return Finding(
            f"{question} is no reason to ask a person", {"asked": question, "allowed": sorted(BLOCKED)}
        )
    return finding_of("ASK-ONLY-BLOCKED", facts)


def _never(facts: Facts) -> Finding | None:
    return finding_of("ASK-NEVER", facts)


BLOCKED = frozenset({"SECRET-REQUIRED", "STORAGE-DERIVE", "POOL-ONLINE", "PLATFORM-EXACT", "FLOW-INTENT"})
"""The rules under which a tool may ask a person: what only they can give."""

RULES = (
    Rule("ASK-ONLY-BLOCKED", "deny", "One question, and only for what is missing.", _only_blocked),
    Rule("ASK-NEVER", "deny", "Nobody is asked what the skill decides, or whether to go on.", _never),
)
