"""The user's clips are used as they are: kept, named by stems, never invented or replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from skill_tools.media.playable import PICTURE_SUFFIXES
from skill_tools.policy.rule import Facts, Finding, Rule
from skill_tools.settings import PREVIEWS_FOLDER, RUNS_FOLDER
from skill_tools.storage.url import is_stem

DEMO_REPOSITORY = "nvidia/video-data-augmentation-demo"


def videos_of(value: str) -> tuple[str, ...]:
    """Return the stems in a `video` value, which holds one clip or several with commas between."""
    return tuple(part.strip() for part in value.split(",")) if value else ()


def _keep(facts: Facts) -> Finding | None:
    return (
        _keep_clips(facts)
        or _keep_dataset(facts)
        or _keep_videos(facts)
        or _keep_staged_input(facts)
        or _keep_clip(facts)
    )


def _keep_clips(facts: Facts) -> Finding | None:
    given, run = facts.arguments.get("clips"), facts.run
    if not given or run is None or facts.tool == "select_flow" or run.demo:
        return None
    if run.clips and set(map(facts.place, given)) == set(run.clips):
        return None
    named: list[str | None] = list(run.clips) or [run.dataset_url]
    return Finding(
        "the user named other clips for this run; nothing ever replaces them",
        {"user_clips": named, "call_clips": list(given)},
        facts.again("with the clips that the user named", clips=list(run.clips) or None),
    )


def _keep_dataset(facts: Facts) -> Finding | None:
    given, run = facts.text("dataset_url"), facts.run
    if not given or run is None or given.rstrip("/") == (run.dataset_url or "").rstrip("/"):
        return None
    return Finding(
        "the user named other clips for this run than this data set's; nothing ever replaces them",
        {"user_clips": list(run.clips) or [run.dataset_url], "call_dataset": given},
        facts.again("with what the user named", dataset_url=None),
    )


def _keep_videos(facts: Facts) -> Finding | None:
    prepared = facts.passed.get("prepare_dataset")
    asked = _video_argument(facts)
    if prepared is None or not asked:
        return None
    known = [clip["video"] for clip in prepared["clips"]]
    strangers = [video for video in asked if video not in known]
    if not strangers:
        return None
    return Finding(
        f"{', '.join(strangers)} is none of the clips that this run was given",
        {"run_videos": known, "call_videos": list(asked)},
        facts.step(facts.tool, "the run's own clips are used"),
    )


def _keep_staged_input(facts: Facts) -> Finding | None:
    given = facts.text("input_local_video")
    if not given or facts.run is None or not facts.run.clips:
        return None
    if facts.place(given) in facts.run.clips:
        return None
    return Finding(
        "the input clip beside a variant is the one that the user named, no other",
        {"user_clips": list(facts.run.clips), "call_clip": given},
        facts.again("the user's clip is staged by itself", input_local_video=None),
    )


def _keep_clip(facts: Facts) -> Finding | None:
    clip, output = facts.text("clip"), facts.text("output")
    if not output:
        return None
    own_folder = facts.again("into the tool's own folder of the workspace", output=None)
    target = facts.place(output)
    if clip and facts.place(clip) == target:
        return Finding(
            "what is made of a clip is never written over the clip",
            {"user_clip": clip, "call_output": output},
            own_folder,
        )
    if _is_replaceable(target, facts):
        return None
    return Finding(
        f"{output} is there already, and may be a clip that the user gave or a file of a run",
        {"call_output": output},
        own_folder,
    )


def _is_replaceable(target: str, facts: Facts) -> bool:
    """Tell whether nothing is lost by writing there: nothing lies there, or only an earlier preview."""
    there, place = facts.files.get(target), PurePath(target)
    if there is None or not there.exists or place.is_relative_to(facts.workspace / PREVIEWS_FOLDER):
        return True
    in_a_run = place.is_relative_to(facts.workspace / RUNS_FOLDER)
    return place.suffix.lower() in PICTURE_SUFFIXES and not in_a_run


def _video_argument(facts: Facts) -> tuple[str, ...]:
    values = facts.arguments.get("values") or {}
    return videos_of(facts.text("video") or str(values.get("video", "")))


def _stem(facts: Facts) -> Finding | None:
    bad = [video for video in _video_argument(facts) if not is_stem(video)]
    if not bad:
        return None
    return Finding(
        f"{bad[0]!r} is no clip's stem: a base name without folders and without extension",
        {"video": bad[0]},
        facts.step(facts.tool, "the run's own stems are used") if facts.run else None,
    )


def _demo(facts: Facts) -> Finding | None:
    given = facts.arguments.get("clips") or facts.text("dataset_url") or facts.text("repository")
    if given or facts.run is not None:
        return None
    return Finding(
        f"no clip was named, so the demo data set {DEMO_REPOSITORY} is used", {"repository": DEMO_REPOSITORY}
    )


def _demo_only(facts: Facts) -> Finding | None:
    repository = facts.text("repository") or DEMO_REPOSITORY
    if repository == DEMO_REPOSITORY or facts.arguments.get("repository_was_asked_for"):
        return None
    return Finding(
        f"the demo is {DEMO_REPOSITORY}; another repository only when the user asked for it in so many words",
        {"repository": repository},
        facts.again("the demo data set", repository=None),
    )


def _no_invent(facts: Facts) -> Finding | None:
    run = facts.run
    if run is None:
        return None
    if facts.tool == "submit":
        return _no_stranger(facts)
    if run.demo:
        return None
    named: Sequence[str | None] = run.clips or (run.dataset_url,)
    return Finding(
        "the user gave clips of their own; the demo's clips never stand in for them",
        {"user_clips": list(named)},
        facts.step("prepare_dataset", "with the user's clips"),
    )


def _no_stranger(facts: Facts) -> Finding | None:
    """Look whether each clip of the data set was made from one that the user, or the demo, has given."""
    prepared, run = facts.passed.get("prepare_dataset"), facts.run
    if prepared is None or run is None:
        return None
    given = facts.passed.get("prepare_demo", {}).get("clips", ()) if run.demo else run.clips
    strangers = [
        clip["video"] for clip in prepared["clips"] if clip["source"] and clip["source"] not in set(given)
    ]
    if not strangers:
        return None
    return Finding(
        f"{', '.join(strangers[:5])} was made from no clip that this run was given",
        {"strangers": strangers, "user_clips": list(given)},
        facts.step("prepare_dataset", "with the clips that were given"),
    )


RULES = (
    Rule("INPUT-KEEP", "deny", "What the user gave is used, and nothing ever replaces it.", _keep),
    Rule("INPUT-STEM", "deny", "`video` is a base name without folders and extension.", _stem),
    Rule("INPUT-DEMO", "fix", "Without any input the demo data set is used; nobody is asked.", _demo),
    Rule("INPUT-DEMO-ONLY", "deny", f"The demo is `{DEMO_REPOSITORY}` alone.", _demo_only),
    Rule("INPUT-NO-INVENT", "deny", "Clips are never invented, generated or substituted.", _no_invent),
)
