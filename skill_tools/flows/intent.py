"""From a person's words to the flow that they mean, to a contradiction in them, or to nothing.

Signals are phrases; a negation in front of one turns it round ("without variants", "don't augment"),
two cancel out ("don't skip the augmentation"). Pure, English, and only as clever as its tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from skill_tools.flows.catalog import ALIASES, FLOWS, canonical_name


@dataclass(frozen=True)
class Choice:
    """What was understood. At most one of `flow`, `contradiction` and `out_of_scope` is set."""

    flow: str | None = None
    matched: tuple[str, ...] = ()
    """The words that decided, as they stand in the request."""
    contradiction: bool = False
    out_of_scope: bool = False
    question: str = ""
    """The one question to ask about a contradiction."""

    @property
    def reason(self) -> str:
        """One line for people: what the words led to."""
        words = ", ".join(f"“{word}”" for word in self.matched)
        if self.flow:
            return f"{words} means {self.flow}"
        if self.contradiction:
            return f"{words} contradict each other"
        return f"{words} is about the inside of a container" if self.out_of_scope else "no flow is implied"


class _Signal(Enum):
    AUGMENT = "variants are wanted"
    LABEL = "labels are wanted"
    LABELS_ALONE = "labels and nothing else"
    LABEL_SOURCES = "the originals are labelled"
    FULL = "the whole pipeline"
    SUPER_RESOLUTION = "super-resolution first"


_LABEL = r"(?:(?:auto|pseudo)[- ]?)?(?:label(?:l?ing|l?ed|s|lers?)?|annotat(?:e|ed|ing|ions?))"
_LABELS = rf"(?:{_LABEL}|pl|al)"
_OF_VARIANTS = (
    r"(?!\s+(?:(?:the|my|those|these|all|for|of|on)\s+)*(?:augmented|variants?|variations?|generated))"
)
_FILLERS = r"(?:(?:want|need|do|run|get|the|some)\s+)*"
_LOOK = (
    r"(?:rain(?:y|ing)?|fog(?:gy)?|snow(?:y|ing)?|overcast|evening|night(?:[- ]?time)?|sunset|sunrise|"
    r"twilight|golden[- ]hour|blue[- ]hour|dim(?:med)?(?:[- ]light)?|wet(?:[- ]floor)?|flood(?:ed|ing)?|"
    r"puddles?|sandy?)"
)
_PATTERNS: tuple[tuple[_Signal, str], ...] = (
    (
        _Signal.LABELS_ALONE,
        rf"(?:only|just|nothing but|merely|purely)\s+{_FILLERS}{_LABELS}\b{_OF_VARIANTS}",
    ),
    (_Signal.LABELS_ALONE, rf"{_LABELS}[\s-]+(?:only|alone|and nothing else){_OF_VARIANTS}"),
    (_Signal.LABELS_ALONE, r"(?:source|original|raw|input)s?(?: clips?| videos?)? only"),
    (_Signal.LABEL_SOURCES, rf"{_LABEL}(?:\s+\w+){{0,3}}?\s+(?:sources?|originals?|raw|inputs?)"),
    (_Signal.LABEL_SOURCES, rf"(?:sources?|originals?)(?:\s+\w+){{0,4}}?\s+{_LABEL}"),
    (
        _Signal.FULL,
        r"(?:full|whole|entire|complete)\s+(?:\w+\s+){0,2}?(?:pipelines?|flows?|workflows?|thing|works)",
    ),
    (_Signal.FULL, r"end[- ]to[- ]end|e2e|all (?:the )?(?:steps|stages|phases)"),
    (_Signal.FULL, r"(?:do|run|want|need) (?:it all|everything)"),
    (_Signal.SUPER_RESOLUTION, r"super[- ]?res\w*|up[- ]?scal\w+|up[- ]?res\w*"),
    (_Signal.AUGMENT, r"augment\w*|variants?|variations?|enrich\w*|re-?light\w*"),
    (_Signal.AUGMENT, rf"(?:make|making) (?:it|them|the clips?) (?:look )?{_LOOK}"),
    (_Signal.AUGMENT, rf"{_LOOK}(?:\s+(?:and|or)\s+{_LOOK})*[- ](?:versions?|clips?|copies|footage)"),
    (_Signal.AUGMENT, r"(?:different|other|new|varied) (?:weather|lighting|times? of day)"),
    (_Signal.LABEL, rf"{_LABELS}|bounding boxes|detections?"),
)
_SIGNALS = tuple((signal, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)) for signal, pattern in _PATTERNS)

_NEGATION = re.compile(
    r"\b(?:no|not|never|without|w/o|skip(?:ping)?|omit(?:ting)?|don'?t|doesn'?t|do not|leave out|leaving out|"
    r"instead of|rather than|avoid|forget|minus|drop|except(?: for)?|apart from)\b",
    re.IGNORECASE,
)
_NEGATION_REACH = re.compile(
    r"(?:[\s-]+(?:any|the|a|an|my|more|need|needed|want|wants?|to|do|make|making|run|running|use|using|of|for|it|them|"
    r"me|in|skip|omit|avoid|drop|forget|about|clips?|please|have|create|generate|also|data|video|first)\b)*[\s-]*",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;:!?]|,|\bbut\b|\bjust\b|\band then\b", re.IGNORECASE)
_SKILL_NAMES = re.compile(
    r"\b(?:physical[- ]ai[- ])?video[- ]data[- ]augmentation(?:[- ](?:skill|demo|tool))?\b|\bvda\b",
    re.IGNORECASE,
)
_NOT_ONLY = re.compile(r"\bnot (?:only|just)\b", re.IGNORECASE)

_INSIDE = re.compile(
    r"\b(?:guidance scale|cfg scale|(?:denoising|diffusion|inference|sampling) steps|samplers?|"
    r"noise schedulers?|control(?:net)? weights?|fine-?tun\w+|lora|tensorrt|quanti[sz]\w+|cuda kernels?|"
    r"hyper-?parameters?|(?:inside|within|in) (?:of )?(?:the|its|that) (?:\w+ )?(?:container|image)|"
    r"container[- ]internals?)\b",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"\b(?:(?:make|create|generate|produce|give me)\s+(?:\w+\s+){0,4}?"
    r"(?:variants?|versions?|clips?|labels?|data)|"
    r"(?:run|start|submit|launch)\s+(?:\w+\s+){0,3}?(?:pipeline|flow|workflow|e2e|demo)|"
    r"(?:augment|label|annotate|process|enrich|super-?resolve)\s+"
    r"(?:my|the|these|this|those|our|all|it|them|clips?|videos?))\b|"
    r"\.mp4\b",
    re.IGNORECASE,
)


def choose(request: str) -> Choice:
    """Return the flow that the words imply; an empty `Choice` leaves it to the default."""
    text = _NOT_ONLY.sub("also", " ".join(request.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split()))
    named = _named(text)
    if named is not None:
        return named
    text = _SKILL_NAMES.sub("it", text)
    inside = _INSIDE.search(text)
    if inside and not _WORK.search(text):
        return Choice(matched=(inside[0],), out_of_scope=True)
    wanted, unwanted = _signals(text)
    return _contradiction(wanted, unwanted) or _choice(wanted, unwanted)


_Found = dict[_Signal, str]


def _named(text: str) -> Choice | None:
    """Take a flow that is called by its own name, unless several are."""
    pattern = re.compile(
        rf"(?<![\w-])({'|'.join(sorted((*FLOWS, *ALIASES), key=len, reverse=True))})(?![\w-])", re.IGNORECASE
    )
    found = [m[0] for m in pattern.finditer(text) if "_" in m[0] and not _negated(text, m.start())]
    flows = {canonical_name(name) for name in found}
    return Choice(flow=flows.pop(), matched=tuple(found)) if len(flows) == 1 else None


def _signals(text: str) -> tuple[_Found, _Found]:
    """Return the signals that stand in the text, and those that it turns down, with their words."""
    wanted: _Found = {}
    unwanted: _Found = {}
    for signal, pattern in _SIGNALS:
        for match in pattern.finditer(text):
            negated = _negated(text, match.start())
            words = text[match.start() - negated : match.end()]
            (unwanted if negated else wanted).setdefault(signal, words)
    return wanted, unwanted


def _negated(text: str, start: int) -> int:
    """Return how far before `start` the words' negation begins, 0 without one; two of them cancel out."""
    ends = [match.end() for match in _CLAUSE_END.finditer(text, 0, start)]
    clause = text[ends[-1] if ends else 0 : start]
    found = [m for m in _NEGATION.finditer(clause) if _NEGATION_REACH.fullmatch(clause[m.end() :])]
    return len(clause) - found[-1].start() if len(found) % 2 else 0


def _contradiction(wanted: _Found, unwanted: _Found) -> Choice | None:
    no_variants = unwanted.get(_Signal.AUGMENT) or wanted.get(_Signal.LABELS_ALONE)
    if no_variants:
        for signal in (_Signal.AUGMENT, _Signal.FULL, _Signal.SUPER_RESOLUTION):
            if signal in wanted:
                return _ask(
                    no_variants,
                    wanted[signal],
                    "Shall I only label the clips as they are, or make variants too?",
                )
    twice = (_Signal.SUPER_RESOLUTION, _Signal.FULL)
    for signal in twice:
        if signal in wanted and signal in unwanted:
            return _ask(unwanted[signal], wanted[signal], f"Which of the two holds: {signal.value}, or not?")
    return None


def _ask(one: str, other: str, question: str) -> Choice:
    return Choice(
        matched=(one, other),
        contradiction=True,
        question=f"You said “{one}” and “{other}”. {question}",
    )


def _choice(wanted: _Found, unwanted: _Found) -> Choice:
    """Try the fullest flow first: what asks for it takes what the smaller ones do along."""
    if _Signal.SUPER_RESOLUTION in wanted:
        return _flow("e2e_super_resolution", wanted, _Signal.SUPER_RESOLUTION, _Signal.FULL)
    if _Signal.LABEL_SOURCES not in unwanted and (
        _Signal.FULL in wanted or wanted.keys() >= {_Signal.AUGMENT, _Signal.LABEL_SOURCES}
    ):
        return _flow("e2e", wanted, _Signal.FULL, _Signal.LABEL_SOURCES, _Signal.AUGMENT)
    if wanted.keys() & {_Signal.AUGMENT, _Signal.FULL}:
        return _flow("augmentation_and_al", wanted, _Signal.AUGMENT, _Signal.FULL)
    if _Signal.AUGMENT in unwanted:
        return Choice(flow="auto_labeling", matched=(unwanted[_Signal.AUGMENT],))
    if wanted:
        return _flow("auto_labeling", wanted, _Signal.LABELS_ALONE, _Signal.LABEL_SOURCES, _Signal.LABEL)
    return Choice()


def _flow(name: str, wanted: _Found, *deciding: _Signal) -> Choice:
    words = dict.fromkeys(wanted[signal] for signal in deciding if signal in wanted)
    return Choice(flow=name, matched=tuple(words))
