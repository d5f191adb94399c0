"""Calls that meet each rule, by title; the first of a rule breaks it and stands in `references/policy.md`.

What is decided about them, to the letter, lies in `tests/golden/policy.json`; `make pages` writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from skill_tools.access.secrets import mask
from skill_tools.flows.intent import choose
from skill_tools.flows.values import REQUIRED_VALUES
from skill_tools.journal import SubmissionRecord
from skill_tools.policy.engine import judge
from skill_tools.policy.flow import LABELS_OR_VARIANTS
from skill_tools.policy.rule import Aftermath, Facts, FileFact
from tests.policy.rule_bench import DEMO_RUN, LOCAL_RUN, OSMO_RUN, facts

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "policy.json"

RUN_ID = OSMO_RUN.run_id
STORAGE = "s3://lab/vda"
KEY = "nvapi-" + "k" * 20
OWN_VLM = "http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1"
OWN_LLM = "http://qwen25-14b.osmo-nims.svc.cluster.local:8000/v1"
THEIR_VLM = "https://vlm.example.com/v1"
VALUES = dict.fromkeys(REQUIRED_VALUES, "x") | {
    "dataset": "junction",
    "run_id": RUN_ID,
    "storage_url": STORAGE,
    "gpu_platform": "l40s",
    "video": "car",
    "cosmos_model_cache_url": f"{STORAGE}/data/models/cosmos_transfer",
    "auto_labeling_model_cache_url": f"{STORAGE}/data/models/auto_labeling",
}
BATCH = {"batch": "0", "values": VALUES}
WORKFLOW = "assets/configs/osmo/augmentation_and_al.yaml"
PASSED: Mapping[str, Any] = {
    "estimate_time": {},
    "preflight": {
        "flow": OSMO_RUN.flow,
        "engine": "osmo",
        "pool": "gpu",
        "pools": ["gpu", "gpu-2"],
        "platforms": ["l40s", "h100"],
    },
    "derive_storage_url": {"storage_url": STORAGE},
    "prepare_dataset": {"clips": [{"video": "car", "source": "/clips/car.mp4"}]},
    "check_submission": {
        "complete": True,
        "cache_full": True,
        "workflow": WORKFLOW,
        "pool": "gpu",
        "batches": [BATCH],
    },
}
SENT = SubmissionRecord("0", "sent", "vda-7", VALUES, "gpu", 1, 1.0)
PLAYS = {
    "/clips/a.mp4": FileFact(exists=True, plays=True),
    "/clips/b.txt": FileFact(exists=True, plays=False),
}
DISCLOSURE = "The clips are from the demo data set nvidia/video-data-augmentation-demo; none were given."


def submit(*, values: Mapping[str, Any] | None = None, **more: Any) -> Facts:
    """Return a submit on a cluster with all before it passed; `values` differ from the guarded ones."""
    passed = {**PASSED, **more.pop("passed", {})}
    if values is not None:
        more["values"] = {name: value for name, value in {**VALUES, **values}.items() if value is not None}
    return facts("submit", run=OSMO_RUN, passed=passed, **more)


def without(*tools: str) -> dict[str, Any]:
    """Return what was passed but for some tools."""
    return {tool: data for tool, data in PASSED.items() if tool not in tools}


def early(tool: str, *missing: str, run: Any = OSMO_RUN, **more: Any) -> Facts:
    """Return a call that comes before these tools were passed."""
    return facts(tool, run=run, passed=without(*missing), **more)


def line(text: str, **more: Any) -> Facts:
    """Return a command line that waits for its submit."""
    passed = more.pop("passed", PASSED)
    return replace(
        facts("run_script", run=more.pop("run", OSMO_RUN), passed=passed, **more),
        arguments={"words": text.split()},
    )


def saying(*bubbles: str, **seen: Any) -> Facts:
    """Return a check of bubbles."""
    messages = [{"kind": "media" if text.startswith("MEDIA:") else "text", "body": text} for text in bubbles]
    given = facts("check_message", run=seen.pop("run", LOCAL_RUN), messages=messages)
    return replace(given, **{"files": PLAYS, **seen})


def endpoint(role: str, url: str, *, healthy: bool | None = True) -> dict[str, Any]:
    """Return an endpoint as the tool describes it."""
    return {"role": role, "url": url, "external": "cluster.local" not in url, "healthy": healthy}


def looked(*endpoints: dict[str, Any], deployed: bool = False, **more: Any) -> Facts:
    """Return a look at the endpoints with what came of it."""
    after = {"data": {"deployed": deployed, "endpoints": list(endpoints)}}
    return facts("ensure_endpoints", run=more.pop("run", OSMO_RUN), after=after, **more)


def preflight(*checks: tuple[str, str, str], **after: Any) -> Facts:
    """Return a preflight by its checks' names, states and details."""
    named = [
        {"name": name, "status": status, "detail": detail, "remedy": ""} for name, status, detail in checks
    ]
    return facts("preflight", run=OSMO_RUN, after={"data": {"checks": named}, **after})


def asked(tool: str, rule: str, question: str) -> Facts:
    """Return a call that ends in a question under a rule."""
    return facts(tool, run=OSMO_RUN, after={"problem": f"needs_input.{rule}", "said": question})


def polled(state: str, *engine: str, ended: bool, **after: Any) -> Facts:
    """Return a poll that tells a state, and the engine's own."""
    data = {"state": state, "ended": ended, "workflows": [{"status": status} for status in engine]}
    return facts("poll", run=OSMO_RUN, after={"data": data, **after})


def staged(*videos: str, variants: int = 1, **more: Any) -> Facts:
    """Return a staging of these clips."""
    clips = [{"video": video, "variants": [{}] * variants} for video in videos]
    return facts(
        "stage_artifacts",
        run=more.pop("run", LOCAL_RUN),
        passed={"prepare_dataset": {"clips": [{"video": "car"}, {"video": "bus"}]}},
        after={"data": {"clips": clips}, **more.pop("after", {})},
        **more,
    )


def lengths(clip: int | None, variant: int | None, run: Any = LOCAL_RUN, variants: int = 1) -> Facts:
    """Return a staging of one clip and its variants, by their frames."""
    made = [f"car_aug{number}.mp4" for number in range(variants)]
    clips = [{"video": "car", "input": "car.mp4", "variants": [{"video": name} for name in made]}]
    return facts(
        "stage_artifacts",
        run=run,
        passed={"prepare_dataset": {"clips": [{"video": "car"}]}},
        after={
            "data": {"clips": clips},
            "witness": {"frames": {"car.mp4": clip, **dict.fromkeys(made, variant)}},
        },
    )


def filmed(frames: int | None, fewest: int = 120, most: int = 120, films: int = 1) -> Facts:
    """Return a rendering by the frames of its films and those that the sides allow for."""
    film = {"frames": frames, "fewest": fewest, "most": most}
    return facts(
        "render_compare",
        passed={"stage_artifacts": {"run_local_dir": "/clips/run"}},
        after={
            "data": {"comparisons": []},
            "witness": {"films": {f"car_aug{number}": film for number in range(films)}},
        },
    )


def rendered(kind: str, *failures: str, no_encoder: bool = False, media: int = 1) -> Facts:
    """Return a rendering of one side by side."""
    one = {"name": "car_aug0", "kind": kind, "failures": list(failures), "no_encoder": no_encoder}
    return facts(
        "render_compare",
        after={"data": {"comparisons": [one]}, "messages": ["MEDIA:/clips/a.mp4"] * media},
    )


def reported(told: str, *, run: Any = LOCAL_RUN, weather: str = "rain", **witness: Any) -> Facts:
    """Return a report of one variant: what it tells, and what lies in the files."""
    video = "/clips/outputs/augmented/car_aug0/augmented_video.mp4"
    variant = {"video": video, "sampled_vars": {"weather": weather}}
    files = {
        "manifest": {"car_aug0": {"weather": "rain"}},
        "labels": {"car_aug0": {"car": 2}},
        "unreadable": [],
    }
    return facts(
        "report",
        run=run,
        after={
            "data": {"clips": [{"video": "car", "variants": [variant]}]},
            "messages": [f"car\n  car_aug0: weather: rain\n{told}"],
            "witness": {**files, **witness},
        },
    )


def originals(told: str) -> Facts:
    """Return a report of labels alone."""
    return facts(
        "report",
        run=LOCAL_RUN.model_copy(update={"flow": "auto_labeling"}),
        after={
            "data": {"clips": [{"video": "car", "variants": []}]},
            "messages": [f"car\n{told}"],
            "witness": {"manifest": {}, "labels": {"car": {"car": 4}}, "unreadable": []},
        },
    )


def disclosing(body: str, disclosure: str = DISCLOSURE, run: Any = DEMO_RUN) -> Facts:
    """Return a report that says something of where its clips are from."""
    return facts("report", run=run, after={"data": {"disclosure": disclosure}, "messages": [body]})


TOLD = "    labels of the variant: 2 car"
SUBMIT = f"osmo workflow submit {WORKFLOW}"


def over(output: str, *, there: bool = True) -> Facts:
    """Return the facts of a preview that is to be written where something lies, or does not."""
    lies = {f"/clips/{output}": FileFact(exists=there, plays=there)}
    return facts("preview", run=None, clip="car.mp4", output=output, seen={"files": lies})


EXAMPLES: Mapping[str, Mapping[str, Facts]] = {
    "FLOW-DEFAULT": {
        "no flow, no words": facts("select_flow", run=None, clips=["car.mp4"]),
        "words without a meaning": facts("select_flow", run=None, request="please"),
        "a flow is named": facts("select_flow", run=None, flow="e2e"),
        "the words pick a flow": facts("select_flow", run=None, request="label my source clips"),
        "the words contradict each other": facts(
            "select_flow", run=None, request="no augmentation, but rain variants"
        ),
        "out of scope": facts("select_flow", run=None, request="which guidance scale in the container?"),
    },
    "FLOW-INTENT": {
        "a contradiction": facts("select_flow", run=None, request="no augmentation, but rain variants"),
        "asked already": facts(
            "select_flow",
            run=None,
            request="no augmentation, but rain variants",
            seen={"asked": choose("no augmentation, but rain variants").question},
        ),
        "labels alone beside variants": facts("select_flow", run=None, request="only labels", variants=2),
        "labels alone beside a look": facts(
            "select_flow", run=None, request="only labels", variables={"weather": "rain"}
        ),
        "labels alone": facts("select_flow", run=None, request="only labels"),
        "variants that are wanted": facts("select_flow", run=None, request="make variants", variants=2),
        "no words": facts("select_flow", run=None, variants=2),
        "a flow is named": facts(
            "select_flow", run=None, flow="e2e", request="no augmentation, but rain variants"
        ),
    },
    "FLOW-ALIAS": {
        "the old name": facts("select_flow", run=None, flow="augmentation_and_pl"),
        "the old file": facts("check_submission", workflow="assets/configs/osmo/augmentation_and_pl.yaml"),
        "the old file without a folder": facts("check_submission", workflow="augmentation_and_pl.yaml"),
        "the name": facts("select_flow", run=None, flow="augmentation_and_al"),
        "the file": facts("check_submission", workflow=WORKFLOW),
        "an unknown name": facts("select_flow", run=None, flow="something"),
        "no name": facts("select_flow", run=None),
    },
    "FLOW-SCOPE": {
        "a question about a container": facts(
            "select_flow", run=None, request="which guidance scale should the container use?"
        ),
        "the same beside a flow": facts(
            "select_flow", run=None, flow="e2e", request="which guidance scale should the container use?"
        ),
        "another question": facts("select_flow", run=None, request="make rain variants"),
    },
    "INPUT-KEEP": {
        "another clip": facts("prepare_dataset", clips=["/clips/bus.mp4"]),
        "a clip more": facts("prepare_dataset", clips=["/clips/car.mp4", "/clips/bus.mp4"]),
        "clips for a run with a data set": facts(
            "prepare_dataset",
            run=LOCAL_RUN.model_copy(update={"clips": (), "dataset_url": "s3://lab/datasets/a"}),
            clips=["/clips/bus.mp4"],
        ),
        "beside an empty argument": facts("prepare_dataset", clips=["/clips/bus.mp4"], dataset="", x=0),
        "clips for a demo run": facts("prepare_dataset", run=DEMO_RUN, clips=["/clips/bus.mp4"]),
        "clips of the run that begins": facts("select_flow", clips=["/clips/bus.mp4"]),
        "clips without a run": facts("prepare_dataset", run=None, clips=["/clips/bus.mp4"]),
        "the clip by another way": facts(
            "prepare_dataset", clips=["link.mp4"], seen={"places": {"link.mp4": "/clips/car.mp4"}}
        ),
        "another data set": facts("derive_storage_url", dataset_url="s3://lab/datasets/other"),
        "another data set than the run's": facts(
            "derive_storage_url",
            run=LOCAL_RUN.model_copy(update={"clips": (), "dataset_url": "s3://lab/datasets/a"}),
            dataset_url="s3://lab/datasets/b",
        ),
        "the run's data set": facts(
            "derive_storage_url",
            run=LOCAL_RUN.model_copy(update={"dataset_url": "s3://lab/datasets/a"}),
            dataset_url="s3://lab/datasets/a/",
        ),
        "the run's data set, written with a slash": facts(
            "derive_storage_url",
            run=LOCAL_RUN.model_copy(update={"dataset_url": "s3://lab/datasets/a/"}),
            dataset_url="s3://lab/datasets/a",
        ),
        "a data set of nearly the same name": facts(
            "derive_storage_url",
            run=LOCAL_RUN.model_copy(update={"clips": (), "dataset_url": "s3://lab/datasets/a"}),
            dataset_url="s3://lab/datasets/aX",
        ),
        "a data set without a run": facts("derive_storage_url", run=None, dataset_url="s3://lab/datasets/a"),
        "another video among the values": submit(values={"video": "bus"}),
        "another video": facts("render_compare", passed=PASSED, video="bus", aug_index=0),
        "one video more": submit(values={"video": "car,bus, van"}),
        "the run's video": submit(values={"video": "car"}),
        "a video before the data set": early("submit", "prepare_dataset", values={"video": "bus"}),
        "another clip beside a variant": facts("stage_artifacts", input_local_video="/clips/bus.mp4"),
        "the clip beside a variant": facts("stage_artifacts", input_local_video="car.mp4"),
        "a clip beside a demo's variant": facts(
            "stage_artifacts", run=DEMO_RUN, input_local_video="/clips/bus.mp4"
        ),
        "a preview over its own clip": facts("preview", run=None, clip="car.mp4", output="/clips/car.mp4"),
        "a preview over its clip by another way": facts(
            "preview",
            run=None,
            clip="link.mp4",
            output="car.mp4",
            seen={"places": {"link.mp4": "/clips/car.mp4"}},
        ),
        "a preview beside its clip": facts("preview", run=None, clip="car.mp4", output="rain.mp4"),
        "a preview without a place": facts("preview", run=None, clip="car.mp4"),
        "a preview over another clip": over("clips/bus.mp4"),
        "a preview over a run's picture": over("media/vda/runs/run-0a1b2c3d/display/car.png"),
        "a preview over an earlier one": over("media/vda/previews/rain.mp4"),
        "a preview over a picture": over("rain.PNG"),
        "a preview where a clip was": over("clips/bus.mp4", there=False),
        "a clip beside a variant of no run": facts(
            "stage_artifacts", run=None, input_local_video="/clips/bus.mp4"
        ),
    },
    "INPUT-STEM": {
        "an extension": facts("check_submission", values={"video": "car.mp4"}),
        "a folder, no run": facts("check_submission", run=None, values={"video": "clips/car"}),
        "one of two": submit(values={"video": "car, bus.mp4"}),
        "a video argument": facts("render_compare", video="../car"),
        "a stem": submit(values={"video": "car, bus"}),
        "no video": submit(),
    },
    "INPUT-DEMO": {
        "no clip": facts("select_flow", run=None, flow="e2e"),
        "a clip": facts("select_flow", run=None, clips=["car.mp4"]),
        "a data set": facts("select_flow", run=None, dataset_url="s3://lab/datasets/a"),
        "a repository": facts("prepare_demo", run=None, repository="lab/clips"),
        "a run that was begun": facts("prepare_demo", run=DEMO_RUN),
    },
    "INPUT-DEMO-ONLY": {
        "another repository": facts("prepare_demo", run=DEMO_RUN, repository="lab/clips"),
        "one that was asked for": facts(
            "prepare_demo", repository="lab/clips", repository_was_asked_for=True
        ),
        "the demo": facts("prepare_demo", repository="nvidia/video-data-augmentation-demo"),
        "no repository": facts("prepare_demo"),
    },
    "INPUT-NO-INVENT": {
        "the demo for a run with clips": facts("prepare_demo"),
        "the demo for a run with a data set": facts(
            "prepare_demo",
            run=LOCAL_RUN.model_copy(update={"clips": (), "dataset_url": "s3://lab/datasets/a"}),
        ),
        "the demo for a demo run": facts("prepare_demo", run=DEMO_RUN),
        "the demo for no run": facts("prepare_demo", run=None),
        "a clip that nobody gave": submit(
            passed={
                "prepare_dataset": {
                    "clips": [
                        {"video": "car", "source": "/clips/car.mp4"},
                        {"video": "made", "source": "/elsewhere/made.mp4"},
                    ]
                }
            }
        ),
        "clips that nobody gave": submit(
            passed={
                "prepare_dataset": {
                    "clips": [{"video": f"made{number}", "source": "/made.mp4"} for number in range(7)]
                }
            }
        ),
        "a clip that was there": submit(
            passed={"prepare_dataset": {"clips": [{"video": "x", "source": None}]}}
        ),
        "a stranger in a demo run": facts(
            "submit",
            run=DEMO_RUN,
            passed={
                "prepare_demo": {"clips": ["/demo/a.mp4"]},
                "prepare_dataset": {"clips": [{"video": "car", "source": "/clips/car.mp4"}]},
            },
        ),
        "the demo's clip in a demo run": facts(
            "submit",
            run=DEMO_RUN,
            passed={
                "prepare_demo": {"clips": ["/demo/a.mp4"]},
                "prepare_dataset": {"clips": [{"video": "a", "source": "/demo/a.mp4"}]},
            },
        ),
        "a demo run without its demo": facts(
            "submit",
            run=DEMO_RUN,
            passed={"prepare_dataset": {"clips": [{"video": "a", "source": "/demo/a.mp4"}]}},
        ),
        "the user's clip": submit(),
        "nothing prepared": early("submit", "prepare_dataset"),
    },
    "INPUT-DISCLOSE": {
        "said": disclosing(f"car\n{DISCLOSURE}"),
        "not said": disclosing("car"),
        "nothing to say": disclosing("car", disclosure=""),
        "nothing there to say": facts("report", run=DEMO_RUN, after={"data": {}, "messages": ["car None"]}),
        "the user's clips": disclosing("car", run=LOCAL_RUN),
        "a failed report": facts("report", run=DEMO_RUN, after={"problem": "artifact.missing"}),
        "no run": disclosing("car", run=None),
    },
    "ASK-ONLY-BLOCKED": {
        "a needless question": saying("How many variants shall it be?"),
        "a known pool": saying("Preflight is green.", "Which pool is it?"),
        "the question that is owed": saying("Which pool is it?", asked="Which pool is it?"),
        "a second question beside it": saying(
            "Which pool is it? And which platform?", asked="Which pool is it?"
        ),
        "the same question again": saying("Which pool is it? Which pool is it?", asked="Which pool is it?"),
        "two questions of a kind that may be asked": saying("Which bucket is it?", "Which pool?", run=None),
        "the same question behind a statement": saying(
            "Which pool is it? Thanks. Which pool is it?", asked="Which pool is it?"
        ),
        "another question than the one that is owed": saying("What colour is it?", asked="Which pool is it?"),
        "a tool's needless question": asked("preflight", "COOKBOOK", "Which cookbook?"),
        "a tool's question": asked("preflight", "POOL-ONLINE", "Which pool may it be?"),
        "a statement": saying("Preflight is green."),
    },
    "ASK-NEVER": {
        "whether to go on": saying("Preflight is green. Shall I submit now?"),
        "approval in disguise": saying("Please confirm.", "I wait."),
        "what the skill decides": saying("Which cookbook do you want?"),
        "a tool's own": facts("poll", after={"messages": ["Ready to go on?"]}),
        "four at once": saying("Ready?", "Shall I?", "Okay?", "Continue?"),
        "a full-width mark": saying("Green. Ready？ I wait."),
        "an Arabic mark": saying("Ready؟"),
        "tell me": saying("Tell me if I should continue."),
        "a quoted one": saying("> Shall I submit now?"),
        "a quoted one, indented": saying("  > Shall I submit now?"),
        "behind a quoted line": saying("> It is green.\nShall I submit now?"),
        "in quotation marks": saying("I ask you: “Shall I submit now?”"),
        "among other lines": saying("Preflight is green.\nShall I submit now?\nThe pool is gpu.\nBye."),
        "among other sentences": saying("It is green. Shall I submit now? The pool is gpu. Bye."),
        "in a list": saying("- Shall I submit now?\n- The pool is gpu."),
        "with a path in it": saying("Shall I show /clips/a.mp4 now?"),
        "a long one": saying(f"Shall I {'really ' * 30}submit now?"),
        "behind a media line": saying("MEDIA:/clips/a.mp4", "Shall I submit now?"),
        "before a media line from elsewhere": saying("Shall I submit now?", "MEDIA:/etc/passwd"),
        "a question of its own kind that is owed": saying(
            LABELS_OR_VARIANTS, asked=LABELS_OR_VARIANTS, run=None
        ),
        "nothing asked": saying("Preflight is green."),
        "a statement that is owed": saying(
            "Let me know if you approve the pool.", asked="Let me know if you approve the pool."
        ),
    },
    "ETA-FIRST": {
        "data before the overview": early("prepare_dataset", "estimate_time"),
        "a submit before it": facts("submit", run=OSMO_RUN, passed={}),
        "a dry run before it": facts("submit", run=OSMO_RUN, passed={}, dry_run=True),
        "a preflight on a cluster": early("preflight", "estimate_time"),
        "a preflight here": early("preflight", "estimate_time", run=LOCAL_RUN),
        "endpoints here": early("ensure_endpoints", "estimate_time", run=LOCAL_RUN),
        "a cache here": early("ensure_cache", "estimate_time", run=LOCAL_RUN),
        "after the overview": early("prepare_dataset"),
        "no run": facts("prepare_dataset", run=None),
    },
    "SECRET-REQUIRED": {
        "a token is missing": asked(
            "preflight", "SECRET-REQUIRED", "USER_INPUT_REQUIRED: set HF_TOKEN, or NGC_API_KEY and HF_TOKEN"
        ),
        "another question": asked("preflight", "POOL-ONLINE", "Which pool may it be? set HF_TOKEN"),
        "another problem": facts("preflight", after={"problem": "engine.down"}),
        "before the call": facts("preflight"),
    },
    "SECRET-PREFIX": {
        "a key turned down": preflight(("NGC key", "failed", "the prefix is not nvapi-: unsupported")),
        "two turned down": preflight(
            ("NGC key", "failed", "must start with nvapi-"),
            ("HF token", "failed", "invalid kind of key"),
            ("pool", "failed", "none is ONLINE"),
        ),
        "a key that passed": preflight(("NGC key", "ok", "the prefix is not nvapi-, unsupported by none")),
        "a key that a registry turned down": preflight(("NGC key", "failed", "401 for nvcr.io/x")),
        "before the call": facts("preflight"),
    },
    "SECRET-EVIDENCE": {
        "no access": preflight(
            ("image: nvcr.io/nim/a:1", "failed", "access failure: 403"),
            ("image: nvcr.io/nim/b:1", "failed", "access failure: 401"),
            ("image: nvcr.io/nim/c:1", "ok", "is there"),
            ("pool", "failed", "access failure"),
        ),
        "access": preflight(("image: nvcr.io/nim/a:1", "ok", "is there")),
    },
    "SECRET-REFRESH": {
        "credentials that exist": preflight(
            ("credential hf_token", "ok", "kept as it is"),
            ("credential nvcr", "ok", "set"),
            ("token", "ok", "kept as it is"),
        ),
        "two of them": preflight(
            ("credential hf_token", "ok", "kept as it is"), ("credential nvcr", "ok", "kept as it is")
        ),
        "a refresh of another": replace(
            preflight(("credential hf_token", "ok", "kept as it is")),
            arguments={"run_id": RUN_ID, "refresh": True},
        ),
        "new ones": preflight(("credential hf_token", "ok", "set")),
    },
    "SECRET-SILENT": {
        "a key in a value": facts("submit", values={"vlm_url": f"https://x/?key={KEY}"}),
        "a known secret": facts(
            "logs", task="hunter2-hunter2", tail=4, seen={"secrets": frozenset({"hunter2-hunter2"})}
        ),
        "a secret as a name": facts(
            "submit", values={"hunter2-hunter2": "x"}, seen={"secrets": frozenset({"hunter2-hunter2"})}
        ),
        "a secret with an umlaut": facts(
            "logs", task=["schlüssel-wörter"], seen={"secrets": frozenset({"schlüssel-wörter"})}
        ),
        "a secret with quotation marks": facts(
            "logs", task='pass"word"s', seen={"secrets": frozenset({'pass"word"s'})}
        ),
        "a secret with an umlaut as an argument": replace(
            facts("logs", seen={"secrets": frozenset({"schlüssel-wörter"})}),
            arguments={"schlüssel-wörter": 1},
        ),
        "two of them": facts("logs", task=KEY, tail=KEY),
        "a key as an argument": replace(facts("logs"), arguments={KEY: 1}),
        "a secret in a bubble": saying(f"I use {KEY} for it.", "Yes."),
        "a known secret in a bubble": saying(
            "It is hunter2-hunter2.", secrets=frozenset({"hunter2-hunter2"})
        ),
        "no secret": submit(values={"vlm_url": ""}, seen={"secrets": frozenset({"hunter2-hunter2"})}),
        "plain bubbles": saying("No key here."),
    },
    "PREFLIGHT-FIRST": {
        "no preflight": early("submit", "preflight"),
        "one of another flow": submit(passed={"preflight": {**PASSED["preflight"], "flow": "e2e"}}),
        "one of another engine": submit(passed={"preflight": {**PASSED["preflight"], "engine": "local"}}),
        "a green one": submit(),
        "a dry run": early("submit", "preflight", dry_run=True),
        "no run": facts("submit", run=None),
    },
    "STORAGE-DERIVE": {
        "a storage before it was derived": early(
            "submit", "derive_storage_url", values={"storage_url": "s3://lab"}
        ),
        "the tool's question": asked(
            "derive_storage_url", "STORAGE-DERIVE", "Which storage URL shall the clips go to?"
        ),
        "another problem": facts("derive_storage_url", after={"problem": "input.url", "said": "no URL"}),
        "a question of another rule": asked("derive_storage_url", "POOL-ONLINE", "Which pool?"),
        "after it was derived": submit(values={}),
        "no storage": early("submit", "derive_storage_url"),
        "no run": facts("submit", run=None, values=VALUES),
    },
    "STORAGE-NO-STALE": {
        "a storage elsewhere": facts(
            "submit", run=OSMO_RUN, passed=PASSED, values={"storage_url": "s3://old/vda"}
        ),
        "a left-over cache": submit(values={"cosmos_model_cache_url": "s3://old/models"}),
        "the other cache": submit(values={"auto_labeling_model_cache_url": "gs://old/models"}),
        "a cache that is no URL": submit(values={"auto_labeling_model_cache_url": "models"}),
        "a cache elsewhere in the bucket": submit(values={"cosmos_model_cache_url": "s3://lab/models"}),
        "a cache in the storage": submit(values={"cosmos_model_cache_url": STORAGE}),
        "no cache": submit(values={"cosmos_model_cache_url": ""}),
        "no storage": submit(values={"storage_url": None}),
        "before it was derived": early("submit", "derive_storage_url", values=VALUES),
        "no values": submit(),
        "a bucket for a run here": facts("derive_storage_url", storage_url="s3://lab"),
        "a folder for a run there": facts("derive_storage_url", run=OSMO_RUN, storage_url="file:///lab"),
        "a folder for a run here": facts("derive_storage_url", storage_url="file:///lab"),
        "a bucket for a run there": facts("derive_storage_url", run=OSMO_RUN, storage_url="s3://lab"),
        "a storage for no run": facts("derive_storage_url", run=None, storage_url="s3://lab"),
        "a cache beside a storage here": facts(
            "submit",
            passed={"derive_storage_url": {"storage_url": "file:///lab/storage"}},
            values={
                "storage_url": "file:///lab/storage",
                "cosmos_model_cache_url": "file:///lab/storage-2/m",
            },
        ),
        "a cache below a storage here": facts(
            "submit",
            passed={"derive_storage_url": {"storage_url": "file:///lab/storage"}},
            values={"cosmos_model_cache_url": "file:///lab/storage/m"},
        ),
    },
    "NIM-REUSE": {
        "both serve": looked(endpoint("vlm", OWN_VLM), endpoint("llm", OWN_LLM)),
        "one serves": looked(endpoint("vlm", OWN_VLM), endpoint("llm", OWN_LLM, healthy=False)),
        "none serves": looked(endpoint("vlm", OWN_VLM, healthy=None)),
        "deployed just now": looked(endpoint("vlm", OWN_VLM), deployed=True),
        "a look that failed": facts("ensure_endpoints", after={"problem": "engine.down"}),
        "the user's": looked(endpoint("vlm", THEIR_VLM)),
        "before the call": facts("ensure_endpoints"),
    },
    "NIM-DEPLOY": {
        "one was missing": looked(
            endpoint("vlm", OWN_VLM, healthy=False), endpoint("llm", OWN_LLM), deployed=True
        ),
        "a stranger": looked(endpoint("embedding", "http://e.osmo-nims.svc.cluster.local"), deployed=True),
        "the user's beside it": looked(
            endpoint("embedding", "https://e.example.com"), endpoint("llm", OWN_LLM), deployed=True
        ),
        "none was missing": looked(endpoint("vlm", OWN_VLM)),
        "before the call": facts("ensure_endpoints"),
        "a look that failed": facts("ensure_endpoints", after={"problem": "engine.down"}),
    },
    "NIM-EXTERNAL-OPT-IN": {
        "a URL that nobody gave": facts("submit", run=OSMO_RUN, values={"vlm_url": THEIR_VLM}),
        "two": submit(values={"vlm_url": THEIR_VLM, "llm_url": "api.example.com"}),
        "another than the user's": facts(
            "submit",
            run=OSMO_RUN.model_copy(update={"vlm_url": "https://own.example.com", "llm_url": THEIR_VLM}),
            values={"vlm_url": THEIR_VLM, "llm_url": THEIR_VLM},
        ),
        "found by the tool": looked(endpoint("llm", "https://llm.example.com/v1")),
        "the user's": facts(
            "submit",
            run=OSMO_RUN.model_copy(update={"vlm_url": "vlm.example.com"}),
            values={"vlm_url": THEIR_VLM},
        ),
        "the cluster's": submit(values={"vlm_url": OWN_VLM}),
        "no URL": submit(values={"vlm_url": "http://["}),
        "none": submit(values={}),
        "no run": facts("submit", run=None, values={"vlm_url": THEIR_VLM}),
    },
    "NIM-NO-INFER": {
        "a URL of a key's service": facts(
            "submit", run=OSMO_RUN, values={"llm_url": "https://integrate.api.nvidia.com/v1"}
        ),
        "both": submit(values={"vlm_url": THEIR_VLM, "llm_url": THEIR_VLM}),
        "one was given": facts(
            "submit",
            run=OSMO_RUN.model_copy(update={"vlm_url": "https://own.example.com"}),
            values={"vlm_url": THEIR_VLM},
        ),
        "none": submit(values={}),
    },
    "NIM-NEVER-DOWN": {
        "a line that deletes": line("kubectl delete deployment qwen3-vl -n osmo-nims"),
        "a path, an option": line("/usr/local/bin/Helm --UNINSTALL qwen3-vl"),
        "a long line": line("kubectl delete " + " ".join(f"pod-{number}" for number in range(20))),
        "a line that looks": line("kubectl get pods scaled"),
        "a word alone": line("osmo scale delete"),
        "another word": line("kubectl Xdelete"),
        "two that are gone": looked(
            passed={"ensure_endpoints": {"endpoints": [endpoint("vlm", OWN_VLM), endpoint("llm", OWN_LLM)]}}
        ),
        "one that is gone": looked(
            endpoint("llm", OWN_LLM),
            passed={"ensure_endpoints": {"endpoints": [endpoint("vlm", OWN_VLM), endpoint("llm", OWN_LLM)]}},
        ),
        "one that never served": looked(
            passed={"ensure_endpoints": {"endpoints": [endpoint("vlm", OWN_VLM, healthy=False)]}}
        ),
        "a look that failed": facts(
            "ensure_endpoints",
            passed={"ensure_endpoints": {"endpoints": [endpoint("vlm", OWN_VLM)]}},
            after={"problem": "engine.down"},
        ),
        "another tool": facts(
            "poll", passed={"ensure_endpoints": {"endpoints": [endpoint("vlm", OWN_VLM)]}}, after={"data": {}}
        ),
    },
    "CACHE-AUTO": {
        "an empty cache": facts("check_submission", after={"data": {"cache_full": False}}),
        "a submit with an empty cache": submit(
            passed={"check_submission": {**PASSED["check_submission"], "cache_full": False}}
        ),
        "a dry run with an empty cache": submit(
            passed={"check_submission": {**PASSED["check_submission"], "cache_full": False}}, dry_run=True
        ),
        "a full cache": facts("check_submission", after={"data": {"cache_full": True}}),
        "a cache that nobody looked at": facts("check_submission", after={"data": {}}),
        "a red guard": facts(
            "check_submission", after={"data": {"cache_full": False}, "problem": "input.guard"}
        ),
        "a submit with a full cache": submit(),
        "a submit without a guard": early("submit", "check_submission"),
    },
    "GUARD-FIRST": {
        "no guard": early("submit", "check_submission"),
        "a red guard": submit(passed={"check_submission": {**PASSED["check_submission"], "complete": False}}),
        "other values": submit(values={"cookbook": "piazza", "dataset": "other"}),
        "one value less": submit(values={"dataset": None}),
        "values nearest to the second batch": submit(
            values={"video": "bus", "x": "1"},
            passed={
                "check_submission": {
                    **PASSED["check_submission"],
                    "batches": [BATCH, {"batch": "1", "values": {**VALUES, "video": "bus"}}],
                }
            },
        ),
        "values for no batch": submit(
            values={}, passed={"check_submission": {**PASSED["check_submission"], "batches": []}}
        ),
        "the guarded values": submit(values={}),
        "no values": submit(),
        "a dry run": early("submit", "check_submission", dry_run=True),
        "no run": facts("submit", run=None),
    },
    "POOL-ONLINE": {
        "a pool that is not ONLINE": submit(pool="cpu"),
        "none is ONLINE": submit(
            pool="cpu", passed={"preflight": {**PASSED["preflight"], "pools": [], "pool": None}}
        ),
        "the tool's question": asked("preflight", "POOL-ONLINE", "Which pool may it be? None is ONLINE."),
        "another question": asked("preflight", "PLATFORM-EXACT", "Which platform?"),
        "a tool that asks nothing": facts("preflight", run=OSMO_RUN, after={"data": {}}),
        "an ONLINE pool": submit(pool="gpu-2"),
        "no pool": submit(),
        "before the preflight": early("submit", "preflight", pool="cpu"),
    },
    "PLATFORM-EXACT": {
        "a platform that isn't": facts(
            "submit", run=OSMO_RUN, passed=PASSED, values={"gpu_platform": "a100"}
        ),
        "the tool's question": asked("preflight", "PLATFORM-EXACT", "Which platform? The pool lists none."),
        "another question": asked("preflight", "POOL-ONLINE", "Which pool?"),
        "a listed platform": submit(values={"gpu_platform": "h100"}),
        "no platform": submit(values={"gpu_platform": None}),
        "before the preflight": early("submit", "preflight", values={"gpu_platform": "a100"}),
    },
    "SCHED-PLATFORM": {
        "a task elsewhere": facts(
            "check_submission",
            values={"a": "b"},
            after={
                "data": {
                    "checks": [
                        {
                            "name": "platform of every task",
                            "ok": False,
                            "detail": "resource cpu asks for x86",
                        },
                        {
                            "name": "platform of every task",
                            "ok": False,
                            "detail": "resource big asks for h100",
                        },
                        {"name": "values", "ok": False, "detail": "missing"},
                    ]
                }
            },
        ),
        "all where they belong": facts(
            "check_submission",
            after={"data": {"checks": [{"name": "platform of every task", "ok": True, "detail": "l40s"}]}},
        ),
        "nothing checked": facts("check_submission", after={"data": {}}),
        "before the call": facts("check_submission"),
    },
    "SUBMIT-SHAPE": {
        "a second --set-string": line(
            f"{SUBMIT} --pool gpu --set-string dataset=junction --set-string video=car"
        ),
        "--set beside it": line(f"{SUBMIT} --pool gpu --set-string dataset=junction --set video=car"),
        "--set-env beside it": line(f"{SUBMIT} -p gpu --set-string dataset=junction --set-env A=b"),
        "--set-file beside it": line(f"{SUBMIT} -p gpu --set-string dataset=junction --set-file A=b"),
        "joined by a sign": line(f"{SUBMIT} --pool gpu --set-string=dataset=junction video=car"),
        "no --set-string": line(f"{SUBMIT} --pool gpu"),
        "--set beside it, joined by a sign": line(f"{SUBMIT} --pool gpu --set-string a=b --set=c=d"),
        "a name twice, with more signs": line(f"{SUBMIT} --pool gpu --set-string a=b=c a=b=d"),
        "a file and no more": line(SUBMIT),
        "no pairs": line(f"{SUBMIT} --set-string --pool gpu"),
        "a word among the pairs": line(f"{SUBMIT} --pool gpu --set-string dataset=junction car"),
        "a name twice": line(f"{SUBMIT} --pool gpu --set-string video=car video=bus"),
        "no file": line("osmo workflow submit --pool gpu --set-string video=car"),
        "no file, nothing else": line("osmo workflow submit"),
        "no pool": line(f"{SUBMIT} --set-string video=car"),
        "a pool left open": line(f"{SUBMIT} --set-string video=car --pool"),
        "another option for the pool": line(f"{SUBMIT} -p --dry-run --set-string video=car"),
        "a second file": line(f"{SUBMIT} e2e.yaml --pool gpu --set-string video=car"),
        "another option": line(f"{SUBMIT} --pool gpu --set-string video=car --rsync"),
        "all options": line(f"{SUBMIT} --dry-run --set-string video=car n=1 -p gpu"),
        "a pool joined by a sign": line(f"{SUBMIT} --pool=gpu --set-string video=car"),
        "without a guard": line(f"{SUBMIT} --set-string video=car", passed={}),
        "without guarded batches": line(
            f"{SUBMIT} --set-string video=car", passed={"check_submission": {"batches": []}}
        ),
        "without a run": line(f"{SUBMIT} --set-string video=car", run=None, passed={}),
        "the second batch is due": line(
            f"{SUBMIT} --set-string video=car",
            passed={
                "check_submission": {
                    **PASSED["check_submission"],
                    "batches": [BATCH, {"batch": "1", "values": {"video": "bus", "n": "a b"}}],
                }
            },
            seen={"submissions": (SENT,)},
        ),
        "a refused batch is due again": line(
            f"{SUBMIT} --set-string video=car", seen={"submissions": (replace(SENT, state="refused"),)}
        ),
        "all were sent": line(f"{SUBMIT} --set-string video=car", seen={"submissions": (SENT,)}),
        "the right shape": line(f"{SUBMIT} --pool gpu --set-string dataset=junction video=car"),
        "the right shape, another order": line(f"{SUBMIT} --set-string dataset=junction video=car -p gpu"),
        "the right shape, its pool joined by a sign": line(f"{SUBMIT} --pool=gpu --set-string video=car"),
        "sent, nothing told": facts("submit", run=OSMO_RUN, after={"data": {}}),
        "another line": line("osmo workflow query vda-7 --set x"),
        "what the tool sent": facts(
            "submit",
            run=OSMO_RUN,
            passed=PASSED,
            after={"data": {"workflows": [{"command": f"{SUBMIT} --pool gpu --set-string 'video=a b'"}, {}]}},
        ),
        "what the tool should not have sent": facts(
            "submit",
            run=OSMO_RUN,
            passed=PASSED,
            after={"data": {"workflows": [{}, {"command": f"{SUBMIT} --pool gpu --set video=car"}]}},
        ),
        "what the tool failed to send": facts(
            "submit",
            run=OSMO_RUN,
            after={"data": {"workflows": [{"command": f"{SUBMIT} --set a=b"}]}, "problem": "engine.down"},
        ),
    },
    "SUBMIT-EXPLICIT-CACHE": {
        "one is missing": facts(
            "submit",
            run=OSMO_RUN,
            values={
                "storage_url": STORAGE,
                "auto_labeling_model_cache_url": f"{STORAGE}/data/models/auto_labeling",
            },
        ),
        "both are missing, no guard": early(
            "submit", "check_submission", values={"storage_url": f"{STORAGE}/", "video": "car"}
        ),
        "the guard has no batch": submit(
            values={"auto_labeling_model_cache_url": " "},
            passed={"check_submission": {**PASSED["check_submission"], "batches": []}},
        ),
        "the guarded one is used": submit(
            values={"cosmos_model_cache_url": None},
            passed={
                "check_submission": {
                    **PASSED["check_submission"],
                    "batches": [{"batch": "0", "values": {"cosmos_model_cache_url": "s3://lab/models"}}],
                }
            },
        ),
        "both are there": submit(values={}),
        "no values": submit(),
        "no storage": submit(values={"storage_url": "", "cosmos_model_cache_url": None}),
        "nothing but a video": facts("submit", run=OSMO_RUN, values={"video": "car"}),
        "a storage that ends with a letter": facts(
            "submit", run=OSMO_RUN, values={"storage_url": "s3://laX/"}
        ),
        "a storage left open": submit(values={"storage_url": "<bucket>", "cosmos_model_cache_url": None}),
    },
    "SUBMIT-COMPLETE": {
        "all but two are missing": facts(
            "submit", run=OSMO_RUN, values={"dataset": "junction", "video": "car"}
        ),
        "two are missing": submit(values={"dataset": None, "video": "  "}),
        **{
            f"left open: {text}": submit(values={"storage_url": text})
            for text in (
                "s3://{{bucket}}",
                "{% x %}",
                "<bucket>",
                "s3://…",
                "s3://...",
                "todo",
                "s3/placeholder",
            )
        },
        "no run": facts("submit", run=None, values={"dataset": "TBD"}),
        "all are there": submit(values={}),
        "no values": submit(),
    },
    "SUBMIT-STAMP": {
        "a second submit": submit(seen={"submissions": (SENT,)}),
        "a batch is left": submit(
            passed={"check_submission": {"batches": [BATCH, {"batch": "1", "values": VALUES}]}},
            seen={"submissions": (SENT,)},
        ),
        "refused once": submit(seen={"submissions": (replace(SENT, state="refused"),)}),
        "sent without a guard": early("submit", "check_submission", seen={"submissions": (SENT,)}),
        "a dry run": submit(seen={"submissions": (SENT,)}, dry_run=True),
        "found again": facts(
            "submit",
            run=OSMO_RUN,
            after={
                "data": {
                    "workflows": [
                        {"workflow_id": "vda-7", "found_again": True},
                        {"workflow_id": "vda-8", "found_again": False},
                    ]
                }
            },
        ),
        "sent": facts(
            "submit",
            run=OSMO_RUN,
            after={"data": {"workflows": [{"workflow_id": "vda-8", "found_again": False}]}},
        ),
        "sent, nothing told": facts("submit", run=OSMO_RUN, after={"data": {}}),
        "first": submit(),
        "no run": facts("submit", run=None, seen={"submissions": (SENT,)}),
    },
    "SUBMIT-RETRY-ONCE": {
        "a third try": submit(seen={"refusals": 2}),
        "a third try of a run with wishes": facts(
            "submit",
            run=OSMO_RUN.model_copy(
                update={
                    "dataset": "junction",
                    "dataset_url": "s3://lab/datasets/junction",
                    "storage_url": "s3://lab",
                    "n_augmentations": 3,
                    "variables": {"weather": "rain"},
                    "vlm_url": THEIR_VLM,
                    "llm_url": "https://llm.example.com/v1",
                }
            ),
            seen={"refusals": 3},
        ),
        "a third try of no run": facts("submit", run=None, seen={"refusals": 2}),
        "the retry": submit(seen={"refusals": 1}),
        "a dry run": submit(seen={"refusals": 2}, dry_run=True),
    },
    "POLL-HEARTBEAT": {
        "ten minutes": facts("poll", wait_s=600),
        "just more": facts("poll", wait_s=110.5),
        "just so": facts("poll", wait_s=110.0),
        "at once": facts("poll", wait_s=None),
    },
    "POLL-CONTINUE": {
        "a heartbeat that ends": polled("RUNNING", "RUNNING", ended=False, running=True),
        "an end without more": polled("COMPLETED", "COMPLETED", ended=True),
        "a heartbeat that goes on": polled("RUNNING", "RUNNING", ended=False, running=True, next=["poll"]),
        "a run that was cancelled": polled("CANCELLED", "CANCELLED", ended=True),
        "a run that failed": polled("COMPLETED", "FAILED", ended=True, problem="engine.task_failed"),
        "no state": facts("ensure_cache", after={"data": {}, "running": True}),
        "before the call": facts("poll"),
    },
    "POLL-TRUTH": {
        "said too early": polled("COMPLETED", "COMPLETED", "RUNNING", ended=True),
        "said of a failure": polled("COMPLETED", "COMPLETED", "FAILED", ended=True),
        "an end that is none": polled("RUNNING", "RUNNING", ended=True),
        "of nothing": polled("RUNNING", ended=False),
        "the engine's word": polled("RUNNING", "RUNNING", ended=False),
        "the engine's last word": polled("FAILED", "COMPLETED", "FAILED", ended=True),
        "no workflows": facts("poll", after={"data": {"state": "COMPLETED"}}),
        "no state": facts("poll", after={"data": {"workflows": []}}),
        "guessed in a bubble": saying("It should be done by now."),
        "a state in a bubble": saying("run: COMPLETED"),
        "a state that a poll saw": saying("run: COMPLETED", passed={"poll": {"state": "COMPLETED"}}),
        "a state that a cancel saw": saying("run: COMPLETED", passed={"cancel": {"state": "COMPLETED"}}),
        "a plain bubble": saying("run: RUNNING"),
    },
    "STAGE-FULL": {
        "one clip asked for": staged("car", "bus", video="car"),
        "a clip is missing": staged("car"),
        "nearly all clips are missing": facts(
            "stage_artifacts",
            passed={"prepare_dataset": {"clips": [{"video": f"car{number}"} for number in range(7)]}},
            after={"data": {"clips": []}},
        ),
        "variants are missing": staged("car", "bus", variants=0),
        "variants that there are none of": staged(
            "car", "bus", variants=0, run=LOCAL_RUN.model_copy(update={"flow": "auto_labeling"})
        ),
        "all": staged("car", "bus"),
        "a variant with fewer frames": lengths(120, 93),
        "a variant with fewer frames, on a cluster": lengths(120, 93, run=OSMO_RUN),
        "a variant with more frames": lengths(120, 121),
        "a variant that does not decode": lengths(120, None, run=OSMO_RUN),
        "a clip that does not decode": lengths(None, 120),
        "seven variants with fewer frames": lengths(120, 93, variants=7),
        "a variant of its source's length": lengths(120, 120),
        "a staging that failed": staged("car", after={"problem": "artifact.missing"}),
        "no run": staged("car", run=None),
        "nothing prepared": facts("stage_artifacts", after={"data": {"clips": []}}),
        "the one clip asked for": facts(
            "stage_artifacts",
            video="car",
            passed={"prepare_dataset": {"clips": [{"video": "car"}]}},
            after={"data": {"clips": [{"video": "car", "variants": [{}]}]}},
        ),
    },
    "STAGE-WORKSPACE": {
        "a folder elsewhere": facts("stage_artifacts", run_local_dir="/srv/out"),
        "a folder climbed to": facts("stage_artifacts", run_local_dir="../out"),
        "a folder behind a link": facts(
            "render_compare", run_local_dir="link", seen={"places": {"link": "/srv/out"}}
        ),
        "a folder inside": facts("stage_artifacts", run_local_dir="media/x"),
        "a preview elsewhere": facts("preview", run=None, clip="car.mp4", output="/srv/rain.png"),
        "a preview inside": facts("preview", run=None, clip="car.mp4", output="media/rain.png"),
        "no folder": facts("stage_artifacts"),
        "a media line from elsewhere": saying("MEDIA:/etc/passwd"),
        "a media line that climbs": saying("MEDIA:/clips/../etc/passwd"),
        "a media line from here": saying("MEDIA:/clips/a.mp4"),
    },
    "EVIDENCE-REQUIRED": {
        "a report before staging": facts("report", passed={}),
        "variants that are said to be ready": saying("Your variants are READY."),
        "a claim behind a sign": saying("✅ Done"),
        "variants that wait for their submit": saying("The variants are ready to be submitted."),
        "a report before the side by sides": facts(
            "report",
            passed={
                "stage_artifacts": {"variants": [f"car_aug{number}" for number in range(8)]},
                "render_compare": {"comparisons": [{"name": "car_aug1"}]},
            },
        ),
        "a report before any side by side": facts(
            "report", passed={"stage_artifacts": {"variants": ["car_aug0"]}}
        ),
        "a report of all": facts(
            "report",
            passed={
                "stage_artifacts": {"variants": ["car_aug0"]},
                "render_compare": {"comparisons": [{"name": "car_aug0"}]},
            },
        ),
        "labels alone": facts(
            "report",
            run=LOCAL_RUN.model_copy(update={"flow": "auto_labeling"}),
            passed={"stage_artifacts": {"variants": ["car_aug0"]}},
        ),
        "no run": facts("report", run=None),
        "a claim": saying("The run is complete.", "Look."),
        "a claim behind its report": saying("The run is complete.", passed={"report": {}}),
        "no claim": saying("The run is not complete yet."),
    },
    "RENDER-LOCAL": {
        "before staging": facts("render_compare", passed={}),
        "from another folder": facts(
            "render_compare",
            run_local_dir="/clips/other",
            aug_index=1,
            passed={"stage_artifacts": {"run_local_dir": "/clips/run"}},
        ),
        "from the staged copy": facts(
            "render_compare",
            run_local_dir="/clips/run",
            passed={"stage_artifacts": {"run_local_dir": "/clips/run"}},
        ),
        "by the run's id": facts(
            "render_compare", passed={"stage_artifacts": {"run_local_dir": "/clips/run"}}
        ),
        "no run": facts("render_compare", run=None, run_local_dir="/clips/run"),
        "a film that was cut": filmed(119),
        "seven films that were cut": filmed(119, films=7),
        "a film that is too long": filmed(121),
        "a film that can't be read": filmed(None),
        "a film of two rates": filmed(119, 119, 121),
        "a film of the shorter side": filmed(120),
        "no film": facts("render_compare", after={"data": {}}),
    },
    "RENDER-RETRY": {
        "the second try": rendered("video", "disk full"),
        "a picture instead": rendered("picture", "disk full", "no space"),
        "two of them": facts(
            "render_compare",
            after={
                "data": {
                    "comparisons": [
                        {"name": f"car_aug{number}", "kind": "picture", "failures": ["disk full"]}
                        for number in range(2)
                    ]
                }
            },
        ),
        "the first try": rendered("video"),
        "no encoder": rendered("picture", "no encoder", no_encoder=True),
        "before the call": facts("render_compare"),
    },
    "RENDER-FALLBACK": {
        "shown as two files": rendered("pair", "no encoder", no_encoder=True, media=2),
        "a picture without an encoder": rendered("picture", "no encoder", no_encoder=True),
        "a pair though there is an encoder": rendered("pair", "a", "b", media=1),
        "not shown": rendered("pair", "no encoder", no_encoder=True, media=0),
        "two of them": facts(
            "render_compare",
            after={
                "data": {
                    "comparisons": [{"name": f"car_aug{number}", "kind": "pair"} for number in range(2)]
                },
                "messages": ["MEDIA:/clips/a.mp4"] * 4,
            },
        ),
        "a video": rendered("video"),
        "before the call": facts("render_compare"),
    },
    "MEDIA-FORM": {
        "among other text": saying("Look:\nMEDIA:/clips/a.mp4\nNice.\nVery.", "Bye."),
        "behind other text": saying("Look: MEDIA:/clips/a.mp4 ", "Bye."),
        "a relative path": saying("MEDIA:a.mp4"),
        "a file's name alone": replace(
            saying(), arguments={"messages": [{"kind": "media", "body": "car.mp4"}]}
        ),
        "behind an indented line": saying("Look:\n  twice  \nMEDIA:/clips/a.mp4"),
        "a quoted line, indented": saying("  > MEDIA:/clips/a.mp4"),
        "beside a quoted line, indented": saying("Look:\n  > MEDIA:/clips/b.txt\nMEDIA:/clips/a.mp4"),
        "two lines": saying("MEDIA:/clips/a.mp4\nMEDIA:/clips/a.mp4\nmore\n> MEDIA:/clips/a.mp4"),
        "a space": saying("MEDIA: /clips/a.mp4"),
        "a file that is missing": saying("MEDIA:/clips/missing.mp4"),
        "a file that does not play": saying("MEDIA:/clips/b.txt"),
        "a line that plays": saying("Here.", "MEDIA:/clips/a.mp4"),
        "a quoted line": saying("> MEDIA:/clips/a.mp4"),
        "a tool's line that plays": facts(
            "report", after={"messages": ["MEDIA:/clips/a.mp4"]}, seen={"files": PLAYS}
        ),
        "a tool's line that is missing": facts(
            "report", after={"messages": ["Look.", "MEDIA:/clips/c.mp4"]}, seen={"files": PLAYS}
        ),
        "a tool's line that does not play": facts(
            "report", after={"messages": ["MEDIA:/clips/b.txt"]}, seen={"files": PLAYS}
        ),
        "a tool's line of another form": facts(
            "report", after={"messages": [f"MEDIA:{'x' * 300}"]}, seen={"files": PLAYS}
        ),
        "a tool's line among text": facts(
            "report", after={"messages": [f"Look:\nMEDIA:/clips/a.mp4\n{'x' * 300}"]}, seen={"files": PLAYS}
        ),
    },
    "SUMMARY-TRUTH": {
        "another value than the manifest's": reported(TOLD, weather="fog"),
        "a count that the files deny": reported("    labels of the variant: 3 car"),
        "no labels told": reported(""),
        "no labels there": reported(TOLD, labels={}),
        "a file that can't be read": reported(TOLD, unreadable=["/clips/mcq.json"]),
        "a variant left out": reported(
            TOLD, manifest={"car_aug0": {"weather": "rain"}, "car_aug1": {"weather": "fog"}}
        ),
        "much is wrong": reported(TOLD, unreadable=[f"/clips/{number}.json" for number in range(30)]),
        "labels of the original are missing": reported(
            TOLD, run=LOCAL_RUN.model_copy(update={"flow": "e2e"})
        ),
        "labels of the originals alone": originals("  labels: 4 car"),
        "labels of the originals, miscounted": originals("  labels: 5 car"),
        "a clip that is named as a variant is": facts(
            "report",
            after={
                "data": {
                    "clips": [
                        {
                            "video": "x_aug7",
                            "variants": [
                                {
                                    "video": "/clips/augmented/x_aug7_aug0/v.mp4",
                                    "sampled_vars": {"weather": "rain"},
                                }
                            ],
                        }
                    ]
                },
                "messages": ["x_aug7\n  x_aug7_aug0: weather: rain\n    labels of the variant: 2 car"],
                "witness": {
                    "manifest": {"x_aug7_aug0": {"weather": "rain"}},
                    "labels": {"x_aug7_aug0": {"car": 2}},
                    "unreadable": [],
                },
            },
        ),
        "both sides": reported(
            f"    labels of the original: 4 car, 1 bus\n{TOLD}",
            run=LOCAL_RUN.model_copy(update={"flow": "e2e"}),
            labels={"car": {"car": 4, "bus": 1}, "car_aug0": {"car": 2}},
        ),
        "nothing tracked": reported("    labels of the variant: nothing tracked", labels={"car_aug0": {}}),
        "what the files hold": reported(TOLD),
        "a report that failed": facts("report", after={"problem": "artifact.missing"}),
        "no run": reported(TOLD, run=None, weather="fog"),
        "before the call": facts("report"),
    },
}


def decided(rule: str, given: Facts) -> dict[str, Any] | None:
    """Return a call and the decision that a rule makes about it, without any secret; None where it nods."""
    # Facts of their own: what was worked out for these before, by whichever code, is not looked at.
    judgement = judge([rule], replace(given))
    if not judgement.decisions:
        return None
    call: dict[str, Any] = {"tool": given.tool, "arguments": dict(given.arguments)}
    if given.after is not None:
        call["brings"] = _brought(given.after)
    said = judgement.decisions[0].model_dump(mode="json", exclude={"rule", "tool", "policy", "at"})
    if judgement.arguments != given.arguments:
        said["fixed"] = dict(judgement.arguments)
    clean: dict[str, Any] = json.loads(mask(json.dumps({"call": call, "decision": said}), given.secrets))
    return clean


def _brought(after: Aftermath) -> dict[str, Any]:
    parts = {
        "data": dict(after.data),
        "messages": [one.body for one in after.messages],
        "next": [one.tool for one in after.next],
        "problem": f"{after.problem.code}: {after.problem.message}" if after.problem else "",
        "files": dict(after.witness),
    }
    return {name: value for name, value in parts.items() if value}


def golden() -> str:
    """Return what the golden file should hold."""
    document = {
        rule: {title: decided(rule, given) for title, given in examples.items()}
        for rule, examples in EXAMPLES.items()
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
