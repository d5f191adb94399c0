#!/usr/bin/env bash
# Label this worker's variants. Argument: the input directory with the output of the worker that made them.
# Labels land in $VDA_OUTPUT/<clip>_aug<k>/. Exit 0 when all are labelled and the group may end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/worker_common.sh
. "$here/worker_common.sh"
# shellcheck source=scripts/endpoint_common.sh
. "$here/endpoint_common.sh"

main() {
  local clip k name variants video cache failed=0
  load_environment
  variants=$(list_variants | mine)
  [ -n "$variants" ] || die "worker $WORKER_INDEX of $WORKER_COUNT has no variant to label"
  export_keys
  await_endpoints
  cache=$(writable_cache "$VDA_MODEL_CACHE")
  enter_container /workspace /opt/venv "${VDA_LABELING_CLI:-}"
  while read -r clip k; do
    name="${clip}_aug$k"
    if video=$(find_file "$name/augmented_video.mp4" "$@"); then
      # Variants keep the size that they were made in; only originals are super-resolved.
      label "$name" "$video" "$cache" false || failed=$((failed + 1))
    else
      failed=$((failed + 1))
    fi
  done <<<"$variants"
  finish 12344 "$failed"
}

main "$@"
