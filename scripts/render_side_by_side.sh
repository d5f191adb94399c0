#!/usr/bin/env bash
# Render the side by side of a staged run: the original left, the variant right.
#
# usage: bash scripts/render_side_by_side.sh --run-local-dir P --dataset D --video V [--aug-index N]
# example: bash scripts/render_side_by_side.sh --run-local-dir media/vda/runs/run-1a2b3c4d --dataset demo --video crossing
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

exec bash "$(dirname "${BASH_SOURCE[0]}")/vda.sh" script -- bash scripts/render_side_by_side.sh "$@"
