#!/usr/bin/env bash
# Make the skill's own Python environment in .venv: pinned dependencies, each checked against its hash.
#
# usage: bash scripts/setup_environment.sh [LOCK_FILE]
# example: PYTHON=python3.12 bash scripts/setup_environment.sh requirements-dev.lock
#
# Prints what it does to standard error. Safe to run twice, also at the same time.
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock_file=${1:-requirements.lock}
python=${PYTHON:-python3}
venv="$root/.venv"

say() { printf '%s\n' "$*" >&2; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "error: $python is no Python 3.11 or later; name one: PYTHON=python3.12 make setup"
  exit 2
fi
if [ ! -x "$venv/bin/python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  say "error: $python can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
  exit 2
fi

# Two set-ups at the same moment would write into one folder: the second one waits for the first.
guard="$root/.venv.lock"
for _ in $(seq 600); do
  mkdir "$guard" 2>/dev/null && break
  owner=$(cat "$guard/pid" 2>/dev/null || true)
  if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -r -f -- "${guard:?}"; fi
  sleep 1
done
printf '%s' "$$" >"$guard/pid"
trap 'rm -r -f -- "${guard:?}"' EXIT

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
quiet=(--quiet --disable-pip-version-check --no-input)
say "installing the dependencies of $lock_file into .venv …"
"$venv/bin/python" -m pip install "${quiet[@]}" --require-hashes --no-deps -r "$root/$lock_file" >&2
"$venv/bin/python" -m pip install "${quiet[@]}" --no-deps --no-build-isolation --editable "$root" >&2
# Else every start compiles what it loads where Python may not write: a fifth of a second, twice for a preview.
"$venv/bin/python" -m compileall -q "$root/skill_tools" >&2 || say "note: the sources could not be compiled ahead"
say "ready: .venv/bin/vda"
