"""Facts and command lines of every kind, well-formed or not, for properties of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.values import OPTIONAL_VALUES, REQUIRED_VALUES
from skill_tools.journal import RunRecord, SubmissionRecord
from skill_tools.policy.rule import Facts, FileFact
from skill_tools.registry import TOOLS

RUN_ID = "run-0a1b2c3d"
WORKSPACE = Path("/clips")

words = st.text(max_size=30)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True)
urls = st.one_of(
    words,
    st.sampled_from(
        [
            "s3://lab",
            "s3://old/x",
            "file:///clips/.vda/storage",
            "azure://a/b",
            "https://x/v1",
            "",
            "://",
            "[",
            "http://[",
        ]
    ),
)
values = st.dictionaries(
    st.sampled_from([*REQUIRED_VALUES, *OPTIONAL_VALUES, "extra"]), st.one_of(words, urls, names), max_size=12
)
SENTENCES = [
    "Ready to continue?",
    "Which cookbook?",
    "Which pool is it?",
    "The run is complete.",
    "It should be done by now.",
    "Please confirm.",
    "run: COMPLETED",
    "MEDIA:/clips/a.mp4",
    "MEDIA:/etc/passwd",
    "MEDIA: x",
    "see MEDIA:/clips/a.mp4",
    "> quoted?",
    "hunter2-hunter2",
    "plain words",
]
texts = st.one_of(
    words,
    st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).flatmap(
        lambda parts: st.sampled_from([" ", "\n", ""]).map(lambda glue: glue.join(parts))
    ),
)
messages = st.lists(
    st.fixed_dictionaries({"kind": st.sampled_from(["text", "media"]), "body": texts}), min_size=1, max_size=4
)

runs = st.builds(
    RunRecord,
    run_id=st.just(RUN_ID),
    created=st.just(1.0),
    flow=st.sampled_from(sorted(FLOWS)),
    workflow_file=st.just("assets/configs/osmo/x.yaml"),
    engine=st.sampled_from(["local", "osmo"]),
    engine_reason=st.just("asked for"),
    cookbook=names,
    dataset_url=st.one_of(st.none(), urls),
    clips=st.lists(st.sampled_from(["/clips/car.mp4", "/clips/bus.mp4"]), max_size=2, unique=True).map(tuple),
    demo=st.booleans(),
    vlm_url=urls,
    llm_url=urls,
)

clips = st.lists(
    st.fixed_dictionaries({"video": names, "source": st.sampled_from([None, "/clips/car.mp4", "/x.mp4"])}),
    max_size=3,
)
batches = st.lists(
    st.fixed_dictionaries({"batch": st.sampled_from(["0", "1"]), "values": values}), max_size=2
)
PASSED: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "estimate_time": st.just({}),
    "preflight": st.fixed_dictionaries(
        {
            "flow": st.sampled_from([*sorted(FLOWS), None]),
            "engine": st.sampled_from(["local", "osmo"]),
            "pool": names,
            "pools": st.lists(names, max_size=2),
            "platforms": st.lists(names, max_size=2),
        }
    ),
    "derive_storage_url": st.fixed_dictionaries({"storage_url": urls}),
    "prepare_dataset": st.fixed_dictionaries({"clips": clips}),
    "prepare_demo": st.fixed_dictionaries({"clips": st.lists(words, max_size=2)}),
    "check_submission": st.fixed_dictionaries(
        {
            "complete": st.booleans(),
            "cache_full": st.one_of(st.none(), st.booleans()),
            "batches": batches,
            "workflow": words,
            "pool": st.one_of(st.none(), names),
        }
    ),
    "poll": st.fixed_dictionaries({"state": st.sampled_from(["RUNNING", "COMPLETED", "FAILED"])}),
    "stage_artifacts": st.fixed_dictionaries(
        {"run_local_dir": words, "variants": st.lists(names, max_size=2)}
    ),
    "render_compare": st.fixed_dictionaries(
        {"comparisons": st.lists(st.fixed_dictionaries({"name": names}), max_size=2)}
    ),
    "report": st.just({}),
    "ensure_endpoints": st.just({"endpoints": []}),
}
passed = st.fixed_dictionaries({}, optional=PASSED)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "run_id": st.just(RUN_ID),
        "values": values,
        "video": st.one_of(words, names),
        "pool": names,
        "clips": st.lists(st.one_of(words, st.just("/clips/car.mp4")), max_size=2),
        "dataset_url": urls,
        "storage_url": urls,
        "run_local_dir": words,
        "input_local_video": words,
        "repository": words,
        "request": st.one_of(words, st.sampled_from(["no augmentation, rain variants", "only labels"])),
        "flow": st.one_of(names, st.sampled_from(["augmentation_and_pl", *FLOWS])),
        "workflow": st.one_of(words, st.just("a/augmentation_and_pl.yaml")),
        "wait_s": st.floats(0, 1e5),
        "dry_run": st.booleans(),
        "messages": messages,
        "words": st.lists(
            st.one_of(
                words,
                st.sampled_from(["osmo", "workflow", "submit", "kubectl", "delete", "--set-string", "a=b"]),
            ),
            max_size=9,
        ),
    },
)
submissions = st.lists(
    st.builds(
        SubmissionRecord,
        batch=st.sampled_from(["0", "1", "cache"]),
        state=st.sampled_from(["claimed", "sent", "refused"]),
        workflow_id=st.one_of(st.none(), names),
        values=values,
        pool=names,
        pid=st.just(1),
        at=st.floats(0, 1e9),
    ),
    max_size=3,
).map(tuple)

facts = st.builds(
    Facts,
    tool=st.sampled_from(sorted(TOOLS)),
    arguments=arguments,
    workspace=st.just(WORKSPACE),
    run=st.one_of(st.none(), runs),
    passed=passed,
    submissions=submissions,
    secrets=st.sampled_from([frozenset(), frozenset({"hunter2-hunter2"})]),
    refusals=st.integers(0, 3),
    asked=st.sampled_from(["", "Which pool is it?"]),
    files=st.just({"/clips/a.mp4": FileFact(exists=True, plays=True)}),
)
