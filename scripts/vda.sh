#!/usr/bin/env bash
# Start `vda` from the skill's folder, also where nothing was set up yet.
#
# usage: bash scripts/vda.sh COMMAND …
# example: bash scripts/vda.sh doctor
#
# Takes the Python of VDA_PYTHON; else the skill's own .venv, which is made when it is missing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${VDA_PYTHON:-$root/.venv/bin/python}
if [ -z "${VDA_PYTHON:-}" ] && ! { [ -x "$python" ] && "$python" -c 'import skill_tools, av, pydantic' 2>/dev/null; }; then
  bash "$root/scripts/setup_environment.sh" >&2
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m skill_tools.cli "$@"
