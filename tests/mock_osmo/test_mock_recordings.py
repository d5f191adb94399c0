"""The mock says what the real client and service were recorded to say, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mock_osmo.bench import HERE, MockOsmo

GOLDEN = HERE / "golden"

TEAM = {
    "description": "Team GPU pool: ask #team before use, online support 9-5",
    "default_platform": "h100",
    "timeout": "",
    "guarantee": {"guarantee": 4, "maximum": 8, "weight": 1},
    "platforms": {"h100": ""},
    "quota": {"used": 0, "free": 4, "limit": 4},
    "total": {"usage": 0, "capacity": 12, "free": 12},
    "shared": True,
}
GONE = {"usage": 0, "capacity": 0, "free": 0}
TEAM_POOLS = [
    {**TEAM, "name": "dead-pool", "status": "OFFLINE", "backend": "gone", "total": GONE, "shared": False},
    {**TEAM, "name": "gpu-pool", "status": "ONLINE", "backend": "default"},
    {**TEAM, "name": "maint-pool", "status": "MAINTENANCE", "backend": "default"},
]
CREDENTIALS = [
    ("lab_s3", "DATA", "s3://lab", {"access_key": "k"}),
    ("nvcr2", "REGISTRY", "registry-1.docker.io", {"auth": "k"}),
    ("nvcr_io", "REGISTRY", "nvcr.io", {"auth": "k"}),
    ("filecred", "GENERIC", None, {"k": "v"}),
    ("hf_token", "GENERIC", None, {"token": "v"}),
]
OBJECTS = [
    "datasets/dslash/up/a.mp4",
    "datasets/dslash/up/c.txt",
    "datasets/dslash/up/sub/b.mp4",
    "datasets/flat/a.mp4",
    "datasets/flat/c.txt",
    "datasets/flat2/a.mp4",
    "datasets/glob/a.mp4",
    "datasets/glob/c.txt",
    "datasets/glob/sub/b.mp4",
    "datasets/rx/up/a.mp4",
    "datasets/rx/up/sub/b.mp4",
    "datasets/vda/up/a.mp4",
    "datasets/vda/up/c.txt",
    "datasets/vda/up/sub/b.mp4",
]

TASK = "{name: t1, image: ubuntu:22.04, command: [bash, -c], args: ['%s']%s}"
FILES = {
    "plain.yaml": "workflow: {name: plain, tasks: [" + TASK % ("echo", "") + "]}\n",
    "vda.yaml": "workflow:\n  name: '{{dataset}}'\n  tasks: ["
    + TASK % ("{{video}}", ", outputs: [{url: '{{storage_url}}/datasets/vda-demo'}]")
    + "]\n  resources: {default: {platform: '{{gpu_platform}}'}}\n",
    "mapped.yaml": "workflow: {name: vda-demo, tasks: ["
    + TASK % ("x", ", credentials: {nvcr_io: {A: auth}}")
    + "]}\n",
    "path.yaml": "workflow: {name: x, tasks: [" + TASK % ("x", ", credentials: {nosuch: /x}") + "]}\n",
    "many21.yaml": f"workflow: {{name: x, tasks: [{', '.join(['{name: t}'] * 21)}]}}\n",
    "reverse.yaml": "workflow: {name: x, groups: [{name: g2, tasks: [{name: b, inputs: [{task: g1}]}]}, "
    "{name: g1, tasks: [{name: g1}]}]}\n",
    "empty.yaml": "{}\n",
    "both.yaml": "workflow: {name: x, tasks: ["
    + TASK % ("x", ", files: [{path: /x, contents: a, localpath: b}]")
    + "]}\n",
}
VDA = ("dataset=vda-demo", "run_id=run-1", "storage_url=s3://lab", "gpu_platform=h100", "video=clip")


def vda(**changes: str) -> tuple[str, ...]:
    """Return the submit of the templated file, with some values changed."""
    values = dict(pair.split("=", 1) for pair in VDA) | changes
    return ("workflow", "submit", "vda.yaml", "--set-string", *(f"{k}={v}" for k, v in values.items() if v))


@dataclass(frozen=True)
class Recording:
    """A command, how it ended, and what the mock must remember for it."""

    golden: str
    command: Sequence[str]
    exit_code: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    version: str = "6.4.0"


LOGGED_OUT = {"user": None}
RELEASED = {"version": "6.3.1"}
SUBMIT = ("workflow", "submit")
VALIDATE = ("workflow", "validate")
LIST = ("data", "list", "--no-pager")

RECORDINGS = [
    Recording("version_json", ("version", "--format-type", "json")),
    Recording("version_logged_out", ("version",), state=LOGGED_OUT),
    Recording("logged_out", ("pool", "list"), 2, LOGGED_OUT),
    Recording("profile", ("profile", "list")),
    Recording("profile_json", ("profile", "list", "--format-type", "json")),
    Recording("pool_json", ("pool", "list", "--mode", "free", "--format-type", "json")),
    Recording("pool_released", ("pool", "list", "--mode", "free"), **RELEASED),
    Recording("pools_free", ("pool", "list", "--mode", "free"), state={"pools": TEAM_POOLS}),
    Recording("pools_used", ("pool", "list"), state={"pools": TEAM_POOLS}),
    Recording("credentials_none", ("credential", "list")),
    Recording("credentials", ("credential", "list"), state={"credentials": CREDENTIALS}),
    Recording(
        "credentials_json",
        ("credential", "--format-type", "json", "list"),
        state={"credentials": CREDENTIALS},
    ),
    Recording(
        "credential_set", ("credential", "set", "hf_token", "--type", "GENERIC", "--payload", "token=hf_abc")
    ),
    Recording("credential_empty", ("credential", "set", "x1", "--type", "GENERIC", "--payload", "a=")),
    Recording(
        "credential_duplicate",
        ("credential", "set", "hf_token", "--payload", "token=hf_new"),
        2,
        {"credentials": CREDENTIALS},
    ),
    Recording(
        "credential_unknown_key",
        (
            "credential",
            "set",
            "d2",
            "--type",
            "DATA",
            "--payload",
            "access_key_id=t",
            "access_key=t",
            "endpoint=s3://lab",
            "bogus=1",
        ),
        2,
    ),
    Recording("credential_deleted", ("credential", "delete", "filecred"), state={"credentials": CREDENTIALS}),
    Recording("config_bad", ("config", "show", "NOPE"), 2),
    Recording("submit", vda(dataset="vda-demo")),
    Recording("submit_json", (*vda(), "--format-type", "json"), state={"counters": {"vda-demo": 1}}),
    Recording("submit_platform", vda(gpu_platform="microk8s"), 1),
    Recording("submit_name", vda(dataset="vda_demo-"), 1),
    Recording("submit_name_long", vda(dataset="a" + "b" * 70), 2),
    Recording("submit_no_credential", (*SUBMIT, "mapped.yaml"), 1),
    Recording("submit_no_data_credential", vda(storage_url="swift://ep/acct/cont"), 1),
    Recording("submit_undefined_json", (*vda(video=""), "--format-type", "json"), 1),
    Recording(
        "submit_maintenance", (*SUBMIT, "plain.yaml", "--pool", "maint-pool"), 1, {"pools": TEAM_POOLS}
    ),
    Recording("submit_no_file", (*SUBMIT, "/nope.yaml", "--set-string", "a=b"), 1),
    Recording("submit_no_workflow", (*SUBMIT, "nosuch-1"), 2),
    Recording(
        "submit_repeated_released",
        (
            *SUBMIT,
            "vda.yaml",
            "--set-string",
            "dataset=vda-demo",
            "--set-string",
            "run_id=run-2",
            "video=clip",
        ),
        1,
        **RELEASED,
    ),
    Recording("validate", (*VALIDATE, "plain.yaml", "--set-string", "x=1")),
    Recording("validate_too_many", (*VALIDATE, "many21.yaml"), 2),
    Recording("validate_no_credential", (*VALIDATE, "path.yaml"), 2),
    Recording("validate_reversed", (*VALIDATE, "reverse.yaml"), 10),
    Recording("validate_empty", (*VALIDATE, "empty.yaml"), 2),
    Recording("validate_both", (*VALIDATE, "both.yaml"), 1),
    Recording("query_missing", ("workflow", "query", "nosuch-9"), 2),
    Recording("query_missing_json", ("workflow", "query", "nosuch-9", "--format-type", "json"), 2),
    Recording("cancel_missing", ("workflow", "cancel", "nosuch-1")),
    Recording("data_list", (*LIST, "s3://lab/datasets")),
    Recording("data_list", (*LIST, "s3://lab/datasets/")),
    Recording("data_list_recursive", (*LIST, "-r", "s3://lab/datasets")),
    Recording("data_list_empty", (*LIST, "s3://lab/nothing")),
    Recording("data_list_file", (*LIST, "s3://lab/datasets/flat/a.mp4")),
    Recording("data_list_partial", (*LIST, "s3://lab/datasets/fla")),
    Recording("data_list_no_match", (*LIST, "-r", "-x", "mp4", "s3://lab/datasets/vda")),
    Recording("data_list_regex", (*LIST, "-r", "-x", ".*mp4", "s3://lab/datasets")),
    Recording("data_list_prefix", (*LIST, "-p", "datasets/flat", "s3://lab")),
    Recording("data_check", ("data", "check", "s3://lab/datasets")),
    Recording("data_no_credential", (*LIST, "swift://ep.example/acct/cont/x"), 2),
    Recording("data_download_none", ("data", "download", "s3://lab/datasets/zzz/", ".")),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the workflow files."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "recording", RECORDINGS, ids=[f"{at}-{each.golden}" for at, each in enumerate(RECORDINGS)]
)
def test_mock_prints_what_was_recorded(tmp_path: Path, lab: Path, recording: Recording) -> None:
    """Standard output, standard error and exit code are those of the recording."""
    for file in lab.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    mock = MockOsmo(tmp_path)
    for key in OBJECTS:
        mock.put(f"s3://lab/{key}", b"x")
    if recording.state:
        mock.change(**_state(mock, recording.state))
    finished = mock.run(*recording.command, MOCK_OSMO_VERSION=recording.version)
    assert finished.stdout == _golden(recording.golden, "out")
    assert finished.returncode == recording.exit_code
    assert finished.stderr.rstrip("\n") == _golden(recording.golden, "err").rstrip("\n")


def test_every_recording_of_the_mock_exists() -> None:
    """Nothing is compared with an empty file by mistake."""
    for recording in RECORDINGS:
        assert any((GOLDEN / f"{recording.golden}.{side}").exists() for side in ("out", "err"))


def _golden(name: str, side: str) -> str:
    file = GOLDEN / f"{name}.{side}"
    return file.read_text() if file.exists() else ""


def _state(mock: MockOsmo, changes: dict[str, Any]) -> dict[str, Any]:
    state = dict(changes)
    if "credentials" in state:
        fields = ("name", "type", "profile", "payload")
        state["credentials"] = [
            {**dict(zip(fields, each, strict=True)), "local": "Yes"} for each in state["credentials"]
        ]
    if "pools" in state:
        state["pools"] = [*mock.state["pools"], *state["pools"]]
    return state
