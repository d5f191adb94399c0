#!/usr/bin/env bash
# Bring a run's output and its input clip into the workspace and print where they lie.
#
# usage: bash scripts/stage_run_artifacts.sh --storage-url U --dataset D --run-id R --video V [--run-local-dir P] [--input-local-video F]
# example: bash scripts/stage_run_artifacts.sh --storage-url s3://bucket --dataset demo --run-id run-1a2b3c4d --video crossing
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

exec bash "$(dirname "${BASH_SOURCE[0]}")/vda.sh" script -- bash scripts/stage_run_artifacts.sh "$@"
