"""`vda doctor`: what this machine has for both engines."""

from __future__ import annotations

import argparse
import json

from skill_tools.commands.command import Command, add_json, settings_of
from skill_tools.errors import EXIT_CODES


def _doctor(given: argparse.Namespace) -> int:
    from skill_tools.doctor import examine

    checks = examine(settings_of(given))
    if given.json:
        print(json.dumps([check.model_dump(mode="json") for check in checks], indent=2))
    for check in [] if given.json else checks:
        print(f"{check.status:8} {check.name:24} {check.detail}")
        if check.remedy and check.status != "ok":
            print(f"{'':33} {check.remedy}")
    return EXIT_CODES["engine"] if any(check.status == "failed" for check in checks) else 0


DOCTOR = Command(
    name="doctor",
    summary="Check what this machine has for both engines.",
    examples=("vda doctor",),
    run=_doctor,
    add_arguments=add_json,
)
