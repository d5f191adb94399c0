#!/usr/bin/env bash
# Make this worker's variants. Arguments: the input directories that hold its clips.
# Each variant lands in $VDA_OUTPUT/<clip>_aug<k>/. Exit 0 when all are made and the group may end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/worker_common.sh
. "$here/worker_common.sh"
# shellcheck source=scripts/endpoint_common.sh
. "$here/endpoint_common.sh"

# The container's CLI makes one variant a call. The embedded engine's takes all of a clip's, and decodes the
# clip once for them; what doesn't come out whole is made by itself afterwards.
augment_together() { # CLIP INPUT_DIRECTORY…
  local clip=$1 video pairs configs="" other k count=0
  shift
  while read -r other k; do
    if [ "$other" != "$clip" ]; then continue; fi
    emptied "$VDA_OUTPUT/${clip}_aug$k"
    configs+="${configs:+$'\n'}$VDA_SETUP_DIR/configs/${clip}_aug$k.yaml"
    count=$((count + 1))
  done <<<"$variants"
  if [ "$count" -lt 2 ] || ! video=$(find_file "$clip.mp4" "$@"); then return; fi
  pairs=$(augmentation_pairs "$video" "$VDA_OUTPUT")
  log "making $count variants of $clip"
  run_cli "$VDA_AUGMENTATION_CLI" /app "$configs" "$pairs" ||
    log "warning: the CLI ended with $? after $clip; its whole output is kept, what is missing is made again"
}

augment() { # CLIP K INPUT_DIRECTORY…
  local clip=$1 k=$2 video pairs name="$1_aug$2"
  shift 2
  video=$(find_file "$clip.mp4" "$@") || return 1
  pairs=$(augmentation_pairs "$video" "$VDA_OUTPUT/$name")
  log "making $name"
  produce variant "$VDA_OUTPUT/$name" run_cli "${VDA_AUGMENTATION_CLI:-}" /app \
    "$VDA_SETUP_DIR/configs/$name.yaml" "$pairs"
}

main() {
  local clip k cache variants failed=0
  load_environment
  variants=$(list_variants | mine)
  [ -n "$variants" ] || die "worker $WORKER_INDEX of $WORKER_COUNT has no variant to make"
  export_keys
  await_endpoints
  cache=$(writable_cache "$VDA_MODEL_CACHE")
  enter_container /app /app/.venv "${VDA_AUGMENTATION_CLI:-}"
  # The container finds weights where the hub's client would have put them.
  export HF_HOME=$cache MODEL_CACHE_DIR=$cache
  if [ -n "${VDA_AUGMENTATION_CLI:-}" ]; then
    for clip in $(cut -d' ' -f1 <<<"$variants" | uniq); do augment_together "$clip" "$@"; done
  fi
  while read -r clip k; do
    if [ -n "${VDA_AUGMENTATION_CLI:-}" ] && whole variant "$VDA_OUTPUT/${clip}_aug$k" 2>/dev/null; then continue; fi
    augment "$clip" "$k" "$@" || failed=$((failed + 1))
  done <<<"$variants"
  finish 12346 "$failed"
}

main "$@"
