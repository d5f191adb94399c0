"""A task of the embedded engine finds files, inputs, tokens and environment as it would on OSMO."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from skill_tools.engines.local.engine import LocalEngine
from skill_tools.engines.local.environment import host_environment
from skill_tools.errors import EngineError
from tests.engines.local_bench import Bench, group, shell, wait_for


def lines(bench: Bench, workflow_id: str, task: str) -> list[str]:
    """Return what a task wrote, without time and name."""
    mark = f" [{task}] "
    return [line.partition(mark)[2] for line in bench.engine.logs(workflow_id, task, tail=0) if mark in line]


def written_by(bench: Bench, script: str, **more: Any) -> list[str]:
    """Run one task and return what it wrote."""
    done = bench.run([group("g", shell("t", script, **more))])
    assert done.status == "COMPLETED", bench.engine.logs(done.workflow_id, "t", tail=20)
    return lines(bench, done.workflow_id, "t")


def test_tokens_are_replaced_in_every_string_and_file(bench: Bench) -> None:
    """Command, arguments, environment and file contents name the task's own places."""
    task = shell(
        "t",
        'echo "$1"; echo "$WHERE"; cat "$VDA_ROOT/etc/vda/f"; echo; ls "$2"',
        args=["name", "{{workflow_id}} {{host:t}}", "{{input:make}}"],
        environment={"WHERE": "{{output}} {{input:0}}"},
        files=[{"path": "/etc/vda/f", "contents": "in {{output}}"}],
        inputs=[{"task": "make"}],
    )
    done = bench.run([group("first", shell("make", "echo x > {{output}}/x")), group("second", task)])
    folder = bench.run_folder(done.workflow_id).task("t")
    assert lines(bench, done.workflow_id, "t") == [
        f"{done.workflow_id} 127.0.0.1",
        f"{folder.output} {folder.input(0)}",
        f"in {folder.output}",
        "x",
    ]


def test_an_argument_that_is_the_path_of_a_staged_file_is_found(bench: Bench) -> None:
    """`command: [bash, /etc/run.sh]` runs the file of that path, as it does in a container."""
    task = {
        "name": "t",
        "image": "ubuntu",
        "command": ["bash", "/etc/run.sh"],
        "files": [{"path": "/etc/run.sh", "contents": 'echo "ran $0"\n'}],
    }
    done = bench.run([group("g", task)])
    root = bench.run_folder(done.workflow_id).task("t").root
    assert lines(bench, done.workflow_id, "t") == [f"ran {root}/etc/run.sh"]


def test_files_arrive_byte_for_byte(bench: Bench) -> None:
    """Bytes that are no text, and line ends of any kind, are staged as they are given."""
    raw = bytes(range(256))
    files = [
        {"path": "/etc/raw", "contents": base64.b64encode(raw).decode(), "base64": True},
        {"path": "relative", "contents": "a\r\nb\n"},
    ]
    bench.run([group("g", shell("t", "cp $VDA_ROOT/etc/raw relative {{output}}", files=files))])
    output = bench.run_folder("demo-1").task("t").output
    assert (output / "raw").read_bytes() == raw
    assert (output / "relative").read_bytes() == b"a\r\nb\n"


def test_inputs_come_from_urls_folders_flat_and_files_by_name(bench: Bench) -> None:
    """What lies below a folder's URL is directly in input/N; a file's URL gives input/N/NAME."""
    store = bench.folder / "my store"
    (store / "clips" / "deep").mkdir(parents=True)
    (store / "clips" / "a b.mp4").write_text("A")
    (store / "clips" / "deep" / "c.mp4").write_text("C")
    inputs = [{"url": (store / "clips").as_uri()}, {"url": (store / "clips" / "a b.mp4").as_uri()}]
    script = "cd {{input:0}}; find . -type f | sort; cat {{input:1}}/'a b.mp4'; echo"
    assert written_by(bench, script, inputs=inputs) == ["./a b.mp4", "./deep/c.mp4", "A"]


def test_an_input_regex_matches_from_the_start_of_the_relative_path(bench: Bench) -> None:
    """As OSMO matches: `mp4` finds nothing, `.*mp4` does, and for task inputs alike."""
    store = bench.folder / "store"
    store.mkdir()
    for name in ("a.mp4", "b.txt"):
        (store / name).touch()
    take = shell(
        "t",
        "ls -A {{input:0}}; ls -A {{input:1}}; ls -A {{input:2}}",
        inputs=[
            {"url": store.as_uri(), "regex": "mp4"},
            {"url": store.as_uri(), "regex": r".*\.mp4"},
            {"task": "make", "regex": "keep/"},
        ],
    )
    make = shell("make", "mkdir {{output}}/keep {{output}}/drop; touch {{output}}/keep/x {{output}}/drop/x")
    done = bench.run([group("first", make), group("second", take)])
    assert lines(bench, done.workflow_id, "t") == ["a.mp4", "keep"]


def test_a_url_with_nothing_behind_it_is_an_empty_input(bench: Bench) -> None:
    """A cache that isn't filled yet doesn't fail the task."""
    inputs = [{"url": (bench.folder / "nowhere").as_uri()}]
    assert written_by(bench, "ls -A {{input:0}}; echo end", inputs=inputs) == ["end"]


def test_a_task_cannot_change_what_the_task_above_made(bench: Bench) -> None:
    """Inputs are the task's own: writing to them reaches neither the output above nor the storage."""
    store = bench.folder / "store"
    make = shell("make", "echo good > {{output}}/x", outputs=[{"url": store.as_uri()}])
    spoil = shell(
        "spoil",
        "echo bad > {{input:0}}/x; echo bad > {{input:1}}/x",
        inputs=[{"task": "make"}, {"url": store.as_uri()}],
    )
    done = bench.run([group("first", make), group("second", spoil, shell("other", "true"))])
    assert done.status == "COMPLETED"
    assert (bench.run_folder(done.workflow_id).task("make").output / "x").read_text() == "good\n"
    assert (store / "x").read_text() == "good\n"


def test_outputs_reach_every_url_that_the_task_names(bench: Bench) -> None:
    """Structure is kept, a regex chooses, and a file that was there before is replaced."""
    store = bench.folder / "store"
    (store / "all").mkdir(parents=True)
    (store / "all" / "x").write_text("old")
    task = shell(
        "t",
        "mkdir {{output}}/d; echo 1 > {{output}}/x; echo 2 > {{output}}/d/y; echo 3 > {{output}}/.env",
        outputs=[
            {"url": (store / "all").as_uri()},
            {"url": (store / "some" / "{{workflow_id}}").as_uri().replace("%7B", "{").replace("%7D", "}"),
             "regex": "d/"},
        ],
    )  # fmt: skip
    done = bench.run([group("g", task)])
    assert [found.path for found in bench.engine.list(store.as_uri())] == [
        "all/.env",
        "all/d/y",
        "all/x",
        f"some/{done.workflow_id}/d/y",
    ]
    assert (store / "all" / "x").read_text() == "1\n"


def test_a_failed_task_uploads_nothing(bench: Bench) -> None:
    """Only what ended well reaches the storage."""
    store = bench.folder / "store"
    bench.run([group("g", shell("t", "echo x > {{output}}/x; exit 1", outputs=[{"url": store.as_uri()}]))])
    assert bench.engine.list(store.as_uri()) == ()


def test_a_storage_that_cannot_be_written_fails_the_task_with_2012(bench: Bench) -> None:
    """An upload that fails says why, in the state and in the log."""
    (bench.folder / "file").touch()
    url = (bench.folder / "file" / "below").as_uri()
    done = bench.run([group("g", shell("t", "echo x > {{output}}/x", outputs=[{"url": url}]))])
    (task,) = done.tasks
    assert (done.status, task.status, task.exit_code) == ("FAILED", "FAILED", 2012)
    assert "Not a directory" in task.failure
    assert "Not a directory" in bench.engine.logs(done.workflow_id, "t", tail=1)[0]


def test_a_task_knows_its_workers_and_its_interpreter(bench: Bench) -> None:
    """The variables of the embedded engine are set, and `python` is the one that runs it."""
    script = (
        'printf "%s\\n" "$VDA_AUGMENTATION_CLI" "$VDA_LABELING_CLI";'
        'test -d "$VDA_MODELS_DIR" && echo models;'
        'python -c "import skill_tools, sys; print(sys.executable)"; echo "$PWD $VDA_ROOT $TMPDIR"; echo $A'
    )
    *clis, models, python, places, a = written_by(bench, script, environment={"A": True, "VDA_ROOT": "/no"})
    root = bench.run_folder("demo-1").task("t").root
    assert clis == [
        *(sys.executable, "-m", "skill_tools.workers.augmentation"),
        *(sys.executable, "-m", "skill_tools.workers.labeling"),
    ]
    assert (models, python, a) == ("models", sys.executable, "True")
    assert places == f"{root} {root} {root / 'tmp'}"


def test_tasks_of_a_group_meet_at_one_free_port(bench: Bench) -> None:
    """VDA_BARRIER_PORT is the same in a group and another in the next one."""
    show = "echo $VDA_BARRIER_PORT"
    done = bench.run([group("g", shell("a", show), shell("b", show)), group("h", shell("c", show))])
    a, b, c = (lines(bench, done.workflow_id, name) for name in "abc")
    assert a == b != c


def test_secrets_of_the_host_are_not_inherited(tmp_path: Path) -> None:
    """Of the environment only known names pass; keys pass to those who name an endpoint."""
    environ = {
        "HOME": "/home/x",
        "LC_ALL": "C.UTF-8",
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "s1",
        "HF_TOKEN": "s2",
        "MY_PASSWORD": "s3",
        "VLM_API_KEY": "s4",
        "LLM_API_KEY": "s5",
        "OPENAI_API_KEY": "s6",
    }
    plain = {"HOME": "/home/x", "LC_ALL": "C.UTF-8", "PATH": "/bin"}
    assert host_environment(environ, {"vlm_url": ""}) == plain
    assert host_environment(environ, {"vlm_url": "http://x/v1"}) == {
        **plain,
        "VLM_API_KEY": "s4",
        "OPENAI_API_KEY": "s6",
    }


def test_a_key_that_passes_is_masked_in_the_log_and_kept_nowhere(bench: Bench) -> None:
    """A task that names an endpoint gets the key; what it prints of it is masked, and no file holds it."""
    key = "nvapi-0123456789abcdef"
    engine = LocalEngine(bench.folder / "state", environ={**os.environ, "VLM_API_KEY": key, "HF_TOKEN": key})
    script = 'echo "key=$VLM_API_KEY $(printf %s "$VLM_API_KEY" | wc -c) token=$HF_TOKEN"'
    request = bench.request([group("g", shell("t", script))], values={"vlm_url": "http://host/v1"})
    workflow_id = engine.submit(request).workflow_id
    bench.end_of(workflow_id)
    assert lines(bench, workflow_id, "t") == [f"key=[MASKED] {len(key)} token="]
    kept = [path for path in bench.folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert kept == []


def test_progress_is_what_the_task_says(bench: Bench) -> None:
    """The file named by VDA_PROGRESS_FILE shows in the task's state, and nonsense in it doesn't harm."""
    gate = bench.fifo("gate")
    said = '{"done": 3, "total": 12, "unit": "frames", "rate": 1.5, "note": "rain"}'
    script = f"echo '{said}' > $VDA_PROGRESS_FILE; {gate.blocks}; echo nonsense > $VDA_PROGRESS_FILE"
    workflow_id = bench.submit([group("g", shell("t", script))])
    wait_for(lambda: bench.task(workflow_id, "t").progress is not None, "progress")
    progress = bench.task(workflow_id, "t").progress
    assert progress is not None
    assert (progress.done, progress.total, progress.rate, progress.note) == (3, 12, 1.5, "rain")
    gate.release()
    bench.end_of(workflow_id)
    assert bench.task(workflow_id, "t").progress is None


def test_logs_of_a_task_and_of_the_whole(bench: Bench) -> None:
    """The newest lines come last, a workflow's tasks in the order of time, and unknown names are errors."""
    done = bench.run(
        [
            group("one", shell("first", "echo a; echo b >&2")),
            group("two", shell("second", "sleep 1.1; echo c", inputs=[{"task": "first"}])),
        ]
    )
    whole = bench.engine.logs(done.workflow_id, None, tail=0)
    assert [line.partition("] ")[2] for line in whole] == ["a", "b", "c"]
    assert bench.engine.logs(done.workflow_id, None, tail=2) == whole[1:]
    with pytest.raises(EngineError, match="no task third"):
        bench.engine.logs(done.workflow_id, "third", tail=1)
    for unknown in ("demo-9", "../demo-1", ""):
        with pytest.raises(EngineError, match="is not found"):
            bench.engine.logs(unknown, None, tail=1)
