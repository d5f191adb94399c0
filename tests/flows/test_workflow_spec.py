"""What OSMO would refuse, and where."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from skill_tools.errors import InputError
from skill_tools.flows.spec import OSMO_SCHEMES, parse, violations

TASK = {"name": "t1", "image": "ubuntu", "command": ["ls"]}


def bare(**task: Any) -> dict[str, Any]:
    """Return a workflow of one bare task with some fields set."""
    return {"workflow": {"name": "hello", "tasks": [{**TASK, **task}]}}


def grouped(*groups: dict[str, Any], **workflow: Any) -> dict[str, Any]:
    """Return a workflow of groups."""
    return {"workflow": {"name": "hello", "groups": list(groups), **workflow}}


def group(name: str, *tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a group."""
    return {"name": name, "tasks": list(tasks), **fields}


def task(name: str, **fields: Any) -> dict[str, Any]:
    """Return a task."""
    return {**TASK, "name": name, **fields}


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (None, "workflow", "Workflow spec not found."),
        ({}, "workflow", "Workflow spec not found."),
        ({"name": "x"}, "name", 'Unknown top-level key "name" found in the workflow spec.'),
        ({"workflow": {"name": "x"}}, "workflow", "Workflows need to have at least one group or one task."),
        (
            {"workflow": {"name": "x", "tasks": [TASK], "groups": [group("g", TASK)]}},
            "workflow",
            "Cannot use both groups and tasks in the same workflow.",
        ),
        (
            {"workflow": {"name": "vda_demo-", "tasks": [TASK]}},
            "workflow.name",
            "String should match pattern",
        ),
        ({"workflow": {"name": "my.data", "tasks": [TASK]}}, "workflow.name", "String should match pattern"),
        (
            {"workflow": {"name": "a" * 65, "tasks": [TASK]}},
            "workflow.name",
            f"Name {'a' * 65} is too long. It must be 64 characters or less.",
        ),
        (bare(bogus=1), "workflow.tasks.0.bogus", "Extra inputs are not permitted"),
        (bare(command="echo hi"), "workflow.tasks.0.command", "Input should be a valid"),
        (bare(command=[]), "workflow.tasks.0.command", "at least 1 item"),
        (bare(command=[True]), "workflow.tasks.0.command.0", "Input should be a valid string"),
        (bare(environment={"C": None}), "workflow.tasks.0.environment.C", "Input should be a valid string"),
        (
            bare(credentials={"hf_token": ["a"]}),
            "workflow.tasks.0.credentials",
            "credential value for hf_token must be a str or dict, got list",
        ),
        (bare(downloadType="mountpoint-s3"), "workflow.tasks.0.downloadType", "Input should be 'download'"),
        (bare(name="osmo-ctrl"), "workflow.tasks.0.name", "reserved"),
        (
            bare(inputs=[{"url": "s3://lab/x", "regex": "[("}]),
            "workflow.tasks.0.inputs.0.regex",
            "Invalid regex: [(",
        ),
        (bare(inputs=[{"dataset": {"name": "foo"}}]), "workflow.tasks.0.inputs.0.dataset", "Extra inputs"),
        (bare(inputs=[{"regex": "a"}]), "workflow.tasks.0.inputs.0", "an input has either a task or a url"),
        (
            bare(inputs=[{"task": "nosuch"}]),
            "workflow.tasks.0.inputs.0.task",
            "Task input nosuch does not exist.",
        ),
        (bare(outputs=[{"url": "http://x/y"}]), "workflow.tasks.0.outputs.0.url", "Unknown URI scheme"),
        (
            bare(outputs=[{"url": "s3://lab//x"}]),
            "workflow.tasks.0.outputs.0.url",
            "Incorrectly formatted s3 URI",
        ),
        (
            bare(inputs=[{"url": "s3://lab/my,clip.mp4"}]),
            "workflow.tasks.0.inputs.0.url",
            "Incorrectly formatted",
        ),
        (
            bare(outputs=[{"url": "azure://account"}]),
            "workflow.tasks.0.outputs.0.url",
            "Incorrectly formatted",
        ),
        (
            bare(files=[{"path": "/osmo/x", "contents": "x"}]),
            "workflow.tasks.0.files.0",
            'Empty path or adding file to "/osmo" is forbidden for file: /osmo/x',
        ),
        (
            bare(files=[{"path": "/x", "contents": "x", "localpath": "y"}]),
            "workflow.tasks.0.files.0",
            "Files tag dont support contents and localpath together",
        ),
        (bare(files=[{"path": "/x"}]), "workflow.tasks.0.files.0", "a file has contents or a localpath"),
        (
            bare(files=[{"path": "/x", "contents": "%", "base64": True}]),
            "workflow.tasks.0.files.0",
            "not base64",
        ),
        (
            bare(files=[{"path": "/x", "contents": "1"}, {"path": "/x", "contents": "2"}]),
            "workflow.tasks.0.files.1.path",
            'Task "t1" has multiple files at the same path "/x". Each file path must be unique.',
        ),
        (bare(args=["{{input:0}}"]), "workflow.tasks.0.args.0", "names no input of task t1, which has 0"),
        (bare(args=["{{host:t2}}"]), "workflow.tasks.0.args.0", "names no task of group t1-group"),
        (bare(environment={"A": "{{uuid}}"}), "workflow.tasks.0.environment.A", "is never replaced"),
        (grouped(group("g1")), "workflow.groups.0.tasks", 'Group "g1" needs to have at least one task.'),
        (
            grouped(group("g1", task("a"), task("b"))),
            "workflow.groups.0.tasks",
            'Group "g1" has 0 leader(s) but must have exactly one.',
        ),
        (
            grouped(group("g1", task("a-b")), group("g2", task("A_b"))),
            "workflow.groups.1.tasks.0.name",
            "same name",
        ),
        (grouped(group("g1", task("g1"))), "workflow.groups.0.tasks.0.name", "same name"),
        (
            grouped(group("g2", task("b", inputs=[{"task": "a"}])), group("g1", task("a"))),
            "workflow.groups.0.tasks.0.inputs.0.task",
            'Group "g2" requires input group "g1" exists before itself.',
        ),
        (
            grouped(group("g1", task("a", lead=True), task("b", inputs=[{"task": "a"}]))),
            "workflow.groups.0.tasks.1.inputs.0.task",
            'Group "g1" requires input group "g1" exists before itself.',
        ),
        (
            grouped(*(group(f"g{i}", task(f"t{i}")) for i in range(21))),
            "workflow",
            "Workflow cannot have more than 20 tasks.",
        ),
        (
            grouped(group("g", task("a")), resources={"big": {"cpu": 1}}),
            "workflow.groups.0.tasks.0.resource",
            "Task a has no specified resource. Specify a default resource in the resources section.",
        ),
        (
            grouped(group("g", task("a", resource="big"))),
            "workflow.groups.0.tasks.0.resource",
            "Requesting undefined resource big.",
        ),
        (
            grouped(group("g", task("a")), resources={"default": {"cpu": 1.5}}),
            "workflow.resources.default.cpu",
            "valid integer",
        ),
        (
            grouped(group("g", task("a")), resources={"default": {"cpu": "500m"}}),
            "workflow.resources.default.cpu",
            "valid integer",
        ),
        (
            grouped(group("g", task("a")), resources={"default": {"memory": "8GB"}}),
            "workflow.resources.default.memory",
            "has invalid unit: GB",
        ),
        (
            grouped(group("g", task("a")), resources={"default": {"memory": "8gi"}}),
            "workflow.resources.default.memory",
            "invalid unit: gi",
        ),
        (
            grouped(group("g", task("a")), resources={"default": {"bogus": 1}}),
            "workflow.resources.default.bogus",
            "Extra inputs",
        ),
        (
            grouped(group("g", task("a")), timeout={"exec_timeout": "2 hours"}),
            "workflow.timeout.exec_timeout",
            "Cannot recognize duration: 2 hours. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm",
        ),
        (
            grouped(group("g", task("a")), timeout={"exec_timeout": "1h30m"}),
            "workflow.timeout.exec_timeout",
            "Cannot recognize",
        ),
    ],
)
def test_what_the_service_refuses_is_named_with_its_place(document: object, path: str, message: str) -> None:
    """Each violation carries the path in the file and, where the service has words for it, those words."""
    found = violations(document)
    assert any(v.path == path and message in v.message for v in found), [str(v) for v in found]
    with pytest.raises(InputError) as caught:
        parse(document)
    assert caught.value.code == "input.workflow_spec"
    assert path in caught.value.message


def test_several_violations_are_named_at_once() -> None:
    """A file with three mistakes gets three lines."""
    document = grouped(group("g", task("a", bogus=1, command=[], image=None)))
    assert {v.path.rpartition(".")[2] for v in violations(document)} == {"bogus", "command", "image"}


def test_what_the_service_takes_is_taken() -> None:
    """Every form that a recorded validation accepted passes here too."""
    document = grouped(
        group("g1", task("a", command=["sleep", 5], environment={"A": True, "B": 1, "C": "x"})),
        group(
            "g2",
            task("b", lead=True, inputs=[{"task": "a", "regex": ".*mp4"}, {"task": "hello-1:old"}]),
            task(
                "c",
                args=["{{host:b}} {{output}} {{input:0}} {{input:a}}"],
                inputs=[{"task": "a"}],
                resource="big",
            ),
            ignoreNonleadStatus=False,
        ),
        resources={
            "default": {"cpu": 1, "gpu": -1, "memory": "1.5Gi", "storage": 1024},
            "big": {"memory": "1TiB", "nodesExcluded": ["n1"]},
        },
        timeout={"exec_timeout": "24h", "queue_timeout": "PT1H30M"},
        labels={"team": "x"},
        pool="p",
    )
    document["version"] = 1
    before = copy.deepcopy(document)
    spec = parse(document)
    assert document == before
    assert spec.tasks[0].command == ("sleep", "5")
    assert spec.tasks[0].environment == {"A": "True", "B": "1", "C": "x"}
    assert (spec.timeout.exec_timeout_s, spec.timeout.queue_timeout_s) == (86_400, 5_400)
    assert not spec.groups[1].ignore_nonlead_status
    assert spec.upstream(spec.groups[1]) == ("g1",)
    assert spec.groups[1].lead.name == "b"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (90, 90), ("2d", 172_800), ("5m", 300), ("500ms", 0.5), ("PT10S", 10), ("P1DT1H", 90_000)],
)
def test_durations_are_read_in_all_their_forms(text: str | int, seconds: float) -> None:
    """Whole seconds, one number with one unit, and ISO 8601."""
    spec = parse(grouped(group("g", task("a")), timeout={"exec_timeout": text}))
    assert spec.timeout.exec_timeout_s == seconds


def test_bare_tasks_become_groups_and_their_only_task_leads() -> None:
    """A workflow of tasks reads like one of groups named after them."""
    spec = parse(bare(files=[{"path": "x", "contents": "aGk=", "base64": True}]))
    assert [(g.name, g.lead.name) for g in spec.groups] == [("t1-group", "t1")]
    assert spec.tasks[0].files[0].contents == b"hi"


def test_file_urls_are_for_the_embedded_engine_only() -> None:
    """`file://` passes where it is allowed, and is an unknown scheme for the service."""
    document = bare(inputs=[{"url": "file:///tmp/my clips/a.mp4"}], outputs=[{"url": "file:///tmp/out"}])
    assert violations(document) == []
    paths = [v.path for v in violations(document, schemes=OSMO_SCHEMES)]
    assert paths == ["workflow.tasks.0.inputs.0.url", "workflow.tasks.0.outputs.0.url"]
