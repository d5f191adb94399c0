# shellcheck shell=bash
# Keys and endpoints of the VLM and the LLM, as workers need them. Sourced after worker_common.sh.
# Keys are exported and never printed; a key reaches a process through its environment alone.
: "${here:?the folder of the scripts}"

# Give the keys under every name that a container or a client library looks for.
# VLM_API_KEY and LLM_API_KEY keep their own; the others fill in for whichever is missing.
export_keys() {
  local any=${OPENAI_API_KEY:-${NVIDIA_API_KEY:-${NGC_CLI_API_KEY:-${NGC_API_KEY:-}}}}
  VLM_API_KEY=$(bare_key "${VLM_API_KEY:-${any:-${LLM_API_KEY:-}}}")
  LLM_API_KEY=$(bare_key "${LLM_API_KEY:-${any:-$VLM_API_KEY}}")
  # OpenAI's client refuses to start without a key, and endpoints in the cluster ask for none.
  OPENAI_API_KEY=$(bare_key "${any:-${VLM_API_KEY:-not-needed}}")
  NVIDIA_API_KEY=$(bare_key "${NVIDIA_API_KEY:-$OPENAI_API_KEY}")
  export VLM_API_KEY LLM_API_KEY OPENAI_API_KEY NVIDIA_API_KEY
}

# Take "Authorization:" and "Bearer" off a key.
bare_key() {
  local key=$1
  key=${key#Authorization:}
  key=${key# }
  key=${key#Bearer }
  printf '%s' "$key"
}

# Wait for the endpoints that runtime.env says to wait for, and take their models from what they list.
await_endpoints() {
  local found
  if [ "${WAIT_FOR_VLM:-false}" = true ]; then
    found=$(await_endpoint VLM "${VLM_URL:?WAIT_FOR_VLM is true, but there is no VLM_URL}" VLM_API_KEY)
    VLM_URL=${found%%$'\t'*}
    VLM_MODEL=${found#*$'\t'}
  fi
  if [ "${WAIT_FOR_LLM:-false}" = true ]; then
    found=$(await_endpoint LLM "${LLM_URL:?WAIT_FOR_LLM is true, but there is no LLM_URL}" LLM_API_KEY)
    LLM_URL=${found%%$'\t'*}
    LLM_MODEL_STATIC=${found#*$'\t'}
  fi
  VLM_URL=${VLM_URL:-} VLM_MODEL=${VLM_MODEL:-} LLM_URL=${LLM_URL:-} LLM_MODEL_STATIC=${LLM_MODEL_STATIC:-}
  VLM_BASE_URL=$VLM_URL LLM_BASE_URL=$LLM_URL LLM_MODEL=$LLM_MODEL_STATIC
  export VLM_URL VLM_BASE_URL VLM_MODEL LLM_URL LLM_BASE_URL LLM_MODEL LLM_MODEL_STATIC
}

# Print "<base URL><tab><model>" of one endpoint, or end the task when it doesn't come up in time.
await_endpoint() {
  local kind=$1 url=$2 key_env=$3
  log "waiting for the $kind at $url" >&2
  "$(python_bin)" "$here/endpoint_common.py" --url "$url" --key-env "$key_env" \
    --timeout-s "${VDA_ENDPOINT_TIMEOUT_S:-180}" --every-s "${VDA_ENDPOINT_EVERY_S:-10}" ||
    die "the $kind at $url did not list a model in time; check the endpoint, or submit without it"
}
