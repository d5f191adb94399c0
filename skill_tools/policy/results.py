"""What a run shows at its end: whole, rendered as well as can be, and true to the files it was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from skill_tools.flows.catalog import FLOWS, Flow
from skill_tools.journal import RunRecord
from skill_tools.policy.rule import Aftermath, Facts, Finding, Rule

_COUNT = re.compile(r"(\d+) ([^,]+)")


def _disclose(facts: Facts) -> Finding | None:
    after = facts.after
    if after is None or after.problem or facts.run is None or not facts.run.demo:
        return None
    disclosure = str(after.data.get("disclosure", ""))
    if disclosure and any(disclosure in message.body for message in after.messages):
        return Finding("the clips are the demo's, and the result says so", {"disclosure": disclosure})
    return Finding(
        "a demo run has to say where its clips came from", {"disclosure": disclosure}, outcome="deny"
    )


def _stage_full(facts: Facts) -> Finding | None:
    after, run = facts.after, facts.run
    prepared = facts.passed.get("prepare_dataset")
    if after is None or after.problem or run is None or prepared is None:
        return None
    staged = {clip["video"]: clip for clip in after.data["clips"]}
    lacking = [clip["video"] for clip in prepared["clips"] if clip["video"] not in staged]
    if FLOWS[run.flow].has_augmentation:
        lacking += [video for video, clip in staged.items() if not clip["variants"]]
    if lacking:
        return Finding(
            f"the staged run lacks {', '.join(lacking[:5])}",
            {"missing": lacking},
            facts.step("stage_artifacts", "mirrors the whole run"),
            outcome="deny",
        )
    if found := _cut_short(facts, after, run):
        return found
    asked = facts.text("video")
    if not asked or len(staged) == 1:
        return None
    return Finding(
        f"the whole run was mirrored, not {asked} alone", {"asked": asked, "staged": sorted(staged)}
    )


def _cut_short(facts: Facts, after: Aftermath, run: RunRecord) -> Finding | None:
    """Look whether each staged video decodes, and each variant has the frames of its source."""
    frames = after.witness.get("frames", {})
    dead = [f"{path} does not decode" for path, number in frames.items() if number is None]
    pairs = [
        (one["video"], clip["input"]) for clip in after.data["clips"] for one in clip["variants"] if frames
    ]
    cut = [
        f"{variant} has {frames[variant]} frames, its source {frames[source]}"
        for variant, source in pairs
        if None not in {frames[variant], frames[source]} and frames[variant] != frames[source]
    ]
    if not dead and not cut:
        return None
    # What makes variants on a cluster may be another program, which may choose their length itself.
    mild = not dead and run.engine == "osmo"
    return Finding(
        f"the staged run is not whole: {'; '.join([*dead, *cut][:5])}",
        {"frames": dict(frames)},
        None if mild else facts.step("stage_artifacts", "mirrors the whole run"),
        outcome="note" if mild else "deny",
    )


def _comparisons(facts: Facts) -> Sequence[Mapping[str, Any]]:
    return facts.after.data.get("comparisons", []) if facts.after else []


def _retry(facts: Facts) -> Finding | None:
    retried = [one for one in _comparisons(facts) if one.get("failures") and not one.get("no_encoder")]
    if not retried:
        return None
    what = [
        f"{one['name']}: {one['failures'][-1]}; "
        + ("rendered at the second try" if one["kind"] == "video" else f"a {one['kind']} instead")
        for one in retried
    ]
    return Finding("; ".join(what), {"names": [one["name"] for one in retried]})


def _fallback(facts: Facts) -> Finding | None:
    after = facts.after
    without = [one for one in _comparisons(facts) if one.get("no_encoder") or one["kind"] == "pair"]
    if after is None or not without:
        return None
    names = [one["name"] for one in without]
    if sum(message.kind == "media" for message in after.messages) < len(names):
        return Finding("what can't be rendered is shown as its own files", {"names": names}, outcome="deny")
    return Finding(f"{', '.join(names)} can't be rendered here, so its own files are shown", {"names": names})


def _summary_truth(facts: Facts) -> Finding | None:
    after, run = facts.after, facts.run
    if after is None or after.problem or run is None or not after.witness:
        return None
    wrong = [*_wrong_values(after.data, after.witness["manifest"])]
    wrong += _wrong_labels(after, FLOWS[run.flow], after.witness["labels"])
    wrong += [f"{path} is no label file that can be read" for path in after.witness["unreadable"]]
    if not wrong:
        return None
    return Finding(
        "; ".join(wrong[:5]),
        {"wrong": wrong[:20]},
        facts.step("stage_artifacts", "brings the files here anew"),
    )


def _wrong_values(data: Mapping[str, Any], manifest: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Compare the sampled values that are told with those of the manifest, variant by variant."""
    said = {
        f"{clip['video']}_aug{_index(variant['video'])}": variant["sampled_vars"]
        for clip in data["clips"]
        for variant in clip["variants"]
    }
    names = sorted({*said, *manifest})
    return [
        f"{name}: told {said.get(name)}, the manifest says {manifest.get(name)}"
        for name in names
        if said.get(name) != manifest.get(name)
    ]


def _index(path: str) -> str:
    return path.rsplit("/", 2)[-2].rpartition("_aug")[2]


def _wrong_labels(after: Aftermath, flow: Flow, labels: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Look whether every folder of labels is told of, with the counts that its files hold."""
    wrong = []
    told = _told_counts("\n".join(message.body for message in after.messages))
    for clip in after.data["clips"]:
        names = [clip["video"]] if flow.labels_originals else []
        names += [f"{clip['video']}_aug{_index(one['video'])}" for one in clip["variants"]]
        for name in names:
            if name not in labels:
                wrong.append(f"the labels of {name} are missing")
            elif told.get(name) != labels[name]:
                wrong.append(f"labels of {name}: told {told.get(name)}, its files hold {labels[name]}")
    return wrong


def _told_counts(text: str) -> dict[str, dict[str, int]]:
    """Read the counts back out of the summaries, by clip and variant."""
    told: dict[str, dict[str, int]] = {}
    clip = variant = ""
    for line in text.splitlines():
        words = line.strip()
        title, _, counts = words.partition(": ")
        if not line.startswith(" "):
            clip = variant = words
        elif title in {"labels", "labels of the original"}:
            told[clip] = _counts(counts)
        elif title == "labels of the variant":
            told[variant] = _counts(counts)
        else:
            variant = title
    return told


def _counts(text: str) -> dict[str, int]:
    """Read `2 car, 1 truck`; what else may stand there, such as that nothing was tracked, counts nothing."""
    return {name: int(number) for number, name in _COUNT.findall(text)}


RULES = (
    Rule("INPUT-DISCLOSE", "fix", "A demo run says where its clips came from.", _disclose),
    Rule("STAGE-FULL", "fix", "The whole run and its inputs are mirrored.", _stage_full),
    Rule("RENDER-RETRY", "fix", "A failed render is tried once more, then becomes a picture.", _retry),
    Rule("RENDER-FALLBACK", "fix", "What can't be rendered is shown as its own files.", _fallback),
    Rule("SUMMARY-TRUTH", "deny", "Summaries say what manifest and label files say.", _summary_truth),
)
