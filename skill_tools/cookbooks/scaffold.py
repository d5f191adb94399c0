"""Begin a cookbook of one's own as a copy of the scene that is most like it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from skill_tools.cookbooks.files import GUIDE, SENT_FILES
from skill_tools.cookbooks.shelf import Shelf
from skill_tools.errors import InputError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def scaffold(name: str, *, like: str, shelf: Shelf) -> Path:
    """Write a new cookbook into the workspace and return its folder; it is whole and can be used at once.

    Args:
        name: The scene's name.
        like: The cookbook that it begins as.
        shelf: Where cookbooks lie.

    Raises:
        InputError: the name isn't one, it is taken, or `like` is no cookbook that can be used. Nothing was
            written.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a cookbook",
            expected="lower-case letters, digits and underscores, a letter first",
            remedy="name the scene, as in loading_dock",
            code="input.cookbook_name",
        )
    source, place = shelf.named(like).directory, shelf.own / name
    if name in shelf.names() or place.exists():
        raise InputError(
            f"The name {name} is taken",
            expected=f"a name other than {', '.join(shelf.names())}",
            remedy="choose another name; nothing was changed",
            code="input.cookbook_name",
        )
    shelf.own.mkdir(parents=True, exist_ok=True)
    # Seen under its name only when it is whole.
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=shelf.own))
    try:
        for file in (*SENT_FILES, GUIDE):
            text = (source / file).read_text(encoding="utf-8")
            target = fresh / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_renamed(text, like, name, guide=file == GUIDE), encoding="utf-8")
        fresh.chmod(0o755)
        fresh.rename(place)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return place


def _renamed(text: str, like: str, name: str, *, guide: bool) -> str:
    """Return a file's text for the new scene: its name put in, and in the guide what is still to do."""
    # Where a file names its scene; in running text the word may mean the place.
    text = re.sub(
        rf'(^# (?:.* a )?|"scene": "){re.escape(like)}\b', rf"\g<1>{name}", text, flags=re.MULTILINE
    )
    if not guide:
        return text
    # The guides of the skill lie beside its own cookbooks; a link from here would lead nowhere.
    text = re.sub(r"\[([\w.]+)\]\(\.\./[^)]+\)", r"`\1` of the skill", text)
    head, _, rest = text.partition("\n")
    begun = (
        f"Begun as a copy of `{like}`: everything below is still that scene's. Describe your camera first,\n"
        "then go through variables, classes, prompts and questions in this order."
    )
    return f"{head}\n\n{begun}\n{rest}"
