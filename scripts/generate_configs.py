#!/usr/bin/env python3
"""Write a run's configurations: one file for each variant of each clip, the manifest, the environment.

Runs inside the setup task, in a plain container or on the embedded engine, and needs PyYAML alone.
A variant's values depend on the clip's name, the variant's index and the seed, and on nothing else: more
clips, other clips or another order change no other clip's values, and more variants none before them.

Written below --output:
  configs/<clip>_aug<k>.yaml  the cookbook's augmentation.yaml with the variant's values merged over it
  configs/manifest.yaml       configs: [{video, video_name, aug_idx, config, sampled_vars}], total
  cookbook/                   the cookbook's files that the flow's tasks read
  .env, runtime.env           the same lines; an upload of `*` leaves a dot file behind

A flow without augmentation gets a manifest with no configs and total 0; its clips are VDA_VIDEOS.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import itertools
import math
import os
import random
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

FLOWS = ("auto_labeling", "augmentation_and_al", "e2e", "e2e_super_resolution")
SURFACES = ("dry", "wet", "puddles", "flooding", "snow", "sand")
VOCABULARY = {
    "weather": ("clear", "overcast", "rain", "fog", "snow"),
    "time_of_day": (
        "sunrise",
        "morning",
        "midday",
        "afternoon",
        "golden_hour",
        "evening",
        "sunset",
        "twilight",
        "blue_hour",
        "night",
    ),
    "lighting": ("bright", "moderate", "dim"),
    "surface_condition": SURFACES,
    "surface": SURFACES,
    "road": SURFACES,
}
CLUSTER_ENDPOINTS = {
    "vlm": ("http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1", "Qwen3-VL-30B-A3B-Instruct"),
    "llm": ("http://qwen25-14b.osmo-nims.svc.cluster.local:8000/v1", "Qwen2.5-14B-Instruct"),
}
STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Values = dict[str, str]
Weights = Mapping[str, Mapping[str, float]]


class Mistake(Exception):
    """A wrong argument or file; nothing was written."""


@dataclass(frozen=True)
class Request:
    """What is to be written, checked."""

    cookbook: Path
    output: Path
    flow: str
    videos: tuple[str, ...]
    n_augmentations: int
    variables: Weights
    seed: int
    environment: Mapping[str, str]


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Return 0 when all is written, 2 when an argument or a file of the cookbook is wrong."""
    options = parser(environ).parse_args(arguments)
    try:
        request = checked(options, environ)
        entries = write(request)
    except (Mistake, OSError, yaml.YAMLError) as error:
        sys.stderr.write(f"generate_configs: {error}\n")
        return 2
    sys.stdout.write(f"{len(request.videos)} clip(s), {len(entries)} variant(s) to make\n")
    for entry in entries:
        drawn = ", ".join(f"{name}: {value}" for name, value in entry["sampled_vars"].items())
        sys.stdout.write(f"  {entry['video_name']}_aug{entry['aug_idx']}: {drawn}\n")
    return 0


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Describe the options; a task gives most of them through its environment."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--cookbook", required=True, type=Path, help="the cookbook's folder")
    options.add_argument("--output", required=True, type=Path, help="the task's output folder")
    options.add_argument("--videos", default=environ.get("VIDEO_NAME", ""), help="stems, a,b,c [VIDEO_NAME]")
    options.add_argument(
        "--flow", default=environ.get("VDA_FLOW", "augmentation_and_al"), choices=FLOWS, help="[VDA_FLOW]"
    )
    options.add_argument(
        "--n-augmentations",
        default=environ.get("N_AUGMENTATIONS", ""),
        help="variants of each clip; empty: the cookbook's [N_AUGMENTATIONS]",
    )
    options.add_argument(
        "--set",
        action="append",
        default=[environ.get("VARIABLES", "")],
        metavar="NAME:VALUE",
        help="fix a variable; several with + between them or by repeating [VARIABLES]",
    )
    for kind in CLUSTER_ENDPOINTS:
        name = f"{kind.upper()}_URL"
        options.add_argument(
            f"--{kind}-url",
            default=environ.get(name, ""),
            help=f"the {kind.upper()}'s URL; none: do without; empty: the cluster's own [{name}]",
        )
    options.add_argument("--seed", type=int, default=42)
    return options


def checked(options: argparse.Namespace, environ: Mapping[str, str]) -> Request:
    """Check every option and the cookbook, before anything is written."""
    videos = tuple(part for part in options.videos.split(",") if part)
    variables, n_augmentations = read_cookbook(options.cookbook)
    if options.n_augmentations:
        n_augmentations = positive(options.n_augmentations, "--n-augmentations")
    if not videos:
        raise Mistake("--videos names no clip; expected stems such as crossing_01,crossing_02")
    for video in videos:
        if not STEM.fullmatch(video) or video.endswith(".mp4"):
            raise Mistake(f"{video!r} is no clip's stem; expected letters, digits and . _ - without .mp4")
    if len(set(videos)) < len(videos):
        raise Mistake(f"--videos names a clip twice: {options.videos}")
    fixed = fixed_variables(options.set)
    urls = {kind: getattr(options, f"{kind}_url") for kind in CLUSTER_ENDPOINTS}
    return Request(
        options.cookbook,
        options.output,
        options.flow,
        videos,
        n_augmentations,
        {**variables, **{name: {value: 1.0} for name, value in fixed.items()}},
        options.seed,
        worker_environment(options.flow, videos, urls, in_cluster="VDA_ROOT" not in environ),
    )


def read_cookbook(cookbook: Path) -> tuple[Weights, int]:
    """Return the weights of every value by variable, and how many variants a clip gets."""
    path = cookbook / "workflow_config.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    augmentation = document.get("augmentation") if isinstance(document, dict) else None
    variables = augmentation.get("variables") if isinstance(augmentation, dict) else None
    if not isinstance(variables, dict) or not all(
        isinstance(weights, dict) for weights in variables.values()
    ):
        raise Mistake(
            f"{path}: expected augmentation.n_augmentations and augmentation.variables.NAME.VALUE, a weight"
        )
    for name, weights in variables.items():
        for value in weights:
            check_value(name, str(value), str(path))
        total = sum(weights.values())
        if not math.isclose(total, 1, abs_tol=1e-6) or any(weight < 0 for weight in weights.values()):
            raise Mistake(f"{path}: the weights of {name} sum to {total:g}; expected 1, none below 0")
    return variables, positive(augmentation.get("n_augmentations", 1), f"{path}: n_augmentations")


def positive(text: object, what: str) -> int:
    """Read a whole number of at least 1."""
    if str(text).isdecimal() and int(str(text)) >= 1:
        return int(str(text))
    raise Mistake(f"{what} is {text!r}; expected a whole number of at least 1")


def fixed_variables(given: Iterable[str]) -> Values:
    """Read `name:value`, several with `+` between them."""
    fixed: Values = {}
    for part in itertools.chain.from_iterable(text.split("+") for text in given):
        if not part.strip():
            continue
        name, found, value = (piece.strip() for piece in part.partition(":"))
        if not found:
            raise Mistake(f"--set {part!r}: expected NAME:VALUE")
        check_value(name, value, "--set")
        if fixed.get(name, value) != value:
            raise Mistake(f"--set: {name} is fixed to both {fixed[name]} and {value}")
        fixed[name] = value
    return fixed


def check_value(name: str, value: str, where: str) -> None:
    """Refuse a variable or a value that can't be rendered, with the nearest one that can."""
    for word, known, what in (
        (name, VOCABULARY, "variable"),
        (value, VOCABULARY.get(name, ()), f"{name} value"),
    ):
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise Mistake(f"{where}: unknown {what} {word!r}; {hint}known are {', '.join(known)}")


def seed_of(seed: int, video: str, index: int) -> int:
    """Return a variant's own seed: 31 bits of SHA-256 over `seed:video:index`."""
    digest = hashlib.sha256(f"{seed}:{video}:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def sample(variables: Weights, video: str, count: int, seed: int) -> list[Values]:
    """Draw a clip's variants by weight; no combination comes twice before all have come once."""
    names = list(variables)
    combinations = {
        values: math.prod(variables[name][value] for name, value in zip(names, values, strict=True))
        for values in itertools.product(*(variables[name] for name in names))
    }
    possible = {values: weight for values, weight in combinations.items() if weight > 0}
    left: dict[tuple[str, ...], float] = {}
    drawn = []
    for index in range(count):
        left = left or dict(possible)
        chance = random.Random(seed_of(seed, video, index))  # noqa: S311 - sampling, nothing secret
        (values,) = chance.choices(list(left), weights=list(left.values()))
        del left[values]
        drawn.append(dict(zip(names, values, strict=True)))
    return drawn


def worker_environment(
    flow: str, videos: Sequence[str], urls: Mapping[str, str], *, in_cluster: bool
) -> dict[str, str]:
    """Return what the workers read; endpoints default to the cluster's own, outside of one to none."""
    endpoints = {}
    for kind, (cluster_url, cluster_model) in CLUSTER_ENDPOINTS.items():
        given = "" if urls[kind] == "none" else urls[kind]
        default = cluster_url if in_cluster and not urls[kind] else ""
        endpoints[kind] = (given or default, cluster_model if (given or default) == cluster_url else "")
    return {
        "ACCEPT_EULA": "Y",
        "WAIT_FOR_VLM": str(bool(endpoints["vlm"][0])).lower(),
        "WAIT_FOR_LLM": str(bool(endpoints["llm"][0])).lower(),
        "VLM_URL": endpoints["vlm"][0],
        "LLM_URL": endpoints["llm"][0],
        "VLM_MODEL": endpoints["vlm"][1],
        "LLM_MODEL_STATIC": endpoints["llm"][1],
        "SUPER_RESOLUTION_ENABLED": str(flow == "e2e_super_resolution").lower(),
        "VDA_FLOW": flow,
        "VDA_VIDEOS": ",".join(videos),
    }


def write(request: Request) -> list[dict]:
    """Write everything; the manifest comes last, so that it is there only when all it names is."""
    entries = [] if request.flow == "auto_labeling" else variants(request)
    base = read_augmentation(request.cookbook) if entries else {}
    configs = request.output / "configs"
    configs.mkdir(parents=True, exist_ok=True)
    if request.cookbook.resolve() != (request.output / "cookbook").resolve():
        shutil.copytree(request.cookbook, request.output / "cookbook", dirs_exist_ok=True)
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in request.environment.items())
    for name in (".env", "runtime.env"):
        write_file(request.output / name, lines)
    for entry in entries:
        write_yaml(configs / entry["config"], variant_config(request, base, entry))
    write_yaml(configs / "manifest.yaml", {"configs": entries, "total": len(entries)})
    return entries


def variants(request: Request) -> list[dict]:
    """List the manifest's entries: clips in the order given, then by index."""
    return [
        {
            "video": f"{video}.mp4",
            "video_name": video,
            "aug_idx": index,
            "config": f"{video}_aug{index}.yaml",
            "sampled_vars": values,
        }
        for video in request.videos
        for index, values in enumerate(
            sample(request.variables, video, request.n_augmentations, request.seed)
        )
    ]


def read_augmentation(cookbook: Path) -> dict:
    """Return the cookbook's augmentation.yaml without sampled values: one that isn't drawn isn't set."""
    path = cookbook / "augmentation" / "augmentation.yaml"
    base = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(base, dict):
        raise Mistake(f"{path} is no mapping")
    augmentation = {k: v for k, v in (base.get("augmentation") or {}).items() if k != "sampled_vars"}
    return {**base, "augmentation": augmentation}


def variant_config(request: Request, base: Mapping, entry: Mapping) -> dict:
    """Merge a variant's own values over the cookbook's."""
    environment = request.environment
    own = {
        "data": {"video_name": entry["video_name"]},
        "augmentation": {
            "seed": seed_of(request.seed, entry["video_name"], entry["aug_idx"]),
            "aug_idx": entry["aug_idx"],
            "sampled_vars": dict(entry["sampled_vars"]),
        },
        "endpoints": {
            "vlm": {"url": environment["VLM_URL"], "model": environment["VLM_MODEL"]},
            "llm": {"url": environment["LLM_URL"], "model": environment["LLM_MODEL_STATIC"]},
        },
    }
    return merged(base, own)


def merged(base: Mapping, own: Mapping) -> dict:
    """Return `base` with `own` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def write_yaml(path: Path, document: Mapping) -> None:
    """Write YAML with the keys in their order."""
    write_file(path, yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True))


def write_file(path: Path, text: str) -> None:
    """Write a file so that nobody sees half of it."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
