"""What leaves the house: files in the workspace, media lines that play, never a secret."""

from __future__ import annotations

import json
from pathlib import PurePath

from skill_tools.access.secrets import mask
from skill_tools.policy.media_line import MEDIA_PREFIX, media_path
from skill_tools.policy.messages import finding_of
from skill_tools.policy.rule import Facts, Finding, Rule
from skill_tools.settings import RUNS_FOLDER


def _workspace(facts: Facts) -> Finding | None:
    named = next((name for name in ("run_local_dir", "output") if facts.text(name)), None)
    if named is None:
        return finding_of("STAGE-WORKSPACE", facts)
    given = facts.text(named)
    place = facts.place(given)
    # A call that names no run means the one whose folder it names.
    other = _run_of(place, facts) if named == "run_local_dir" and facts.run_id else ""
    if facts.is_inside(place) and other in {"", facts.run_id}:
        return None
    return Finding(
        f"{given} is the folder of {other}"
        if other
        else f"{given} lies outside the workspace {facts.workspace}",
        {named: given, "workspace": str(facts.workspace)},
        facts.again("into the tool's own folder of the workspace", **{named: None}),
    )


def _run_of(place: str, facts: Facts) -> str:
    """Return the run whose own folder a place is, or lies in; nothing where it is none's."""
    runs = facts.workspace / RUNS_FOLDER
    path = PurePath(place)
    return path.relative_to(runs).parts[0] if runs in path.parents else ""


def _media(facts: Facts) -> Finding | None:
    if facts.after is None:
        return finding_of("MEDIA-FORM", facts)
    for message in facts.after.messages:
        if message.kind == "text" and any(
            line.startswith(MEDIA_PREFIX) for line in message.body.splitlines()
        ):
            return Finding("a media line stands among other text", {"body": message.body[:200]})
        if message.kind == "media" and (wrong := _wrong_media(message.body, facts)):
            return Finding(wrong, {"body": message.body[:200]})
    return None


def _wrong_media(body: str, facts: Facts) -> str:
    path = media_path(body)
    if path is None:
        return "a media bubble is exactly one line MEDIA:/absolute/path"
    file = facts.files.get(path)
    if file is None or not file.exists:
        return f"{path} does not exist"
    return "" if file.plays else f"{path} does not play"


def _silent(facts: Facts) -> Finding | None:
    if facts.arguments.get("messages"):
        return finding_of("SECRET-SILENT", facts)
    where = [name for name, value in facts.arguments.items() if _holds_secret(value, facts.secrets)]
    if not where and not _holds_secret(dict(facts.arguments), facts.secrets):
        return None
    return Finding(
        f"a secret stands in {', '.join(where) or 'the arguments'}; keys are read from the environment",
        {"arguments": where},
    )


def _holds_secret(value: object, secrets: frozenset[str]) -> bool:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # As it stands, too: in a journal the mask is what is left of a secret.
    return any(secret in text for secret in secrets) or mask(text, secrets) != text


RULES = (
    Rule("STAGE-WORKSPACE", "deny", "Nothing is staged or shown from outside the workspace.", _workspace),
    Rule("MEDIA-FORM", "deny", "A media bubble is one line with a file that exists and plays.", _media),
    Rule("SECRET-SILENT", "deny", "No secret stands in arguments, output, log or journal.", _silent),
)
