"""Find the secrets that a run may use, and keep them out of everything that is shown."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus

HF_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
NGC_VARIABLES = ("NGC_API_KEY", "NGC_CLI_API_KEY")
BORROWED_VARIABLES = ("NVIDIA_API_KEY", "OPENAI_API_KEY", "VLM_API_KEY", "LLM_API_KEY")
"""Keys for other things, which count as NGC keys when they look like one."""
NGC_PREFIX = "nvapi-"
HF_PREFIX = "hf_"

MASK = "***"
SHORTEST = 6
"""A shorter value is no secret; masking it would tear words apart."""

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|PAT|API_?KEY|SECRET|SECRET_(?:ACCESS_)?KEY|ACCESS_KEY|PASSWORD|PASSWD|CONNECTION_STRING)$"
)
_SHAPES = (rf"{NGC_PREFIX}[A-Za-z0-9_-]{{16,}}", rf"\b{HF_PREFIX}[A-Za-z0-9]{{24,}}")
_SCHEME = re.compile(r"^(?:authorization\s*:\s*)?(?:bearer|basic)\s+", re.IGNORECASE)
_ESCAPE = re.compile("%[0-9A-F]{2}")
_BASE64_CORE = 8
"""A shorter piece of base64 may be something else."""


class Secret:
    """A value that shows itself only to `reveal`; `source` names the variable or file that it is from."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        """Return everything but the value."""
        return f"Secret({MASK}, from {self.source})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Tell whether both hold the same value."""
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        """Hash by value."""
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: a pickle would carry the value."""
        raise TypeError("a Secret isn't written anywhere")


def hugging_face_token(environ: Mapping[str, str]) -> Secret | None:
    """Return the Hugging Face token: from the environment, else from the hub client's token file."""
    named = _first(environ, HF_VARIABLES)
    if named is not None:
        return named
    file = hugging_face_token_file(environ)
    with suppress(OSError, UnicodeDecodeError):
        value = file.read_text(encoding="utf-8").strip()
        return Secret(value, str(file)) if value else None
    return None


def hugging_face_token_file(environ: Mapping[str, str]) -> Path:
    """Return where the hub's own client keeps its token."""
    if environ.get("HF_TOKEN_PATH"):
        return Path(environ["HF_TOKEN_PATH"]).expanduser()
    home = Path(environ.get("HOME") or Path.home())
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return Path(environ.get("HF_HOME") or cache / "huggingface").expanduser() / "token"


def ngc_key(environ: Mapping[str, str]) -> Secret | None:
    """Return the NGC key: a value with `nvapi-` wherever it is, else what the NGC variables hold."""
    for name in (*NGC_VARIABLES, *BORROWED_VARIABLES):
        value = environ.get(name, "").strip()
        if value.startswith(NGC_PREFIX):
            return Secret(value, name)
    return _first(environ, NGC_VARIABLES)


def known_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return all values that must not be shown: of variables with a secret's name, and the token file's."""
    named = (value.strip() for name, value in environ.items() if _SECRET_NAME.search(name.upper()))
    token = hugging_face_token(environ)
    values = [*named, *([token.reveal()] if token else [])]
    bare = [_SCHEME.sub("", value) for value in values]
    return tuple(sorted({value for value in (*values, *bare) if len(value) >= SHORTEST}))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in a text: as it is, in a URL, in JSON, in base64 (a Basic header too).

    Values that look like an NGC key or a Hugging Face token are replaced though nobody named them.
    """
    signs, pattern = _sought(frozenset(secrets))
    # Nearly every text holds no secret, and a plain search is far quicker than the pattern's.
    return pattern.sub(MASK, text) if any(sign in text for sign in signs) else text


@lru_cache(maxsize=64)
def _sought(secrets: frozenset[str]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the pieces one of which stands in every text with a secret, and the pattern of the secrets."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = re.compile("|".join([*map(re.escape, longest_first), *_SHAPES]))
    return (*longest_first, NGC_PREFIX, HF_PREFIX), pattern


def _forms(secret: str) -> Iterable[str]:
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (quoted, _ESCAPE.sub(lambda escape: escape[0].lower(), quoted))
    for ascii_only in (True, False):
        in_json = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        # Once more for JSON that stands as a text in JSON.
        yield from (secret, in_json, json.dumps(in_json)[1:-1])
    raw = secret.encode()
    for shift in range(3):
        core = _base64_core(raw, shift)
        if len(core) >= _BASE64_CORE:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))


def _base64_core(raw: bytes, shift: int) -> str:
    """Return the part of the base64 of `raw`, `shift` bytes after a boundary, that no neighbour changes."""
    encoded = base64.b64encode(b"\0" * shift + raw).decode()
    first = (shift * 8 + 5) // 6
    last = (shift + len(raw)) * 8 // 6
    return encoded[first:last]


def _first(environ: Mapping[str, str], names: Iterable[str]) -> Secret | None:
    values = ((environ.get(name, "").strip(), name) for name in names)
    return next((Secret(value, name) for value, name in values if value), None)
