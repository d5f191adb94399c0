#!/usr/bin/env bash
# Fetch the clips of the demo data set, flat, into a folder of the workspace or of a data root.
#
# usage: bash scripts/prepare_demo_assets.sh [DIR] [--run-id R]
# example: bash scripts/prepare_demo_assets.sh media/vda/demo
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

exec bash "$(dirname "${BASH_SOURCE[0]}")/vda.sh" script -- bash scripts/prepare_demo_assets.sh "$@"
