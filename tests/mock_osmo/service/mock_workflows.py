"""`osmo workflow`: workflows are checked as the service does, and move on one step with every query."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mock_render
import mock_run
import yaml
from mock_data import DEPTH
from mock_state import Store
from mock_text import Refused, dump, err, out, server_error, table

SERVICE = "http://127.0.0.1:18000"
NAME = re.compile(r"^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$")
MAX_TASKS = 20
MAX_NAME = 64
STEPS = ("PROCESSING", "SCHEDULING", "RUNNING", "COMPLETED")
AMBIENT = ("s3", "azure")
FRAME = "-" * 100


def submit(store: Store, args: Namespace, version: str) -> None:
    """Do `workflow submit`."""
    if not Path(args.workflow_file).exists():
        if re.fullmatch(r"[A-Za-z][\w-]*", args.workflow_file):
            raise Refused(f"Workflow {args.workflow_file} is not found.")
        missing = FileNotFoundError(2, "No such file or directory", args.workflow_file)
        raise Refused(str(missing), code=1, exit_code=1)
    pool = _pool_of(store, args)
    text = Path(args.workflow_file).read_text()
    document = _first_pass(text, Path(args.workflow_file), args, version)
    if args.dry_run:
        out(yaml.safe_dump(document))
        return
    workflow = _accepted(store, document, args, pool, template=text)
    if args.format_type == "json":
        dump(
            {
                "name": workflow["name"],
                "overview": f"{SERVICE}/api/workflow/{workflow['name']}",
                "logs": f"{SERVICE}/api/workflow/{workflow['name']}/logs",
                "spec": None,
                "dashboard_url": None,
                "warnings": [],
            },
            indent=4,
        )
        return
    out("Workflow submit successful.")
    out(f"Workflow ID        - {workflow['name']}")
    out(f"Workflow Overview  - {SERVICE}/api/workflow/{workflow['name']}")
    if args.priority == "LOW":
        out("\nWARNING: LOW priority can be preempted during the run.")


def validate(store: Store, args: Namespace, version: str) -> None:
    """Do `workflow validate`: a refusal uses a number up, as it does on the service."""
    pool = _pool_of(store, args)
    text = Path(args.workflow_file).read_text()
    document = _first_pass(text, Path(args.workflow_file), args, version)
    with store.open() as state:
        _check(state, _second_pass(document, args), pool, validating=True)
    out("Workflow validation succeeded.")


def query(store: Store, args: Namespace) -> None:
    """Do `workflow query`; everything that is under way moves on one step."""
    with store.open() as state:
        workflow = _known(state, args.workflow_id)
        if workflow.get("local_id"):
            mock_run.follow(store, workflow)
        else:
            _advance(workflow, _script())
    if args.format_type == "json":
        dump(_document(workflow))
        return
    fields = {
        "Workflow ID": workflow["name"],
        "Status": workflow["status"],
        "User": workflow["user"],
        "Submit Time": _day(workflow["submit_time"]),
        "Labels": "-",
        "Overview": f"{SERVICE}/api/workflow/{workflow['name']}",
    }
    out("-" * 68 + "\n")
    for name, value in fields.items():
        out(f"{name:12s}: {value}")
    tasks = [task for group in workflow["groups"] for task in group["tasks"]]
    rows = [(task["name"], _day(task["start_time"]) or "-", task["status"]) for task in tasks]
    out("\n" + "\n".join(table(("Task Name", "Start Time", "Status"), rows)))


def listing(store: Store, args: Namespace) -> None:
    """Do `workflow list`: the newest, in the order in which they were submitted."""
    wanted = args.status or []
    workflows = [
        each
        for each in store.read()["workflows"].values()
        if (each["status"] in wanted if wanted else each["status"] != "FAILED_SUBMISSION")
        and (args.name or "") in each["name"]
    ]
    newest = sorted(workflows, key=lambda each: each["submit_time"])[-args.count :]
    if args.format_type == "json":
        dump({"workflows": [_summary(each) for each in newest]})
    elif not newest:
        out("There are no workflows to view.")
    else:
        headings = ("User", "Workflow ID", "Submit Time", "Status", "Priority", "Labels", "Overview")
        rows = [
            (
                each["user"],
                each["name"],
                _day(each["submit_time"]),
                each["status"],
                "NORMAL",
                "-",
                f"{SERVICE}/api/workflow/{each['name']}",
            )
            for each in newest
        ]
        out("\n".join(table(headings, rows)))


def spec(store: Store, args: Namespace) -> None:
    """Do `workflow spec`."""
    workflow = _known(store.read(), args.workflow_id)
    out(workflow["template"] if args.template else workflow["spec"])


def logs(store: Store, args: Namespace) -> None:
    """Do `workflow logs`: follows a workflow that is alive until somebody interrupts it."""
    workflow = _known(store.read(), args.workflow_id)
    names = [task["name"] for group in workflow["groups"] for task in group["tasks"]]
    if args.error and not args.task:
        raise Refused("Specify task for retry ID or error logs.", code=1)
    if args.task and args.task not in names:
        raise Refused(f"Task {args.task} of workflow {workflow['name']} is not found.")
    out(f"Workflow {workflow['name']} has {'error ' if args.error else ''}logs:")
    lines = mock_run.logs(store, workflow, args.task) if workflow.get("local_id") else _lines(workflow)
    mine = [line for line in lines if not args.task or f"[{args.task}]" in line]
    for line in mine[-args.n :] if args.n else mine:
        out(line)
    if workflow["status"].startswith("FAILED") and not args.task:
        url = f"{SERVICE}/api/workflow/{workflow['name']}"
        out(f"{FRAME}\nWorkflow terminated abnormally, view task status at:\n{url}\n")
        out(f"View task error logs at:\n{url}/error_logs\n{FRAME}\n")
    while not args.error and workflow["status"] in {"PENDING", "RUNNING"}:
        time.sleep(0.1)


def cancel(store: Store, args: Namespace) -> None:
    """Do `workflow cancel`: says no with exit code 0."""
    for name in args.workflow_id:
        with store.open() as state:
            workflow = state["workflows"].get(name)
            ended = workflow is not None and workflow["status"] not in {"PENDING", "RUNNING"}
            if workflow is None or (ended and not args.force):
                why = "is not found" if workflow is None else "is already finished"
                err("Server responded with status code 400")
                out(f"Workflow cancelation failed for workflow {name}: Workflow {name} {why}.")
                continue
            if not ended:
                _cancel(store, workflow, state["user"], args.message)
        if args.format_type == "json":
            dump({"name": name})
        else:
            out(f"Cancel job for workflow {name} is submitted!")


def _cancel(store: Store, workflow: dict[str, Any], user: str, message: str | None) -> None:
    if workflow.get("local_id"):
        mock_run.cancel(store, workflow)
        return
    for group in workflow["groups"]:
        for task in group["tasks"]:
            if task["status"] != "COMPLETED":
                why = f"Task was canceled by user: {user}. {message or ''}".rstrip()
                task |= {"status": "FAILED_CANCELED", "failure_message": why, "end_time": _now()}
                group |= {"status": "FAILED_CANCELED", "failure_message": why}
    workflow |= {"status": "FAILED_CANCELED", "cancelled_by": user, "end_time": _now()}


def _pool_of(store: Store, args: Namespace) -> dict[str, Any]:
    state = store.read()
    known = {each["name"]: each for each in state["pools"]}
    name = args.pool or state["default_pool"] or (next(iter(known)) if len(known) == 1 else None)
    if name is None:
        raise Refused(
            "No default pool set. Set a default pool with `osmo profile set pool <pool>`, or use --pool.",
            code=1,
        )
    if name not in known:
        raise Refused(f"Pool {name} does not exist!")
    return known[name]


def _values(args: Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in [*(args.set or []), *(args.set_string or [])]:
        key, found, value = pair.partition("=")
        if not found:
            raise Refused(f"Data {pair} is incorrectly formatted", exit_code=1)
        values[key] = value
    for pair in args.set or []:
        key, _, value = pair.partition("=")
        if pair.partition("=")[0] not in {each.partition("=")[0] for each in args.set_string or []}:
            values[key] = _cast(value)
    return values


def _cast(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _first_pass(text: str, file: Path, args: Namespace, version: str) -> Any:
    if mock_render.is_template(text, version):
        text = mock_render.rendered(text, _values(args))
    document = mock_render.parsed(text)
    if not isinstance(document, dict) or "workflow" not in document:
        raise Refused("Workflow spec not found.", code=1)
    return mock_render.with_local_files(document, file.parent)


def _second_pass(document: Any, args: Namespace) -> Any:
    return mock_render.parsed(mock_render.rendered(yaml.safe_dump(document), _values(args)))


def _accepted(
    store: Store, document: Any, args: Namespace, pool: dict[str, Any], template: str
) -> dict[str, Any]:
    with store.open() as state:
        try:
            document = _second_pass(document, args)
            _check(state, document, pool, validating=False)
        except Refused as refused:
            named = "validation error" in refused.message
            if refused.exit_code == 1 and refused.code != 1:
                name = f" {document['workflow'].get('name')}" if named else ""
                raise Refused(
                    f"Workflow{name} submit failed:\n{refused.message}", code=1, exit_code=1, status=400
                ) from refused
            raise
        workflow = _new(state, document, pool, template)
        if os.environ.get("MOCK_OSMO_RUN"):
            mock_run.start(store, workflow, document)
        return workflow


def _check(state: dict[str, Any], document: Any, pool: dict[str, Any], *, validating: bool) -> None:
    """Refuse as the service does, and keep the record of a refused submission that it keeps."""
    name = str(document["workflow"].get("name"))
    try:
        _check_shape(document, name)
        _check_places(state, document, pool, validating=validating)
    except Refused:
        workflow = _new(state, {"workflow": {"name": name}}, pool, "")
        workflow |= {"status": "FAILED_SUBMISSION", "end_time": workflow["submit_time"]}
        raise


def _check_shape(document: Any, name: str) -> None:
    if not NAME.match(name):
        raise Refused(
            "1 validation error for VersionedWorkflowSpec\nworkflow.name\n  String should match pattern "
            f"'{NAME.pattern}' [type=string_pattern_mismatch, input_value='{name}', input_type=str]\n"
            "    For further information visit https://errors.pydantic.dev/2.12/v/string_pattern_mismatch",
            exit_code=1,
        )
    if len(name) > MAX_NAME:
        raise Refused(f"Name {name} is too long. It must be {MAX_NAME} characters or less.")
    if len(mock_render.tasks_of(document)) > MAX_TASKS:
        raise Refused(f"Workflow cannot have more than {MAX_TASKS} tasks.")
    earlier: dict[str, str] = {}
    for group in mock_render.groups_of(document):
        for task in group["tasks"]:
            for source in (each["task"] for each in task.get("inputs") or [] if "task" in each):
                if source in {other["name"] for other in mock_render.tasks_of(document)} - earlier.keys():
                    raise server_error(
                        f'Group "{group["name"]}" requires input group "{source}" exists before itself.'
                    )
                if source not in earlier and ":" not in source:
                    raise Refused(f"Task input {source} does not exist.")
        earlier |= {task["name"]: group["name"] for task in group["tasks"]}


def _check_places(state: dict[str, Any], document: Any, pool: dict[str, Any], *, validating: bool) -> None:
    if pool["status"] == "MAINTENANCE":
        raise Refused(
            f"Pool {pool['name']} is undergoing maintenance. Users will have to wait until maintenance is "
            "completed before submission.",
            exit_code=1,
        )
    for resource in (document["workflow"].get("resources") or {}).values():
        platform = resource.get("platform")
        if platform is not None and platform not in pool["platforms"]:
            raise Refused(f"Platform {platform} does not exist in pool {pool['name']}!", exit_code=1)
        if int(resource.get("cpu") or 0) > 127:
            raise Refused(
                "Resource validation failed for task: t1\nAssertion failed for task t1: Value "
                f"{float(resource['cpu'])} too high for CPU\n"
                'Please check available resources with "osmo resource list".',
                exit_code=1,
            )
    for task in mock_render.tasks_of(document):
        _check_credentials(state, task, validating=validating)
        sides = [*(task.get("inputs") or []), *(task.get("outputs") or [])]
        for url in (each["url"] for each in sides if "url" in each):
            _check_url(state, url)


def _check_credentials(state: dict[str, Any], task: dict[str, Any], *, validating: bool) -> None:
    stored = {each["name"]: each for each in state["credentials"]}
    for name, mapped in (task.get("credentials") or {}).items():
        if name not in stored:
            raise Refused(f"Could not find the credential: {name}.", exit_code=2 if validating else 1)
        keys = stored[name]["payload"].keys()
        for key in mapped.values() if isinstance(mapped, dict) else ():
            if key not in keys:
                raise Refused(
                    f"{key} is not a valid credential key please choose from dict_keys({list(keys)})"
                )


def _check_url(state: dict[str, Any], url: str) -> None:
    scheme, _, rest = url.partition("://")
    if scheme not in DEPTH:
        raise server_error(f"Unknown URI scheme: {scheme}")
    path = [part for part in rest.split("/") if part]
    if re.search(r"[,;*]", url) or len(path) < DEPTH[scheme]:
        raise server_error(f"Incorrectly formatted {scheme.upper()} URI: {url}")
    profile = f"{scheme}://{path[0]}"
    if scheme not in AMBIENT and not any(
        (each["profile"] or "").startswith(profile) for each in state["credentials"]
    ):
        raise Refused(
            f"No credentials configured for {url} (user {state['user']}) and the backend does not support "
            "environment authentication. Run `osmo credential set` to add a credential.",
            exit_code=1,
        )


def _new(state: dict[str, Any], document: Any, pool: dict[str, Any], template: str) -> dict[str, Any]:
    name = str(document["workflow"]["name"])
    number = state["counters"][name] = state["counters"].get(name, 0) + 1
    now = _now()
    groups = mock_render.groups_of(document)
    of_task = {task["name"]: group["name"] for group in groups for task in group["tasks"]}
    workflow: dict[str, Any] = {
        "name": f"{name}-{number}",
        "uuid": uuid.uuid4().hex,
        "user": state["user"],
        "cancelled_by": None,
        "pool": pool["name"],
        "online": pool["status"] == "ONLINE",
        "submit_time": now,
        "start_time": None,
        "end_time": None,
        "status": "PENDING",
        "template": template,
        "spec": yaml.safe_dump({"version": 2, **document}),
        "groups": [],
    }
    for group in groups:
        sources = [each.get("task") for task in group["tasks"] for each in task.get("inputs") or []]
        upstream = sorted({of_task[source] for source in sources if source in of_task})
        status = "WAITING" if upstream else "PROCESSING"
        tasks = [
            _new_task(task["name"], status, lead=task.get("lead") is True or len(group["tasks"]) == 1)
            for task in group["tasks"]
        ]
        workflow["groups"].append(
            {
                "name": group["name"],
                "status": status,
                "upstream": upstream,
                "failure_message": None,
                "tasks": tasks,
            }
        )
    state["workflows"][workflow["name"]] = workflow
    return workflow


def _new_task(name: str, status: str, *, lead: bool) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "lead": lead,
        "exit_code": None,
        "failure_message": None,
        "start_time": None,
        "end_time": None,
        "uuid": uuid.uuid4().hex,
    }


def _advance(workflow: dict[str, Any], script: dict[str, dict[str, Any]]) -> None:
    """Move every group on one step; `script` says which tasks end how."""
    if workflow["status"] not in {"PENDING", "RUNNING"} or not workflow["online"]:
        return
    ended = {group["name"]: group["status"] for group in workflow["groups"]}
    for group in workflow["groups"]:
        if group["status"] == "COMPLETED" or group["status"].startswith("FAILED"):
            continue
        before = [ended[name] for name in group["upstream"]]
        if any(status.startswith("FAILED") for status in before):
            _end_group(group, "FAILED_UPSTREAM", "Upstream task failed.", 3000)
        elif all(status == "COMPLETED" for status in before):
            _step(group, script)
    statuses = [group["status"] for group in workflow["groups"]]
    if "RUNNING" in statuses and workflow["start_time"] is None:
        workflow |= {"status": "RUNNING", "start_time": _now()}
    if all(status == "COMPLETED" or status.startswith("FAILED") for status in statuses):
        failed = next((status for status in statuses if status.startswith("FAILED")), None)
        workflow |= {"status": failed or "COMPLETED", "end_time": _now()}


def _step(group: dict[str, Any], script: dict[str, dict[str, Any]]) -> None:
    current = "PROCESSING" if group["status"] == "WAITING" else STEPS[STEPS.index(group["status"]) + 1]
    group["status"] = current
    for task in group["tasks"]:
        task["status"] = current
        if current == "RUNNING":
            task["start_time"] = _now()
        elif current == "COMPLETED":
            task.update({"exit_code": 0, "end_time": _now()} | script.get(task["name"], {}))
    failed = [task for task in group["tasks"] if task["status"].startswith("FAILED")]
    if failed:
        first = failed[0]
        group |= {"status": "FAILED", "failure_message": first["failure_message"]}
        for task in group["tasks"]:
            if task not in failed:
                task |= {"status": "FAILED", "failure_message": "Lead task finished", "exit_code": None}


def _end_group(group: dict[str, Any], status: str, why: str, exit_code: int) -> None:
    group |= {"status": status, "failure_message": why}
    for task in group["tasks"]:
        task |= {"status": status, "failure_message": why, "exit_code": exit_code, "end_time": _now()}


def _script() -> dict[str, dict[str, Any]]:
    file = os.environ.get("MOCK_OSMO_SCRIPT")
    return json.loads(Path(file).read_text()) if file else {}


def _known(state: dict[str, Any], name: str) -> dict[str, Any]:
    if name not in state["workflows"]:
        raise Refused(f"Workflow {name} is not found.")
    found: dict[str, Any] = state["workflows"][name]
    return found


def _document(workflow: dict[str, Any]) -> dict[str, Any]:
    url = f"{SERVICE}/api/workflow/{workflow['name']}"
    groups = workflow["groups"]
    return {
        "name": workflow["name"],
        "uuid": workflow["uuid"],
        "submitted_by": workflow["user"],
        "cancelled_by": workflow["cancelled_by"],
        "spec": f"{url}/spec",
        "template_spec": f"{url}/spec?use_template=true",
        "logs": f"{url}/logs?last_n_lines=1000",
        "events": f"{url}/events",
        "overview": url,
        "parent_name": None,
        "parent_job_id": None,
        "dashboard_url": None,
        "grafana_url": None,
        "tags": [],
        "submit_time": workflow["submit_time"],
        "start_time": workflow["start_time"],
        "end_time": workflow["end_time"],
        "exec_timeout": 86400.0,
        "queue_timeout": 7200.0,
        "duration": None,
        "queued_time": 0.0,
        "status": workflow["status"],
        "outputs": "",
        "groups": [_group(group, groups, url) for group in reversed(groups)],  # never the spec's order
        "pool": workflow["pool"],
        "backend": "default",
        "app_owner": None,
        "app_name": None,
        "app_version": None,
        "plugins": {"rsync": False},
        "priority": "NORMAL",
        "labels": {},
        "warnings": [],
    }


def _group(group: dict[str, Any], groups: list[dict[str, Any]], url: str) -> dict[str, Any]:
    done = {each["name"] for each in groups if each["status"] == "COMPLETED"}
    return {
        "name": group["name"],
        "status": group["status"],
        "start_time": min(filter(None, (task["start_time"] for task in group["tasks"])), default=None),
        "end_time": max(filter(None, (task["end_time"] for task in group["tasks"])), default=None),
        "processing_start_time": None,
        "scheduling_start_time": None,
        "initializing_start_time": None,
        "remaining_upstream_groups": [name for name in group["upstream"] if name not in done],
        "downstream_groups": [each["name"] for each in groups if group["name"] in each["upstream"]],
        "failure_message": group["failure_message"],
        "tasks": [
            {
                "name": task["name"],
                "retry_id": 0,
                "status": task["status"],
                "failure_message": task["failure_message"],
                "exit_code": task["exit_code"],
                "logs": f"{url}/logs?last_n_lines=1000&task_name={task['name']}&retry_id=0",
                "error_logs": None,
                "processing_start_time": None,
                "scheduling_start_time": None,
                "initializing_start_time": None,
                "events": f"{url}/events?task_name={task['name']}&retry_id=0",
                "start_time": task["start_time"],
                "end_time": task["end_time"],
                "input_download_start_time": None,
                "input_download_end_time": None,
                "output_upload_start_time": None,
                "dashboard_url": None,
                "pod_name": None,
                "pod_ip": None,
                "task_uuid": task["uuid"],
                "node_name": None,
                "lead": task["lead"],
            }
            for task in group["tasks"]
        ],
    }


def _summary(workflow: dict[str, Any]) -> dict[str, Any]:
    url = f"{SERVICE}/api/workflow/{workflow['name']}"
    return {
        "user": workflow["user"],
        "name": workflow["name"],
        "workflow_uuid": workflow["uuid"],
        "submit_time": workflow["submit_time"],
        "start_time": workflow["start_time"],
        "end_time": workflow["end_time"],
        "queued_time": 0.0,
        "duration": None,
        "status": workflow["status"],
        "overview": url,
        "logs": f"{url}/logs",
        "error_logs": None,
        "grafana_url": None,
        "dashboard_url": None,
        "pool": workflow["pool"],
        "app_owner": None,
        "app_name": None,
        "app_version": None,
        "priority": "NORMAL",
        "labels": {},
    }


def _lines(workflow: dict[str, Any]) -> list[str]:
    lines = []
    for task in (task for group in workflow["groups"] for task in group["tasks"]):
        if task["start_time"]:
            at = datetime.fromisoformat(task["start_time"]).strftime("%Y/%m/%d %H:%M:%S")
            lines += [
                f"{at} [{task['name']}] lab: hello from {task['name']}",
                f"{at} [{task['name']}] lab: working",
            ]
        if task["exit_code"] not in {None, 0, 3000}:
            lines.append(f"{at} [{task['name']}] lab: task {task['name']} failing with {task['exit_code']}")
    return lines


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _day(moment: str | None) -> str:
    return datetime.fromisoformat(moment).strftime("%b %d, %Y %H:%M UTC") if moment else ""
