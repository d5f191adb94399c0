"""`osmo data` over folders: `s3://bucket/key` is the file `storage/s3/bucket/key`."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import sys
from argparse import Namespace
from pathlib import Path
from urllib.parse import urlsplit

from mock_state import Store
from mock_text import Refused, bar, err, out

DEPTH = {"s3": 1, "gs": 1, "azure": 2, "swift": 3, "tos": 2}
AMBIENT = ("s3", "azure")


def uri(text: str) -> str:
    """Accept a storage path, as the CLI's argument parser does."""
    parts = urlsplit(text)
    path = [part for part in text.partition("://")[2].split("/") if part]
    if parts.scheme not in DEPTH or len(path) < DEPTH[parts.scheme] or re.search(r"[,;*]", text):
        raise ValueError(text)
    return text


def place(store: Store, url: str) -> tuple[Path, str]:
    """Return the folder of a URL's bucket or container, and the key below it."""
    scheme, _, rest = url.partition("://")
    path = [part for part in rest.split("/") if part]
    depth = DEPTH[scheme]
    bucket = store.buckets.joinpath(scheme, *path[:depth])
    if scheme not in AMBIENT:
        _expect_credential(
            store, f"{scheme}://{'/'.join(path[: max(depth - 1, 1) if scheme == 'swift' else depth])}"
        )
    if not bucket.is_dir():
        for left in (3, 2, 1):
            err(
                "Unknown error: An error occurred (NoSuchBucket) when calling the GetBucketLocation "
                f"operation: The specified bucket does not exist. Retrying {left} more times. Request ID: X"
            )
        raise Refused(
            "NoSuchBucket: An error occurred (NoSuchBucket) when calling the GetBucketLocation operation: "
            "The specified bucket does not exist",
            code=1,
        )
    return bucket, "/".join(path[depth:])


def _expect_credential(store: Store, profile: str) -> None:
    if not any(each["profile"] == profile for each in store.read()["credentials"]):
        raise Refused(
            f"Data credential not found for {profile}. Check if the credential is set locally with "
            "`osmo credential list`. If you are on a new machine, you will need to re-run "
            "`osmo credential set` to store the credential locally.",
            code=1,
        )


def listing(store: Store, args: Namespace) -> None:
    """Do `data list`."""
    bucket, prefix = place(store, args.remote_uri)
    prefix = "/".join(filter(None, (prefix, (args.prefix or "").strip("/"))))
    base = f"{prefix}/" if prefix else ""
    keys = [key for key in _keys(bucket) if key.startswith(base)]
    found = [key for key in keys if not args.regex or re.match(args.regex, key[len(base) :])]
    if not args.recursive:
        found = sorted({base + _first_level(key[len(base) :]) for key in found})
    if not keys:
        err(f"No entries found for prefix: {base}")
    elif not found:
        err(f"No entries matched regex {args.regex}")
    if os.environ.get("MOCK_OSMO_LIST_SHORT") and found:
        sys.stdout.write("\n".join(found[:1]) + "\n")
        return
    out("\n".join([*found, "", f"Total {len(found)} objects found"]))


def upload(store: Store, args: Namespace, fault: str) -> None:
    """Do `data upload`; with the fault `partial` every second file is left out, silently."""
    bucket, prefix = place(store, args.remote_uri)
    err("")
    files: list[tuple[Path, str]] = []
    missing = []
    for pattern in args.local_path:
        matched = sorted(glob.glob(pattern)) or [pattern]  # noqa: PTH207 - patterns are absolute
        for name in matched:
            path = Path(name)
            if not path.exists():
                missing.append(name)
            elif path.is_dir():
                files += [
                    (each, f"{path.name}/{each.relative_to(path).as_posix()}")
                    for each in sorted(path.rglob("*"))
                    if each.is_file()
                ]
            else:
                files.append((path, path.name))
    sent = files[::2] if fault == "partial" else files
    total = sum(path.stat().st_size for path, _ in sent)
    done = 0
    for path, key in sent:
        target = bucket / prefix / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        done += path.stat().st_size
        sys.stderr.write(bar(done, total, str(path)))
    err("\nData has been uploaded" if sent else "0.00B [00:01, ?B/s]\nData has been uploaded")
    if missing:
        err("Upload Failed on files:")
    for name in missing:
        err(f"{name}: cannot be accessed by OSMO, skipping: [Errno 2] No such file or directory: '{name}'")


def download(store: Store, args: Namespace, fault: str) -> None:
    """Do `data download`.

    Faults: `partial` leaves every second file out, `half_file` dies in the middle of the last one, and
    `short_file` leaves the last one short; the exit code of the first and last is 0.
    """
    bucket, prefix = place(store, args.remote_uri)
    if not Path(args.local_path).is_dir():
        raise FileNotFoundError(2, "No such file or directory", args.local_path)
    base = f"{prefix}/" if prefix else ""
    wanted = [(key, key[len(base) :]) for key in _keys(bucket) if key.startswith(base)]
    if not wanted and prefix and (bucket / prefix).is_file():
        wanted = [(prefix, prefix.rpartition("/")[2])]
    wanted = [(key, name) for key, name in wanted if not args.regex or re.match(args.regex, name)]
    total = sum((bucket / key).stat().st_size for key, _ in wanted)
    if not wanted:
        err(f"No entries found for prefix: {prefix}{'/' if args.remote_uri.endswith('/') else ''}")
        err("\n0.00B [00:00, ?B/s]\nData has been downloaded")
        return
    err("")
    done = 0
    for number, (key, name) in enumerate(wanted):
        content = (bucket / key).read_bytes()
        target = Path(args.local_path) / name
        if fault == "partial" and number % 2:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if args.resume and target.is_file() and target.read_bytes() == content:
            with (store.folder / "resumed").open("a") as resumed:
                resumed.write(f"{name}\n")
        elif fault in {"half_file", "short_file"} and number == len(wanted) - 1:
            target.write_bytes(content[: len(content) // 2])
            if fault == "half_file":
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        else:
            target.write_bytes(content)
        done += len(content)
        sys.stderr.write(bar(done, total, key))
    err("\nData has been downloaded")


def delete(store: Store, args: Namespace) -> None:
    """Do `data delete`."""
    bucket, prefix = place(store, args.remote_uri)
    keys = [key for key in _keys(bucket) if key.startswith(f"{prefix}/") or key == prefix]
    for key in keys:
        (bucket / key).unlink()
    if not keys:
        err(f"No entries found for prefix: {prefix}")
    err(f"Data has been deleted, success_count={len(keys)}, failures=0")


def check(store: Store, args: Namespace) -> None:
    """Do `data check`."""
    try:
        place(store, args.remote_uri)
    except Refused as refused:
        out(json.dumps({"status": "fail", "error": refused.message}))
    else:
        out(json.dumps({"status": "pass"}))


def _keys(bucket: Path) -> list[str]:
    return sorted(each.relative_to(bucket).as_posix() for each in bucket.rglob("*") if each.is_file())


def _first_level(key: str) -> str:
    first, slash, _ = key.partition("/")
    return first + slash
