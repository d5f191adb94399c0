"""What happens in the clip, told by the vision-language model as two JSON objects, checked and tidied."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from skill_tools.errors import InputError
from skill_tools.workers.labeling.frames import FrameSpool
from skill_tools.workers.labeling.model import Model, ModelFailure
from skill_tools.workers.labeling.spoken_json import objects_in
from skill_tools.workers.labeling.writers import VERSION

MOST_STILLS = 32
"""Pictures in the request, evenly spread over the clip."""

DEFAULT_PROMPT = (
    "You watch a clip and tell what happens in it. Reply with two JSON objects and nothing else. First what "
    'the clip is: {"version": "1.0", "summary": "…"}. Then what happens: {"version": "1.0", "events": '
    '[{"event_id": 1, "start_time": 0.0, "end_time": 2.5, "category": '
    '"collision|near_miss|anomaly|normal", "sub_category": ["…"], "instances": [{"class": "…", "track_id": '
    'null, "role": "…"}], "event_caption": "…"}]}. Times are in seconds.'
)

_CLOCK = re.compile(r"^(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$")


def _seconds(given: Any) -> Any:
    """Read `83.5`, `"83.5 s"`, `"1:23.5"` and `"0:01:23.5"` as seconds."""
    if not isinstance(given, str):
        return given
    text = given.strip().lower().removesuffix("seconds").removesuffix("s").strip()
    if clock := _CLOCK.match(text):
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return text


def _listed(given: Any) -> Any:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _plain_word(given: Any) -> Any:
    return re.sub(r"[\s-]+", "_", given.strip().lower()) if isinstance(given, str) else given


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]


class Event(BaseModel):
    """One happening; keys that the model made up are left out."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    event_id: int = 0
    start_time: Seconds
    end_time: Seconds
    category: Annotated[Literal["collision", "near_miss", "anomaly", "normal"], BeforeValidator(_plain_word)]
    sub_category: Annotated[list[str], BeforeValidator(_listed)] = []
    instances: Annotated[list[dict[str, Any] | str], BeforeValidator(_listed)] = []
    event_caption: str = ""

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Event:
        if self.end_time < self.start_time:
            raise ValueError("it ends before it starts")
        return self


class EventsDocument(BaseModel):
    """What events.json holds."""

    version: str = VERSION
    video: str
    status: Literal["answered", "not_answered"]
    reason: str = ""
    metadata: dict[str, Any] = {}
    events: list[Event] = []

    @property
    def per_category(self) -> dict[str, int] | None:
        """Count the events of each category, if there was an answer."""
        if self.status == "not_answered":
            return None
        return dict(sorted(Counter(event.category for event in self.events).items()))


def load_prompt(path: str) -> str:
    """Read the event prompt at `path`; an empty path gives a general one.

    Raises:
        InputError: it can't be read.
    """
    if not path:
        return DEFAULT_PROMPT
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it isn't text"
        raise InputError(
            f"The event prompt {path} can't be read: {why}",
            expected="a text file",
            remedy="correct data.event_prompt",
            code="input.event_prompt",
        ) from problem


def ask_events(
    model: Model, spool: FrameSpool, *, prompt: str, video: str, duration_s: float
) -> EventsDocument:
    """Ask the model for the clip's events; what goes wrong is the reason of a `not_answered`."""
    stills = spool.stills(0, duration_s, most=MOST_STILLS)
    request = f"The clip lasts {duration_s:.2f} s. Its frames are above. Reply with the two JSON objects."
    try:
        words = model.complete(prompt, request, stills)
    except ModelFailure as failure:
        return EventsDocument(video=video, status="not_answered", reason=str(failure))
    return read_events(words, video=video, duration_s=duration_s)


def read_events(words: str, *, video: str, duration_s: float) -> EventsDocument:
    """Make a document of the model's words; events that don't hold up are left out and counted."""
    objects = objects_in(words)
    telling = next((one for one in objects if isinstance(one.get("events"), list)), None)
    if telling is None:
        reason = "the model's words hold no JSON object with events"
        return EventsDocument(video=video, status="not_answered", reason=reason)
    metadata = next((one for one in objects if one is not telling), {})
    events, problems = [], []
    for given in telling["events"]:
        try:
            event = Event.model_validate(given)
        except ValidationError as problem:
            first = problem.errors()[0]
            problems.append(f"{'.'.join(map(str, first['loc'])) or 'event'}: {first['msg']}")
            continue
        if event.start_time > duration_s:
            problems.append(f"start_time {event.start_time:g} is after the clip's end")
            continue
        events.append(event.model_copy(update={"end_time": min(event.end_time, duration_s)}))
    events.sort(key=lambda event: (event.start_time, event.end_time))
    return EventsDocument(
        video=video,
        status="answered",
        reason=f"{len(problems)} event(s) left out: {problems[0]}" if problems else "",
        metadata=metadata,
        events=[event.model_copy(update={"event_id": place}) for place, event in enumerate(events, start=1)],
    )
