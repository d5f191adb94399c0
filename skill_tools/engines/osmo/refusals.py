"""Turn what a failed `osmo` command said into a typed error: its own words, the likely cause, the remedy."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from skill_tools.engines.osmo.process import Finished
from skill_tools.errors import EngineError, EngineUnavailable, Retry

WORDS = 700
"""Characters of the CLI's own words that an error quotes."""

_INTERRUPTED = 3
_SERVICE_TROUBLE = 10
_BUSY = 75

_ERROR_TEXT = re.compile(r"Error message:\s*(.*?)\s*(?:Error code:|\Z)", re.DOTALL)
_SAID_ON_SUCCESS = re.compile(r"^(?:Workflow cancelation failed for workflow \S+|Error): (.+)$", re.MULTILINE)
"""Refusals that come with exit code 0 and without the usual frame."""
_BODY = re.compile(r"Body:\s*(\{.*\})", re.DOTALL)
_STATUS = re.compile(r"Status Code: (\d{3})")
_TRACE = re.compile(r"Traceback \(most recent call last\):")
_NOISE = re.compile(r"^(WARNING: New client|Current version:|Please update by|Server responded with)")


@dataclass(frozen=True)
class Refusal:
    """One way in which `osmo` says no."""

    code: str
    pattern: re.Pattern[str]
    cause: str
    remedy: str
    retry: Retry = "after_fix"
    unavailable: bool = False


def _refusal(code: str, pattern: str, cause: str, remedy: str, retry: Retry = "after_fix") -> Refusal:
    return Refusal(f"engine.{code}", re.compile(pattern, re.IGNORECASE | re.DOTALL), cause, remedy, retry)


def _unavailable(code: str, pattern: str, cause: str, remedy: str, retry: Retry = "now") -> Refusal:
    return replace(_refusal(code, pattern, cause, remedy, retry), unavailable=True)


REFUSALS = (
    _unavailable(
        "not_logged_in",
        r"must login first|not logged in|(?:token|login|session)[^.]{0,40} (?:has )?expired|"
        r"\b401\b.{0,20}unauthorized",
        "nobody is logged in to OSMO on this machine, or the login has expired",
        "`osmo login <service URL>`, then again",
        "after_fix",
    ),
    _refusal(
        "no_default_pool",
        r"no default pool",
        "no pool was named and the profile has no default",
        "name a pool that `osmo pool list` shows, or `osmo profile set pool <pool>`",
    ),
    _refusal(
        "wrong_platform",
        r"platform \S+ does not exist in pool",
        "the pool doesn't have this platform",
        "take a platform of the pool from `osmo pool list --format-type json`",
    ),
    _refusal(
        "pool_maintenance",
        r"undergoing maintenance",
        "the pool takes no workflows while it is in maintenance",
        "choose another ONLINE pool, or wait",
    ),
    _refusal(
        "unknown_pool",
        r"\bpools? (?!default_)\S+ (?:does not exist|(?:is |are )?not found)|no such pool",
        "OSMO doesn't know this pool, or it isn't yours to use",
        "take a pool that `osmo pool list` shows",
    ),
    _refusal(
        "pool_without_backend",
        r"backend \S+ is not found",
        "the pool's backend is gone",
        "choose another ONLINE pool, or ask the pool's owner",
    ),
    _refusal(
        "wrong_credential_key",
        r"is not a valid credential key",
        "the credential exists, but without the key that the workflow reads from it",
        "set the credential anew with the key that the workflow maps",
    ),
    _refusal(
        "missing_credential",
        r"could not find the credential|no credentials configured for|data credential not found",
        "a credential that is needed isn't stored for this user",
        "`osmo credential set`, under the very name (or for the very bucket) that OSMO names",
    ),
    _refusal(
        "credential_exists",
        r"duplicate key value",
        "a credential of this name exists, and OSMO doesn't overwrite it",
        "set it with `replace`, which deletes the old one once the new one was taken",
    ),
    _refusal(
        "unknown_credential",
        r"credential \S+ does not exi",
        "there is no credential of this name",
        "take a name that `osmo credential list` shows",
    ),
    _refusal(
        "undefined_variable",
        r"'[^']+' is undefined",
        "the workflow file uses a value that wasn't given",
        "give it in the one `--set-string`",
    ),
    _refusal(
        "template",
        r"jinja substitution failure",
        "the workflow file, or a script that it carries, isn't a template that OSMO can render",
        "look for `{{`, `{%` or `{#` in the files that the workflow carries",
    ),
    _refusal(
        "name_too_long",
        r"is too long\. it must be \d+ characters",
        "the workflow's name, which is the data set's, is too long",
        "choose a shorter data set name",
    ),
    _refusal(
        "too_many_tasks",
        r"cannot have more than \d+ tasks",
        "one workflow takes no more tasks than that",
        "spread the clips over several workflows of one run",
    ),
    _refusal(
        "bad_name",
        r"workflow\.name\s+string should match pattern|workflow\.\S*name\s+string should match pattern",
        "a name has characters that OSMO doesn't take",
        "letters, digits, `-` and `_`; a letter first, no `-` or `_` last",
    ),
    _refusal(
        "resource_too_large",
        r"resource validation failed|too high for|guarantee",
        "no node of the pool has that much, or the pool's quota hasn't",
        "ask for less, or take another platform; `osmo resource list` shows the nodes",
    ),
    _refusal(
        "bad_spec",
        r"validation errors? for \w*workflowspec|requires input group|task input \S+ does not exist|"
        r"workflow spec not found|unknown top-level key|invalid unit|undefined resource|"
        r"has no specified resource|cache size must|does not allow (?:mount|host)",
        "the workflow file breaks a rule of OSMO's format",
        "put the named field right",
    ),
    _refusal(
        "bad_yaml",
        r"not properly formatted|while (?:parsing|scanning)|found character .* that cannot start",
        "what comes out of the template isn't YAML; a value with a quote or a colon can do that",
        "look at the values, then `osmo workflow submit … --dry-run`",
    ),
    _refusal(
        "unknown_task",
        r"task \S+ of workflow \S+ is not found",
        "the workflow has no task of this name",
        "take a name that `osmo workflow query` shows",
    ),
    _refusal(
        "unknown_workflow",
        r"workflow \S+ is not found",
        "OSMO has no workflow of this id",
        "take an id that `osmo workflow list` shows",
    ),
    _refusal(
        "unknown_bucket",
        r"nosuchbucket|specified bucket does not exist|containernotfound",
        "the storage has no such bucket or container",
        "look at the storage URL",
    ),
    _refusal(
        "bad_url",
        r"unknown uri scheme|incorrectly formatted \S+ uri|invalid storage path|invalid endpoint|bad url",
        "a URL has a scheme or a form that OSMO doesn't take",
        "s3://, gs://, azure://, swift:// or tos://, without `,`, `;` and `*`",
    ),
    _refusal(
        "image_unreachable",
        r"registry connection error",
        "OSMO can't read an image's manifest at its registry",
        "look at the image's name, and at the credential for its registry",
    ),
    _refusal(
        "storage_denied",
        r"signaturedoesnotmatch|invalidaccesskeyid|accessdenied|access denied|data key validation error",
        "the storage refuses the stored keys",
        "set the DATA credential for this bucket anew, with keys, region and endpoint that fit",
    ),
    _unavailable(
        "storage_unreachable",
        r"endpointconnectionerror|could not connect to the endpoint|timed out after \d",
        "the storage can't be reached from this machine",
        "look at the storage URL, the credential's endpoint and the network",
    ),
    _unavailable(
        "unreachable",
        r"cannot connect to osmo|max retries exceeded|connection (?:refused|reset|aborted)|"
        r"failed to establish|name or service not known|remotedisconnected|read timed out",
        "the OSMO service can't be reached, or didn't answer in time",
        "look at the network and at the service's URL (`osmo login` names it)",
    ),
    _refusal(
        "forbidden",
        r"\b403\b|forbidden|permission denied|not authorized|do(?:es)? not have (?:access|permission)",
        "your role doesn't allow this",
        "ask for the role or the pool, or choose another pool",
    ),
    _refusal(
        "missing_file",
        r"the file/path .* does not exist|no such file or directory",
        "a file that the workflow carries isn't there",
        "look at `skills_dir` and at the path of the workflow file",
    ),
    _refusal(
        "unsupported",
        r"^usage: osmo|invalid choice|unrecognized arguments",
        "this `osmo` doesn't know the command or an option of it",
        "install OSMO's CLI 6.3.1 or newer",
    ),
)

_BY_EXIT = {
    _BUSY: _unavailable("busy", "", "OSMO has too many requests now", "wait a little, then again"),
    _SERVICE_TROUBLE: _unavailable(
        "service_error",
        "",
        "the OSMO service failed on its own side",
        "wait a little, then again; if it stays, tell the service's owner",
    ),
    _INTERRUPTED: _refusal("interrupted", "", "the command was interrupted", "again", "now"),
}
_OTHER = _refusal("refused", "", "OSMO refused", "read OSMO's words; they name what is wrong")


def words_of(finished: Finished) -> str:
    """Return the CLI's own words about a failure, without its frame; empty when it said nothing."""
    said = _message(finished.stdout) or _message(finished.stderr) or finished.stderr or finished.stdout
    before, *trace = _TRACE.split(said, maxsplit=1)
    lines = [line.rstrip() for line in (before.strip() or _trace_end(trace)).splitlines()]
    plain = "\n".join(line for line in lines if line and not _NOISE.match(line))
    return plain if len(plain) <= WORDS else plain[: WORDS - 1] + "…"


def was_answered(finished: Finished) -> bool:
    """Tell whether somebody (the service, or the CLI before it asked) answered with a plain refusal."""
    return bool(_message(finished.stdout)) or "usage: osmo" in finished.stderr


def refusal_of(finished: Finished) -> Refusal:
    """Return which kind of refusal this is."""
    words = words_of(finished) or finished.stderr
    found = next((refusal for refusal in REFUSALS if refusal.pattern.search(words)), None)
    return found or _BY_EXIT.get(finished.exit_code, _OTHER)


def refused(finished: Finished, what: str) -> EngineError:
    """Return the error for a command that ended by itself and failed."""
    refusal = refusal_of(finished)
    kind = EngineUnavailable if refusal.unavailable else EngineError
    words = words_of(finished) or f"nothing, exit code {finished.exit_code}"
    return kind(
        f"{what}: {refusal.cause}. osmo says: {words}",
        expected="osmo takes the command",
        remedy=refusal.remedy,
        code=refusal.code,
        retry=refusal.retry,
    )


def not_installed(executable: str) -> EngineUnavailable:
    """Return the error for an `osmo` that isn't there."""
    return EngineUnavailable(
        f"`{executable}` is not installed, or not on PATH",
        expected="OSMO's command line client, 6.3.1 or newer",
        remedy="install it as OSMO's documentation says, or use the local engine",
        code="engine.not_installed",
    )


def cut_short(finished: Finished, what: str, time_s: float) -> EngineError:
    """Return the error for a command that didn't end by itself, or that a signal ended."""
    if finished.end in {"timeout", "silent"}:
        reason = f"osmo didn't end within {time_s:g} s" if finished.end == "timeout" else "osmo fell silent"
        return EngineUnavailable(
            f"{what}: {reason} and was stopped. {_last_words(finished)}".rstrip(),
            expected=f"an answer within {time_s:g} s",
            remedy="look at the network to the OSMO service and to the storage, then again",
            code="engine.timeout",
            retry="now",
        )
    if finished.end == "too_long":
        return EngineError(
            f"{what}: osmo printed more than fits and was stopped",
            expected="an answer of bounded length",
            remedy="ask for less: a deeper URL, fewer lines",
            code="engine.output_too_long",
        )
    return EngineUnavailable(
        f"{what}: osmo was killed by signal {-finished.exit_code}. {_last_words(finished)}".rstrip(),
        expected="osmo ends by itself",
        remedy="see whether this machine ran out of memory, then again",
        code="engine.killed",
        retry="now",
    )


def garbled(finished: Finished, what: str, expected: str) -> EngineUnavailable:
    """Return the error for an answer that can't be read."""
    said = finished.stdout.strip() or finished.stderr.strip() or "nothing"
    return EngineUnavailable(
        f"{what}: osmo's answer can't be read: {said[:200]}",
        expected=expected,
        remedy="again; if it stays, compare `osmo version` with 6.3.1 or newer",
        code="engine.garbled",
        retry="now",
    )


def status_of(finished: Finished) -> int | None:
    """Return the HTTP status that a service failure quotes."""
    found = _STATUS.search(finished.stdout)
    return int(found.group(1)) if found else None


def _message(text: str) -> str:
    document = _document(text)
    if isinstance(document, dict) and "code" in document and isinstance(document.get("message"), str):
        return str(document["message"]).strip()
    found = _ERROR_TEXT.search(text) or _SAID_ON_SUCCESS.search(text)
    if found is None:
        return ""
    body = _BODY.search(found.group(1))
    inner = _document(body.group(1)) if body else None
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return str(inner["message"]).strip()
    return found.group(1).strip()


def _trace_end(trace: list[str]) -> str:
    return trace[0].strip().splitlines()[-1] if trace and trace[0].strip() else ""


def _document(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _last_words(finished: Finished) -> str:
    words = words_of(finished)
    return f"It last said: {words[-200:]}" if words else ""
