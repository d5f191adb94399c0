"""The command line of the mock: what `osmo` takes, and the faults that a test dials in.

`MOCK_OSMO_STATE`    the folder that it remembers in
`MOCK_OSMO_VERSION`  6.4.0, or 6.3.1: warnings on standard error, and the last `--set-string` alone counts
`MOCK_OSMO_SCRIPT`   a JSON file: task to how it ends, {"status", "exit_code", "failure_message"}
`MOCK_OSMO_RUN`      really run what is submitted
`MOCK_OSMO_FAULT`    `FAULT[*TIMES][:COMMAND]`, several separated by `;`. FAULT is slow, hang, die,
                     die_after_send, garbage, truncated_json, empty, exit_N, http_N, timeout, unreachable,
                     partial, half_file or short_file; COMMAND the first words of the commands it hits
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from mock_state import PLATFORM, Store, read_store
from mock_text import Refused, dump, err, fail, out, pool_table, server_error, table

HANG_S = 3600
SLOW_S = 1.0
WARNING = (
    "WARNING: New client 6.4.0 available.\nCurrent version: 6.3.1.\n"
    "Please update by running the install command in the documentation."
)
CONFIG_TYPES = (
    "BACKEND, BACKEND_TEST, GROUP_TEMPLATE, POD_TEMPLATE, POOL, RESOURCE_VALIDATION, ROLE, SERVICE, WORKFLOW"
)
DATA_KEYS = ("access_key_id", "access_key", "endpoint", "region", "override_url", "addressing_style")
OFFLINE = "\nCannot connect to OSMO service, with error:\n{error}\n"
REFUSED_CONNECTION = (
    "HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /api (Caused by "
    "NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection: "
    '[Errno 111] Connection refused"))'
)
READ_TIMEOUT = "HTTPConnectionPool(host='127.0.0.1', port=18000): Read timed out. (read timeout=60)"


def main(arguments: list[str]) -> NoReturn:
    """Do what a command line says, and end the process as `osmo` would."""
    store = read_store()
    store.record(arguments)
    version = os.environ.get("MOCK_OSMO_VERSION", "6.4.0")
    fault = _fault(store, arguments)
    _before(fault)
    args = _parser(version).parse_args(arguments)
    as_json = getattr(args, "format_type", "text") == "json" and args.module != "credential"
    if version == "6.3.1" and args.module != "data":
        err("\n".join([WARNING] * (2 if args.module == "workflow" else 1)))
    spoiled = fault in {"die_after_send", "garbage", "truncated_json", "empty"}
    said = io.StringIO() if spoiled else sys.stdout
    code = 0
    try:
        with contextlib.redirect_stdout(said):
            _expect_service(store, args)
            _expect_fault(fault)
            code = _do(store, args, version, fault)
    except Refused as refused:
        fail(refused, as_json=as_json)
    except KeyboardInterrupt:
        code = 3
    except FileNotFoundError:
        traceback.print_exc()
        code = 1
    if spoiled:
        _spoil(fault, said.getvalue())
    sys.stdout.flush()
    sys.stderr.flush()
    raise SystemExit(code)


def _fault(store: Store, arguments: list[str]) -> str:
    """Return the fault that hits this command, if one does, and count it."""
    words = " ".join(word for word in arguments if not word.startswith("-"))
    for given in filter(None, os.environ.get("MOCK_OSMO_FAULT", "").split(";")):
        what, _, command = given.partition(":")
        name, _, times = what.partition("*")
        if not words.startswith(command):
            continue
        with store.open() as state:
            used = state["faults"].get(given, 0)
            if times and used >= int(times):
                continue
            state["faults"][given] = used + 1
        return name
    return ""


def _before(fault: str) -> None:
    if fault == "slow":
        time.sleep(SLOW_S)
    elif fault == "hang":
        time.sleep(HANG_S)
    elif fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.startswith("exit_"):
        raise SystemExit(int(fault.removeprefix("exit_")))


def _expect_service(store: Store, args: argparse.Namespace) -> None:
    if args.module in {"data", "login"}:
        return
    state = store.read()
    if args.module != "version" and state["user"] is None:
        raise Refused('Must login first with "login" command', code=1)
    if args.module != "version" and not state["reachable"]:
        raise Refused(OFFLINE.format(error=REFUSED_CONNECTION), code=1, exit_code=10)


def _expect_fault(fault: str) -> None:
    if fault == "unreachable":
        raise Refused(OFFLINE.format(error=REFUSED_CONNECTION), code=1, exit_code=10)
    if fault == "timeout":
        raise Refused(OFFLINE.format(error=READ_TIMEOUT), code=1, exit_code=10)
    if fault.startswith("http_"):
        status = int(fault.removeprefix("http_"))
        if status >= 500:
            raise server_error("lab", status)
        raise Refused("lab: the service says no", code=status, exit_code=75 if status == 429 else 2)


def _spoil(fault: str, said: str) -> None:
    if fault == "die_after_send":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "garbage":
        sys.stdout.write("<html><body>502 Bad Gateway</body></html>\n\x00\x1b[31m")
    elif fault == "truncated_json":
        sys.stdout.write(said[: len(said) // 2])


def _do(store: Store, args: argparse.Namespace, version: str, fault: str) -> int:
    run: Callable[..., int | None] = args.run
    more = {"version": version, "fault": fault}
    return run(store, args, **{name: more[name] for name in getattr(args, "takes", ())}) or 0


def _version(store: Store, args: argparse.Namespace, version: str) -> None:
    state = store.read()
    client = dict(zip(("major", "minor", "revision"), version.split("."), strict=True)) | {"hash": ""}
    service = {"major": "6", "minor": "4", "revision": "0", "hash": ""}
    known = state["user"] is not None and state["reachable"]
    if args.format_type == "json":
        dump({"client": client} | ({"service": service} if known else {}), indent=4)
        return
    out(f"OSMO client version:  {version}")
    if known:
        out("OSMO service version: 6.4.0")


def _login(store: Store, args: argparse.Namespace) -> None:
    with store.open() as state:
        state["user"] = args.username
    out(f"Logging in to {args.url}\nSuccessfully logged in. Welcome {args.username}.")


def _logout(store: Store, args: argparse.Namespace) -> None:
    with store.open() as state:
        state["user"] = None


def _profile(store: Store, args: argparse.Namespace) -> None:
    state = store.read()
    if args.format_type == "json":
        who = {"username": state["user"], "email_notification": False, "slack_notification": False}
        profile = {**who, "pool": state["default_pool"]}
        dump({"profile": profile, "roles": [], "pools": [], "token": None})
        return
    out(f"user:\n  name: {state['user']}\n  email: {state['user']}")
    out("notifications:\n  email: False\n  slack: False")
    out(f"pool:\n  default: {state['default_pool']}\n  accessible:\nroles:")


def _profile_set(store: Store, args: argparse.Namespace) -> None:
    with store.open() as state:
        if args.setting == "pool":
            state["default_pool"] = args.value
    out("Profile Set")


def _pool_list(store: Store, args: argparse.Namespace) -> None:
    pools = store.read()["pools"]
    if args.format_type == "json":
        sums = _sums(pools)
        node_sets = [{"pools": [_pool(each) for each in pools]}]
        dump({"node_sets": node_sets, "resource_sum": sums}, indent=4)
        return
    free = args.mode == "free"
    figures = (
        ("Quota Free", "Total Free")
        if free
        else ("Quota Used", "Quota Limit", "Total Usage", "Total Capacity")
    )
    rows, sums = [], [0] * len(figures)
    for each in sorted(pools, key=lambda one: one["name"]):
        quota, total = each["quota"], each["total"]
        numbers = (
            [quota["free"], total["free"]]
            if free
            else [quota["used"], quota["limit"], total["usage"], total["capacity"]]
        )
        shared = [
            " (shared)" if each["shared"] and at == len(numbers) - 1 else "" for at in range(len(numbers))
        ]
        rows.append(
            (
                each["name"],
                each["description"],
                each["status"],
                *(f"{n}{s}" for n, s in zip(numbers, shared, strict=True)),
            )
        )
        quotas = len(numbers) // 2
        counted = [n if at < quotas or not each["shared"] else 0 for at, n in enumerate(numbers)]
        sums = [one + more for one, more in zip(sums, counted, strict=True)]
    out("\n".join(pool_table(rows, figures, [str(each) for each in sums])))


def _pool(each: dict[str, Any]) -> dict[str, Any]:
    timeouts = ("default_exec_timeout", "default_queue_timeout", "max_exec_timeout", "max_queue_timeout")
    return {
        "name": each["name"],
        "description": each["description"],
        "status": each["status"],
        "download_type": None,
        "enable_maintenance": False,
        "backend": each["backend"],
        "default_platform": each["default_platform"],
        **dict.fromkeys(timeouts, each["timeout"]),
        "default_exit_actions": {},
        "resources": {"gpu": each["guarantee"]},
        "topology_keys": [],
        "platforms": {
            name: {**PLATFORM, "description": description} for name, description in each["platforms"].items()
        },
        "resource_usage": _sums([each]),
    }


def _sums(pools: list[dict[str, Any]]) -> dict[str, str]:
    own = [each for each in pools if not each["shared"] or len(pools) == 1]
    return {
        "quota_used": str(sum(each["quota"]["used"] for each in pools)),
        "quota_free": str(sum(each["quota"]["free"] for each in pools)),
        "quota_limit": str(sum(each["quota"]["limit"] for each in pools)),
        "total_usage": str(sum(each["total"]["usage"] for each in own)),
        "total_capacity": str(sum(each["total"]["capacity"] for each in own)),
        "total_free": str(sum(each["total"]["free"] for each in own)),
    }


def _resources(store: Store, args: argparse.Namespace) -> None:
    pools = {each["name"]: each for each in store.read()["pools"]}
    for name in args.pool or []:
        if name not in pools:
            raise Refused(f"Pool {name} does not exist!", code=1)
    headings = ("Node", "Pool", "Platform", "Type", "Storage [Gi]", "CPU [#]", "Memory [Gi]", "GPU [#]")
    figures = ("0/1999", "0/127", "0/1023", "0/8")
    chosen = [pools[name] for name in args.pool or [store.read()["default_pool"]]]
    places = [(each["name"], platform) for each in chosen for platform in each["platforms"]]
    rows = [
        ("lab-h100-0" if not at else "", name, platform, "SHARED" if not at else "", *figures)
        for at, (name, platform) in enumerate(places)
    ]
    lines = table(headings, rows)
    out("\n".join([*lines, lines[1]]))


def _config(store: Store, args: argparse.Namespace) -> None:
    kind = args.kind.partition(":")[0]
    if kind not in CONFIG_TYPES.split(", "):
        raise Refused(f'Invalid config type "{kind}". Available types: {CONFIG_TYPES}', code=1)
    dump(store.read()["pod_templates"] if kind == "POD_TEMPLATE" else {})


def _credential_list(store: Store, args: argparse.Namespace) -> None:
    order = {"REGISTRY": 1, "GENERIC": 2, "DATA": 0}
    stored = sorted(store.read()["credentials"], key=lambda each: (order[each["type"]], each["name"]))
    if args.format_type == "json":
        listed = [
            {"cred_name": each["name"], "cred_type": each["type"], "profile": each["profile"]}
            for each in stored
        ]
        dump({"credentials": listed})
        return
    rows = [
        (each["name"], each["type"], str(each["profile"]), "N/A" if each["type"] != "DATA" else each["local"])
        for each in stored
    ]
    out("\n".join([*table(("Name", "Type", "Profile", "Local"), rows), ""]))


def _credential_set(store: Store, args: argparse.Namespace) -> None:
    payload = _payload(args)
    if not payload or not all(payload) or not all(payload.values()):
        out("Error: Please provide non-empty keys and values.")
        return
    profile = _profile_of(args.type, payload)
    with store.open() as state:
        stored = state["credentials"]
        same = [each for each in stored if profile is not None and each["profile"] == profile]
        kept = [each for each in stored if each not in same]
        if any(each["name"] == args.name for each in kept):
            raise Refused(
                ' duplicate key value violates unique constraint "credential_pkey"\n'
                f"DETAIL:  Key (user_name, cred_name)=({state['user']}, {args.name}) already exists.\n"
            )
        if any(value == "refuse-me" for value in payload.values()):
            raise Refused("Registry authentication failed: the lab refuses this key.")
        new = {"name": args.name, "type": args.type, "profile": profile, "local": "Yes", "payload": payload}
        state["credentials"] = [*kept, new]
    out(f"Set {args.type} credential {args.name}.")


def _payload(args: argparse.Namespace) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in args.payload or args.payload_file]
    if args.payload:
        return {key: value for key, _, value in pairs}
    payload = {}
    for key, _, path in pairs:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as short as it gets
            payload[key] = file.read().rstrip("\n")
    return payload


def _profile_of(kind: str, payload: dict[str, str]) -> str | None:
    if kind == "GENERIC":
        return None
    if kind == "REGISTRY":
        host = payload.get("registry", "docker.io")
        return "registry-1.docker.io" if host == "docker.io" else host
    extra = next((key for key in payload if key not in DATA_KEYS), None)
    if extra:
        raise Refused(
            f"Invalid DATA credential: 1 validation error for StaticDataCredential\n{extra}\n  Extra inputs "
            f"are not permitted [type=extra_forbidden, input_value='{payload[extra]}', input_type=str]\n"
            "    For further information visit https://errors.pydantic.dev/2.12/v/extra_forbidden",
            code=1,
        )
    return payload["endpoint"].rstrip("/")


def _credential_delete(store: Store, args: argparse.Namespace) -> None:
    with store.open() as state:
        kept = [each for each in state["credentials"] if each["name"] != args.name]
        if len(kept) == len(state["credentials"]):
            raise Refused(f"Credential {args.name} does not exits")
        state["credentials"] = kept
    out(f"Deleted credential {args.name}.")


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="osmo")
    parser.add_argument("--log-level")
    modules = parser.add_subparsers(dest="module", required=True)
    _command(modules, "version", _version, takes=("version",))
    login = _command(modules, "login", _login, json=False)
    login.add_argument("url")
    login.add_argument("--method")
    login.add_argument("--username")
    _command(modules, "logout", _logout, json=False)
    _add_profile(modules)
    pools = modules.add_parser("pool").add_subparsers(dest="command", required=True)
    _command(pools, "list", _pool_list).add_argument("--mode", "-m", default="used")
    resources = modules.add_parser("resource").add_subparsers(dest="command", required=True)
    _command(resources, "list", _resources).add_argument("--pool", "-p", nargs="+")
    config = modules.add_parser("config").add_subparsers(dest="command", required=True)
    _command(config, "show", _config, json=False).add_argument("kind")
    _add_credential(modules)
    if len(sys.argv) > 1 and sys.argv[1] == "workflow":
        _add_workflow(modules, version)
    else:
        modules.add_parser("workflow")
    _add_data(modules)
    return parser


def _add_profile(modules: Any) -> None:
    commands = modules.add_parser("profile").add_subparsers(dest="command", required=True)
    _command(commands, "list", _profile)
    setting = _command(commands, "set", _profile_set, json=False)
    setting.add_argument("setting")
    setting.add_argument("value")


def _add_credential(modules: Any) -> None:
    credential = modules.add_parser("credential")
    credential.add_argument("--format-type", choices=("json", "text"), default="text")
    commands = credential.add_subparsers(dest="command", required=True)
    _command(commands, "list", _credential_list, json=False)
    _command(commands, "delete", _credential_delete, json=False).add_argument("name")
    setting = _command(commands, "set", _credential_set, json=False)
    setting.add_argument("name")
    setting.add_argument("--type", choices=("REGISTRY", "DATA", "GENERIC"), default="GENERIC")
    either = setting.add_mutually_exclusive_group(required=True)
    either.add_argument("--payload", nargs="+")
    either.add_argument("--payload-file", nargs="+")


def _add_workflow(modules: Any, version: str) -> None:
    import mock_workflows as workflows

    commands = modules.add_parser("workflow").add_subparsers(dest="command", required=True)
    for name, run in (("submit", workflows.submit), ("validate", workflows.validate)):
        command = _command(commands, name, run, takes=("version",), json=name == "submit")
        command.add_argument("workflow_file")
        how = "store" if version == "6.3.1" else "extend"
        command.add_argument("--set", nargs="+", action=how)
        command.add_argument("--set-string", nargs="+", action=how)
        command.add_argument("--pool", "-p")
        command.add_argument("--priority", choices=("HIGH", "NORMAL", "LOW"), type=str.upper)
        command.add_argument("--dry-run", action="store_true")
    query = _command(commands, "query", workflows.query)
    query.add_argument("workflow_id")
    query.add_argument("--verbose", "-v", action="store_true")
    listing = _command(commands, "list", workflows.listing)
    listing.add_argument("--count", "-c", type=int, default=20)
    listing.add_argument("--name", "-n")
    listing.add_argument("--status", "-s", nargs="+")
    spec = _command(commands, "spec", workflows.spec, json=False)
    spec.add_argument("workflow_id")
    spec.add_argument("--template", action="store_true")
    logs = _command(commands, "logs", workflows.logs, json=False)
    logs.add_argument("workflow_id")
    logs.add_argument("--task", "-t")
    logs.add_argument("--error", action="store_true")
    logs.add_argument("-n", type=int, default=0)
    cancel = _command(commands, "cancel", workflows.cancel)
    cancel.add_argument("workflow_id", nargs="+")
    cancel.add_argument("--message", "-m")
    cancel.add_argument("--force", "-f", action="store_true")


def _add_data(modules: Any) -> None:
    import mock_data as data

    commands = modules.add_parser("data").add_subparsers(dest="command", required=True)
    listing = _command(commands, "list", data.listing, json=False)
    listing.add_argument("--regex", "-x")
    listing.add_argument("--prefix", "-p")
    listing.add_argument("--recursive", "-r", action="store_true")
    listing.add_argument("--no-pager", action="store_true")
    listing.add_argument("remote_uri", type=data.uri)
    upload = _command(commands, "upload", data.upload, takes=("fault",), json=False)
    upload.add_argument("remote_uri", type=data.uri)
    upload.add_argument("local_path", nargs="+")
    download = _command(commands, "download", data.download, takes=("fault",), json=False)
    download.add_argument("--regex", "-x")
    download.add_argument("--resume", "-r", action="store_true")
    download.add_argument("remote_uri", type=data.uri)
    download.add_argument("local_path")
    for name, run in (("delete", data.delete), ("check", data.check)):
        _command(commands, name, run, json=False).add_argument("remote_uri", type=data.uri)


def _command(
    commands: Any, name: str, run: Callable[..., Any], *, takes: tuple[str, ...] = (), json: bool = True
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name)
    command.set_defaults(run=run, takes=takes)
    if json:
        command.add_argument("--format-type", "-t", choices=("json", "text"), default="text")
    return command
