"""Secrets: where they come from, and that they never show."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as some

from skill_tools.access.secrets import Secret, hugging_face_token, known_secrets, mask, ngc_key

TOKEN = "hf_made-up/token+1="  # noqa: S105 - made up


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": "other"}, "HF_TOKEN"),
        ({"HF_TOKEN": "  ", "HUGGING_FACE_HUB_TOKEN": f" {TOKEN}\n"}, "HUGGING_FACE_HUB_TOKEN"),
    ],
)
def test_hugging_face_token_comes_from_the_environment_first(environ: dict[str, str], source: str) -> None:
    """The variables come in their order; blanks count as nothing."""
    found = hugging_face_token(environ)
    assert found is not None
    assert (found.reveal(), found.source) == (TOKEN, source)


@pytest.mark.parametrize(
    ("variable", "value", "file"),
    [
        ("HF_TOKEN_PATH", "{home}/elsewhere", "elsewhere"),
        ("HF_HOME", "{home}/hf", "hf/token"),
        ("XDG_CACHE_HOME", "{home}/xdg", "xdg/huggingface/token"),
        ("UNRELATED", "x", ".cache/huggingface/token"),
    ],
)
def test_hugging_face_token_is_read_from_the_hub_clients_file(
    tmp_path: Path, variable: str, value: str, file: str
) -> None:
    """Without a variable the token file counts, wherever the hub's client keeps it."""
    environ = {"HOME": str(tmp_path), variable: value.format(home=tmp_path)}
    assert hugging_face_token(environ) is None
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{TOKEN}\n")
    found = hugging_face_token(environ)
    assert found is not None
    assert (found.reveal(), found.source) == (TOKEN, str(path))
    assert TOKEN in known_secrets(environ)


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"NGC_API_KEY": "old-style", "NGC_CLI_API_KEY": "second"}, "NGC_API_KEY"),
        ({"NGC_API_KEY": "old-style", "NGC_CLI_API_KEY": "nvapi-1"}, "NGC_CLI_API_KEY"),
        ({"NGC_API_KEY": "old-style", "LLM_API_KEY": "nvapi-1"}, "LLM_API_KEY"),
        ({"OPENAI_API_KEY": "sk-x", "VLM_API_KEY": "nvapi-1"}, "VLM_API_KEY"),
        ({"NVIDIA_API_KEY": "nvapi-1", "OPENAI_API_KEY": "nvapi-2"}, "NVIDIA_API_KEY"),
    ],
)
def test_ngc_key_prefers_what_looks_like_one(environ: dict[str, str], source: str) -> None:
    """An `nvapi-` value wins wherever it is; another key counts in the NGC variables only."""
    found = ngc_key(environ)
    assert found is not None
    assert found.source == source


def test_keys_of_other_services_are_no_ngc_keys() -> None:
    """A key that doesn't look like NGC's is not borrowed."""
    assert ngc_key({"OPENAI_API_KEY": "sk-x", "NVIDIA_API_KEY": "other"}) is None


def test_a_secret_shows_its_source_only() -> None:
    """Neither printing, formatting, comparing nor pickling gives the value away."""
    secret = Secret(TOKEN, "HF_TOKEN")
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", str({"a": secret})):
        assert TOKEN not in shown
        assert "HF_TOKEN" in shown
    assert secret == Secret(TOKEN, "elsewhere")
    assert len({secret, Secret(TOKEN, "elsewhere")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_known_secrets_are_those_with_a_secrets_name(tmp_path: Path) -> None:
    """Keys, tokens and passwords count, with and without their scheme; flags and short values don't."""
    environ = {
        "HOME": str(tmp_path),
        "NGC_API_KEY": "nvapi-abcdef",
        "VLM_API_KEY": "Authorization: Bearer vlm-secret",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "TOKENIZERS_PARALLELISM": "true-value",
        "SHORT_TOKEN": "abc",
        "PATH": "/usr/bin:/bin",
    }
    assert set(known_secrets(environ)) == {
        "nvapi-abcdef",
        "Authorization: Bearer vlm-secret",
        "vlm-secret",
        "aws-secret",
    }


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote_plus(TOKEN),
        "hf_made-up%2ftoken%2b1%3d",
        json.dumps({"token": TOKEN}),
        json.dumps({"body": json.dumps({"token": TOKEN})}),
        "Basic " + base64.b64encode(f"$oauthtoken:{TOKEN}".encode()).decode(),
        base64.urlsafe_b64encode(TOKEN.encode()).decode(),
        f"https://user:{TOKEN}@host/path?token={quote(TOKEN)}",
    ],
)
def test_mask_covers_every_form_of_a_secret(form: str) -> None:
    """Plain, in a URL, in JSON and in a Basic header a secret is masked, and the rest is kept."""
    masked = mask(f"before {form} after", [TOKEN])
    assert "***" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    for piece in (TOKEN, quote(TOKEN, safe=""), base64.b64encode(TOKEN.encode()).decode()):
        assert piece not in masked


@given(
    secret=some.text(min_size=8, max_size=40).filter(lambda text: text.strip("*") == text),
    before=some.binary(max_size=5),
    after=some.binary(max_size=5),
)
def test_no_alignment_of_base64_hides_a_secret(secret: str, before: bytes, after: bytes) -> None:
    """Whatever stands before and after, the base64 of a secret loses all but its edges."""
    try:
        raw = secret.encode()
    except UnicodeEncodeError:
        return
    encoded = base64.b64encode(before + raw + after).decode()
    assert mask(encoded, [secret]) != encoded


def test_what_looks_like_a_key_is_masked_though_nobody_named_it() -> None:
    """A stranger's NGC key or Hugging Face token doesn't show either; plain words do."""
    text = "key nvapi-AbCdEfGhIjKlMnOpQr_1 and hf_AbCdEfGhIjKlMnOpQrStUvWxYz of hf_token"
    assert mask(text, []) == "key *** and *** of hf_token"


def test_longer_secrets_are_masked_before_shorter_ones() -> None:
    """A secret that holds another one leaves no rest."""
    assert mask("secret-longer", ["secret", "secret-longer"]) == "***"
