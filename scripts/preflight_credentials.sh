#!/usr/bin/env bash
# Check that a run can start; on OSMO also the credentials that it needs.
#
# usage: bash scripts/preflight_credentials.sh [--workflow FILE] [--no-probe] [--refresh|--overwrite] [--run-id R]
# example: bash scripts/preflight_credentials.sh --workflow assets/configs/osmo/augmentation_and_al.yaml
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

exec bash "$(dirname "${BASH_SOURCE[0]}")/vda.sh" script -- bash scripts/preflight_credentials.sh "$@"
