"""What of this machine's environment a task sees: names on a list, never all but a few.

Secrets stay outside by not being on it. The keys of inference endpoints pass when, and only when, the
submit names an endpoint.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from skill_tools.settings import PACKAGE_ROOT

INHERITED = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE"),
        *("XDG_CACHE_HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OMP_NUM_THREADS"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
INHERITED_PREFIX = "LC_"

_SHARED_KEYS = ("OPENAI_API_KEY", "NVIDIA_API_KEY", "NGC_CLI_API_KEY")
ENDPOINT_KEYS: Mapping[str, tuple[str, ...]] = {
    "vlm_url": ("VLM_API_KEY", *_SHARED_KEYS),
    "llm_url": ("LLM_API_KEY", *_SHARED_KEYS),
}
"""Submit value that names an endpoint, to the keys that a request to it may need."""

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def host_environment(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return what of the host's environment a workflow with these submit values may see."""
    passed = {
        name: value
        for name, value in environ.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIX)
    }
    return {**passed, "PATH": environ.get("PATH", _SYSTEM_PATH), **endpoint_keys(environ, values)}


def endpoint_keys(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of the endpoints that the submit names."""
    wanted = {name for value, names in ENDPOINT_KEYS.items() if values.get(value) for name in names}
    return {name: environ[name] for name in sorted(wanted) if environ.get(name)}


def worker_environment(python: Path, skill_dir: Path, path: str) -> dict[str, str]:
    """Return the variables by which a task finds this interpreter, the workers and their models.

    Args:
        python: the interpreter that runs the workers; its folder comes first in PATH.
        skill_dir: the folder that holds `assets`.
        path: the host's PATH.
    """
    return {
        "PATH": os.pathsep.join([str(python.parent), path]),
        "PYTHONPATH": str(PACKAGE_ROOT),
        "PYTHONUNBUFFERED": "1",
        # NumPy's algebra would start a thread a core, each of which spins for a tenth of a second while
        # codecs load; none of the workers multiplies matrices that would be worth one.
        "OPENBLAS_NUM_THREADS": "1",
        "VDA_AUGMENTATION_CLI": f"{python}\n-m\nskill_tools.workers.augmentation",
        "VDA_LABELING_CLI": f"{python}\n-m\nskill_tools.workers.labeling",
        "VDA_MODELS_DIR": str(skill_dir / "assets" / "models"),
    }
