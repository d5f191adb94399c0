#!/usr/bin/env bash
# Label this worker's source clips. Arguments: the input directories that hold them.
# Labels land in $VDA_OUTPUT/<clip>/. Exit 0 when all are labelled and the group may end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/worker_common.sh
. "$here/worker_common.sh"
# shellcheck source=scripts/endpoint_common.sh
. "$here/endpoint_common.sh"

main() {
  local clip clips video cache failed=0
  load_environment
  clips=$(list_clips | mine)
  [ -n "$clips" ] || die "worker $WORKER_INDEX of $WORKER_COUNT has no clip to label"
  export_keys
  await_endpoints
  cache=$(writable_cache "$VDA_MODEL_CACHE")
  enter_container /workspace /opt/venv "${VDA_LABELING_CLI:-}"
  while IFS= read -r clip; do
    if video=$(find_file "$clip.mp4" "$@"); then
      label "$clip" "$video" "$cache" "${SUPER_RESOLUTION_ENABLED:-false}" || failed=$((failed + 1))
    else
      failed=$((failed + 1))
    fi
  done <<<"$clips"
  finish 12345 "$failed"
}

main "$@"
