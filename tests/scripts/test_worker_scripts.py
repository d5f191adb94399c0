"""The worker scripts as real bash processes, with a stand-in for the container's CLI."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SKILL_DIR = Path(__file__).parents[2]
SCRIPTS = SKILL_DIR / "scripts"
BASH = shutil.which("bash") or "bash"
STAND_IN = """
import json, os, struct, sys
pairs = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
configs = [sys.argv[at + 1] for at, word in enumerate(sys.argv) if word == "--config"]
out, mode = pairs["data.output_dir"].strip('"'), os.environ.get("STAND_IN", "ok")
outs = [out] if len(configs) == 1 else [os.path.join(out, os.path.basename(c)[:-5]) for c in configs]
with open(os.environ["STAND_IN_LOG"], "a") as log:
    log.write(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "stdin": sys.stdin.read(),
                          "key": os.environ.get("OPENAI_API_KEY", "")}) + "\\n")
if mode == "fails":
    sys.exit(9)
box = lambda kind, body: struct.pack(">I", 8 + len(body)) + kind + body
video = box(b"ftyp", b"isom") + box(b"moov", b"x" * 64) + box(b"mdat", b"x" * 256)
failed = [out for out in outs if mode == "one fails" and "b_aug0" in out]
for out in outs:
    for name, content in {
        "augmented_video.mp4": video[:-100] if mode == "cut off" else video,
        "metadata.json": b"{", "annotations_coco.json": b"{}",
        "summary.json": b"{}"}.items():
        if name == "metadata.json" and mode != "broken json":
            content = b"{}"
        if out not in failed:
            with open(os.path.join(out, name), "wb") as file:
                file.write(content)
if failed:
    sys.exit(9)
sys.exit(7 if mode == "fails after" else 0)
"""


@dataclass
class Task:
    """What a task finds around it: setup's output, clips, a cache, an output directory and an environment."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """The task's output directory."""
        return self.root / "output"

    @property
    def setup(self) -> Path:
        """Setup's output, as input 0."""
        return self.root / "input" / "0"

    def clips(self, *stems: str) -> list[str]:
        """Put each clip into an input directory of its own and return these."""
        folders = []
        for number, stem in enumerate(stems, 1):
            folder = self.root / "input" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{stem}.mp4").write_bytes(b"clip")
            folders.append(str(folder))
        return folders

    def variants(self, *names: str) -> str:
        """Put variants into one input directory, as an augmentation worker leaves them."""
        for name in names:
            folder = self.root / "input" / "1" / name
            folder.mkdir(parents=True)
            (folder / "augmented_video.mp4").write_bytes(b"variant")
        return str(self.root / "input" / "1")

    def run(
        self, script: str, *arguments: str, index: int = 0, count: int = 1, **environ: str
    ) -> subprocess.Popen[str]:
        """Start a worker script."""
        own = {
            "VDA_SETUP_DIR": str(self.setup),
            "VDA_MODEL_CACHE": str(self.root / "cache"),
            "VDA_OUTPUT": str(self.output),
            "WORKER_INDEX": str(index),
            "WORKER_COUNT": str(count),
            "STAND_IN_LOG": str(self.root / "calls"),
        }
        return subprocess.Popen(
            [BASH, str(SCRIPTS / script), *arguments],
            env={**self.environ, **own, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def calls(self) -> list[dict[str, str]]:
        """Return what the stand-in was called with."""
        path = self.root / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pairs(self, call: int = 0) -> dict[str, str]:
        """Return the key=value arguments of one call."""
        return dict(word.split("=", 1) for word in self.calls()[call]["argv"] if "=" in word)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a worker's exit code and log."""
    log, _ = process.communicate(timeout=60)
    return process.returncode, log


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Give a task of the embedded engine for two clips with two variants each, set up by the real script."""
    task = Task(tmp_path / "a task")
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN)
    (task.root / "cache").mkdir(parents=True)
    cli = f"{sys.executable}\n{stand_in}"
    task.environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "VDA_ROOT": str(task.root / "root"),
        "VDA_AUGMENTATION_CLI": cli,
        "VDA_LABELING_CLI": cli,
    }
    set_up(task, "e2e", "a,b")
    return task


def set_up(task: Task, flow: str, videos: str, **environ: str) -> None:
    """Run setup's script into the task's input 0."""
    cookbook = SKILL_DIR / "assets" / "cookbooks" / "city_traffic"
    subprocess.run(
        [
            *(
                sys.executable,
                SCRIPTS / "generate_configs.py",
                "--cookbook",
                cookbook,
                "--output",
                task.setup,
            ),
            *("--flow", flow, "--videos", videos, "--n-augmentations", "2"),
        ],
        env={**task.environ, **environ},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def test_one_worker_makes_every_variant(task: Task) -> None:
    """One call a clip with all its configs in the manifest's order; each variant has its directory."""
    folders = task.clips("a", "b")
    code, log = ended(task.run("cosmos_worker.sh", *folders))
    assert code == 0, log
    assert sorted(path.name for path in task.output.iterdir()) == ["a_aug0", "a_aug1", "b_aug0", "b_aug1"]
    configs = [[Path(word).name for word in call["argv"] if word.endswith(".yaml")] for call in task.calls()]
    assert configs == [["a_aug0.yaml", "a_aug1.yaml"], ["b_aug0.yaml", "b_aug1.yaml"]]
    prompts = f"{task.setup}/cookbook/augmentation/prompts"
    assert task.pairs(1) == {
        "data.input_video": f"{folders[1]}/b.mp4",
        "data.output_dir": str(task.output),
        "prompts.template_generation": f"{prompts}/template_generation_system_prompt.md",
        "prompts.prompt_polishing": f"{prompts}/prompt_polishing_system_prompt.md",
    }
    assert {call["stdin"] for call in task.calls()} == {""}


def test_workers_share_the_variants_and_the_lead_waits_for_the_others(task: Task) -> None:
    """Each takes every third; all end well through the barrier on the given port."""
    folders = task.clips("a", "b")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    workers = [
        task.run(
            "cosmos_worker.sh", *folders, index=i, count=3, VDA_BARRIER_PORT=port, VDA_BARRIER_TIMEOUT_S="50"
        )
        for i in range(3)
    ]
    logs = [ended(worker) for worker in workers]
    assert [code for code, _ in logs] == [0, 0, 0], logs
    made = [sorted(Path(call["argv"][1]).stem for call in task.calls())]
    assert made == [["a_aug0", "a_aug1", "b_aug0", "b_aug1"]]
    assert "making a_aug0" in logs[0][1]
    assert "making b_aug1" in logs[0][1]
    assert "making a_aug1" in logs[1][1]
    assert "all 3 workers are done" in logs[0][1]
    assert len(task.calls()) == 4


def test_originals_are_labelled_with_the_cookbooks_files(task: Task) -> None:
    """Clip, name, questions, prompt, cache and no super-resolution reach the CLI."""
    folders = task.clips("a", "b")
    code, log = ended(task.run("pl_original_worker.sh", *folders))
    assert code == 0, log
    cookbook = f"{task.setup}/cookbook/auto_labeling"
    assert task.calls()[0]["argv"][:2] == ["--config", f"{cookbook}/auto_labeling_config.yaml"]
    assert task.pairs() == {
        "data.input_video": f"{folders[0]}/a.mp4",
        "data.output_dir": str(task.output / "a"),
        "data.video_name": "a",
        "data.question_bank": f"{cookbook}/question_bank.json",
        "data.event_prompt": f"{cookbook}/prompts/event_analysis.md",
        "models.cache_dir": str(task.root / "cache"),
        "super_resolution.enabled": "false",
    }
    assert (task.output / "b" / "summary.json").is_file()


def test_super_resolution_is_for_originals_alone(task: Task) -> None:
    """The flow switches it on for them, and variants are labelled as they are."""
    set_up(task, "e2e_super_resolution", "a")
    assert ended(task.run("pl_original_worker.sh", *task.clips("a")))[0] == 0
    assert ended(task.run("pl_augmented_worker.sh", task.variants("a_aug0", "a_aug1")))[0] == 0
    assert [task.pairs(i)["super_resolution.enabled"] for i in range(3)] == ["true", "false", "false"]


def test_variants_are_labelled_from_the_worker_that_made_them(task: Task) -> None:
    """Worker 1 of 3 labels variant 1, found in its input."""
    folder = task.variants("a_aug1")
    process = task.run("pl_augmented_worker.sh", folder, index=1, count=3, VDA_BARRIER_TIMEOUT_S="0")
    code, log = ended(process)
    assert code == 3, log
    assert task.pairs()["data.input_video"] == f"{folder}/a_aug1/augmented_video.mp4"
    assert task.pairs()["data.video_name"] == "a_aug1"
    assert (task.output / "a_aug1" / "annotations_coco.json").is_file()


@pytest.mark.parametrize("script", ["cosmos_worker.sh", "pl_original_worker.sh"])
def test_output_that_is_whole_is_kept_when_the_cli_fails_afterwards(task: Task, script: str) -> None:
    """The exit code is in the log as a warning, and the worker has done its work."""
    code, log = ended(task.run(script, *task.clips("a", "b"), STAND_IN="fails after"))
    assert code == 0, log
    assert "warning: the CLI ended with 7 after " in log
    assert len(task.calls()) == 2


@pytest.mark.parametrize("mode", ["fails", "cut off", "broken json"])
def test_output_that_is_missing_or_broken_fails_the_worker(task: Task, mode: str) -> None:
    """Whatever the CLI's exit code says: half a video or half a JSON is no variant."""
    code, log = ended(task.run("cosmos_worker.sh", *task.clips("a", "b"), STAND_IN=mode))
    assert code == 1
    assert "left no whole output" in log
    assert "4 of this worker's parts failed" in log


def test_one_failure_does_not_keep_the_others_from_being_made(task: Task) -> None:
    """What is missing after a clip's call is tried by itself; the worker says at the end that it failed."""
    code, log = ended(task.run("cosmos_worker.sh", *task.clips("a", "b"), STAND_IN="one fails"))
    assert code == 1
    assert "1 of this worker's parts failed" in log
    assert task.pairs(2)["data.output_dir"] == str(task.output / "b_aug0")
    assert len(task.calls()) == 3


def test_a_failed_worker_does_not_wait_at_the_barrier(task: Task) -> None:
    """It ends at once, so that the group can be ended."""
    process = task.run("cosmos_worker.sh", *task.clips("a", "b"), count=2, STAND_IN="fails")
    assert ended(process)[0] == 1


@pytest.mark.parametrize("script", ["cosmos_worker.sh", "pl_original_worker.sh", "pl_augmented_worker.sh"])
def test_a_missing_clip_is_named(task: Task, script: str) -> None:
    """The log says which file is in none of the inputs."""
    (task.root / "input" / "5").mkdir()
    code, log = ended(task.run(script, str(task.root / "input" / "5")))
    assert code == 1
    assert "is in none of the inputs" in log
    assert task.calls() == []


def test_an_earlier_attempts_output_is_not_taken_for_this_ones(task: Task) -> None:
    """What lies in the output directory goes before the CLI starts."""
    folders = task.clips("a", "b")
    assert ended(task.run("cosmos_worker.sh", *folders))[0] == 0
    assert ended(task.run("cosmos_worker.sh", *folders, STAND_IN="fails"))[0] == 1
    assert list(task.output.rglob("*.mp4")) == []


def test_a_worker_without_setups_environment_says_so(task: Task) -> None:
    """Without either file nothing is guessed."""
    (task.setup / "runtime.env").unlink()
    (task.setup / ".env").rename(task.setup / "elsewhere")
    code, log = ended(task.run("pl_original_worker.sh", *task.clips("a", "b")))
    assert code == 1
    assert "runtime.env is not in" in log


def test_the_dot_file_does_where_the_other_is_missing(task: Task) -> None:
    """Both say the same."""
    (task.setup / "runtime.env").unlink()
    assert ended(task.run("pl_original_worker.sh", *task.clips("a", "b")))[0] == 0


def test_a_worker_with_nothing_to_do_is_a_mistake(task: Task) -> None:
    """More workers than variants were never planned."""
    code, log = ended(task.run("cosmos_worker.sh", *task.clips("a", "b"), index=4, count=5))
    assert code == 1
    assert "worker 4 of 5 has no variant to make" in log


def test_a_read_only_cache_is_mirrored_by_links(task: Task) -> None:
    """Directories of the mirror can be written to, files lead to the originals."""
    cache = task.root / "cache"
    (cache / "rfdetr" / "a b").mkdir(parents=True)
    (cache / "rfdetr" / "a b" / "w.pth").write_text("weights")
    code = 'here=$1; . "$here/worker_common.sh"; can_write() { false; }; writable_cache "$2"'
    done = subprocess.run(
        [BASH, "-euc", code, "bash", str(SCRIPTS), str(cache)],
        env=task.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    mirror = Path(done.stdout.strip())
    assert mirror == task.root / "root" / "tmp" / "vda" / "model_cache"
    linked = mirror / "rfdetr" / "a b" / "w.pth"
    assert linked.is_symlink()
    assert linked.read_text() == "weights"
    (mirror / "rfdetr" / "a b" / "lock").write_text("written beside it")
    assert sorted(path.name for path in (cache / "rfdetr" / "a b").iterdir()) == ["w.pth"]


@pytest.fixture
def container(task: Task) -> Task:
    """Turn the task into one inside the containers: no local CLI, `uv` and the code in their places."""
    stand_in = task.environ.pop("VDA_AUGMENTATION_CLI").partition("\n")[2]
    del task.environ["VDA_LABELING_CLI"]
    bin_dir = task.root / "bin"
    bin_dir.mkdir()
    uv = bin_dir / "uv"
    # uv run python modules/cli.py … becomes the stand-in with what follows.
    uv.write_text(
        '#!/bin/sh\ntest "$1 $2 $3" = "run python modules/cli.py" || exit 99\nshift 3\n'
        f'exec "{sys.executable}" "{stand_in}" "$@"\n'
    )
    uv.chmod(0o755)
    for name in ("app", "workspace/docker"):
        (task.root / "root" / name).mkdir(parents=True)
    (task.root / "root" / "workspace" / "docker" / "entrypoint.sh").write_text('echo entered; exec "$@"\n')
    task.environ["PATH"] = f"{bin_dir}{os.pathsep}{task.environ['PATH']}"
    return task


def test_in_the_containers_their_own_clis_run_in_their_places(container: Task) -> None:
    """`uv run python modules/cli.py` in /app and /workspace, after the entry point where there is one."""
    set_up(container, "e2e", "0012")
    folders = container.clips("0012")
    code, log = ended(container.run("cosmos_worker.sh", *folders))
    assert code == 0, log
    code, log = ended(container.run("pl_original_worker.sh", *folders))
    assert code == 0, log
    assert "entered" in log
    root = container.root / "root"
    assert [call["cwd"] for call in container.calls()] == [str(root / "app")] * 2 + [str(root / "workspace")]
    assert container.pairs(2)["data.video_name"] == '"0012"'


def test_a_container_may_name_its_labels_otherwise(container: Task) -> None:
    """When its CLI ends well, whatever whole files it left are taken."""
    stand_in = container.root.parent / "stand_in.py"
    stand_in.write_text(
        STAND_IN.replace("annotations_coco.json", "labels.json").replace("summary.json", "about.json")
    )
    code, log = ended(container.run("pl_original_worker.sh", *container.clips("a", "b"), STAND_IN="ok"))
    assert code == 0, log


class Models(BaseHTTPRequestHandler):
    """An endpoint that lists its models to those with the key, from the third question on."""

    asked = 0

    def do_GET(self) -> None:
        """Answer /v1/models."""
        type(self).asked += 1
        allowed = self.headers["Authorization"] == "Bearer s3cr3t-key"
        status = 404 if self.path != "/v1/models" else 401 if not allowed else 503 if self.asked < 3 else 200
        body = json.dumps({"data": [{"id": "org/model-7b"}] if status == 200 else []}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Serve an endpoint and give its host and port."""
    Models.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("VLM_API_KEY", "s3cr3t-key"),
        ("NGC_CLI_API_KEY", "Bearer s3cr3t-key"),
        ("NVIDIA_API_KEY", "Authorization: Bearer s3cr3t-key"),
    ],
)
def test_workers_wait_for_the_endpoint_and_take_its_model(
    task: Task, endpoint: str, name: str, key: str
) -> None:
    """A key under any name and in any form opens it, and appears nowhere in the log."""
    set_up(task, "auto_labeling", "a", VLM_URL=f"{endpoint}/v1/chat/completions?x=1")
    environ = {name: key, "VDA_ENDPOINT_EVERY_S": "0.05", "VDA_ENDPOINT_TIMEOUT_S": "50"}
    code, log = ended(task.run("pl_original_worker.sh", *task.clips("a"), **environ))
    assert code == 0, log
    assert task.pairs()["endpoints.vlm.url"] == f"http://{endpoint}/v1"
    assert task.pairs()["endpoints.vlm.model"] == "org/model-7b"
    assert "endpoints.llm.url" not in task.pairs()
    assert task.calls()[0]["key"] == "s3cr3t-key"
    assert "s3cr3t" not in log
    assert not any("s3cr3t" in argument for argument in task.calls()[0]["argv"])


def test_an_endpoint_that_does_not_come_up_ends_the_worker_in_time(task: Task, endpoint: str) -> None:
    """Without the key it lists nothing: the wait is bounded, the reason is in the log."""
    set_up(task, "auto_labeling", "a", VLM_URL=f"http://{endpoint}")
    environ = {"VDA_ENDPOINT_EVERY_S": "0.05", "VDA_ENDPOINT_TIMEOUT_S": "0.3", "VLM_API_KEY": "wr0ng-key"}
    code, log = ended(task.run("pl_original_worker.sh", *task.clips("a"), **environ))
    assert code == 1
    assert "did not list a model in time" in log
    assert "401" in log
    assert "wr0ng" not in log
    assert task.calls() == []


def test_the_embedded_engines_caches_are_filled_without_a_download(task: Task) -> None:
    """Vendored weights for the labeling; a marker where none are needed."""
    models = task.root / "models"
    models.mkdir()
    (models / "nanodet.onnx").write_bytes(b"weights")
    for cache in ("auto_labeling", "cosmos_transfer"):
        environ = {"VDA_OUTPUT": str(task.root / cache), "VDA_MODELS_DIR": str(models)}
        code, log = ended(task.run("cache_models.sh", cache, **environ))
        assert code == 0, log
    assert (task.root / "auto_labeling" / "nanodet" / "nanodet.onnx").read_bytes() == b"weights"
    assert len(list((task.root / "cosmos_transfer").iterdir())) == 1


def test_a_clusters_cache_is_downloaded_with_the_hubs_client(task: Task) -> None:
    """Each repository into its folder, the token in the environment alone; a refusal says what to do."""
    bin_dir = task.root / "bin"
    bin_dir.mkdir()
    hf = bin_dir / "hf"
    hf.write_text('#!/bin/sh\necho "$@ $HF_TOKEN" >>"$STAND_IN_LOG"\ntest "$2" != org/gated\n')
    hf.chmod(0o755)
    environ = {
        "PATH": f"{bin_dir}{os.pathsep}{task.environ['PATH']}",
        "HF_TOKEN": "t0ken",
        "VDA_CACHE_REPOSITORIES": "one org/open\ntwo org/gated",
        "VDA_OUTPUT": str(task.root / "out"),
    }
    code, log = ended(task.run("cache_models.sh", "cosmos_transfer", **environ))
    assert code == 1
    assert "org/gated could not be downloaded" in log
    assert "hf_token" in log
    assert "t0ken" not in log
    calls = (task.root / "calls").read_text().splitlines()
    assert calls[0] == f"download org/open --local-dir {task.root / 'out'}/one t0ken"


def test_an_unknown_cache_is_refused(task: Task) -> None:
    """The two names are said."""
    code, log = ended(task.run("cache_models.sh", "cosmos"))
    assert code == 1
    assert "cosmos_transfer or auto_labeling" in log
