# shellcheck shell=bash
# What the worker scripts share: where things are, which part is whose, one CLI call, the end of a group.
# Sourced; the script that does so sets `here` to the folder of the scripts. Runs on bash 3.2 and later.
#
# A task gives: VDA_SETUP_DIR, VDA_MODEL_CACHE, VDA_OUTPUT, WORKER_INDEX, WORKER_COUNT, VDA_BARRIER_HOST.
# The embedded engine also gives VDA_ROOT and the CLIs to run in the containers' place, one word a line.
: "${here:?the folder of the scripts}"

log() { printf '%s\n' "$*"; }

die() {
  log "error: $*" >&2
  exit 1
}

python_bin() {
  local candidate
  for candidate in python3 "${VDA_ROOT:-}/app/.venv/bin/python" "${VDA_ROOT:-}/opt/venv/bin/python" python; do
    if command -v "$candidate"; then return; fi
  done
  die "there is no Python in this container"
}

# Read what setup wrote for the workers. `.env` says the same, but an upload of * leaves it behind.
load_environment() {
  local file
  for file in runtime.env .env; do
    if [ -f "$VDA_SETUP_DIR/$file" ]; then
      set -a
      # shellcheck disable=SC1090 # written by setup, values quoted for a shell
      . "$VDA_SETUP_DIR/$file"
      set +a
      return
    fi
  done
  die "setup's runtime.env is not in $VDA_SETUP_DIR; look at the setup task's log"
}

# Print the run's clips, one stem a line, in their order.
list_clips() { printf '%s\n' "${VDA_VIDEOS:?runtime.env names no clips}" | tr ',' '\n'; }

# Print the run's variants, "<stem> <k>" a line, in the manifest's order.
list_variants() {
  local clip k
  list_clips | while IFS= read -r clip; do
    k=0
    while [ -f "$VDA_SETUP_DIR/configs/${clip}_aug$k.yaml" ]; do
      printf '%s %s\n' "$clip" "$k"
      k=$((k + 1))
    done
  done
}

# Of the lines on stdin, print those that are this worker's: line j belongs to worker j % WORKER_COUNT.
mine() {
  local line number=0
  while IFS= read -r line; do
    if [ $((number % WORKER_COUNT)) -eq "$WORKER_INDEX" ]; then printf '%s\n' "$line"; fi
    number=$((number + 1))
  done
}

# find_file NAME DIRECTORY… prints the path of the first NAME in one of the directories.
find_file() {
  local name=$1 directory
  shift
  for directory in "$@"; do
    if [ -f "$directory/$name" ]; then
      printf '%s\n' "$directory/$name"
      return
    fi
  done
  log "error: $name is in none of the inputs: $*" >&2
  return 1
}

can_write() { (: >"$1/.vda_write_test") 2>/dev/null && rm -f "$1/.vda_write_test"; }

# Print a model cache that can be written to: the input itself, or a mirror of links to its files.
writable_cache() {
  local cache=$1 mirror name
  if can_write "$cache"; then
    printf '%s\n' "$cache"
    return
  fi
  mirror="${VDA_ROOT:-}/tmp/vda/model_cache"
  mkdir -p "$mirror"
  # Links instead of copies: the weights are tens of gigabytes, and what is written beside them is small.
  (cd "$cache" && find . -type d -print0) |
    while IFS= read -r -d '' name; do mkdir -p "$mirror/$name"; done
  (cd "$cache" && find . ! -type d -print0) |
    while IFS= read -r -d '' name; do ln -sf "$cache/$name" "$mirror/$name"; done
  log "the model cache is read-only; mirrored to $mirror" >&2
  printf '%s\n' "$mirror"
}

# pair KEY VALUE prints KEY=VALUE for a CLI, nothing for an empty value. The container's CLI reads values as
# YAML, so 0012, null, a colon or a space go in quotes there; the project's own takes them as they are.
pair() {
  local value=$2
  if [ -z "$value" ]; then return; fi
  if [ -z "${VDA_AUGMENTATION_CLI:-}${VDA_LABELING_CLI:-}" ] && ! is_plain "$value"; then
    value="\"$(printf '%s' "$value" | sed 's/[\\"]/\\&/g')\""
  fi
  printf '%s=%s\n' "$1" "$value"
}

# Tell whether YAML takes a text as it stands for text.
is_plain() {
  case $1 in
    [Tt]rue | [Ff]alse | TRUE | FALSE | [Nn]ull | NULL | [Yy]es | [Nn]o | YES | NO | [Oo]n | [Oo]ff | ON | OFF) return 1 ;;
    [A-Za-z/]*) ! printf '%s' "$1" | LC_ALL=C grep -q '[^A-Za-z0-9_./-]' ;;
    *) return 1 ;;
  esac
}

# ---- The CLIs' keys. This is the one place that knows them; they are those of the project's own workers. ----

# augmentation_pairs CLIP OUTPUT_DIR prints the arguments beside --config, one a line.
augmentation_pairs() {
  local prompts="$VDA_SETUP_DIR/cookbook/augmentation/prompts"
  pair data.input_video "$1"
  pair data.output_dir "$2"
  pair prompts.template_generation "$prompts/template_generation_system_prompt.md"
  pair prompts.prompt_polishing "$prompts/prompt_polishing_system_prompt.md"
  endpoint_pairs
}

# labeling_pairs CLIP OUTPUT_DIR NAME CACHE SUPER_RESOLUTION prints the arguments beside --config.
labeling_pairs() {
  local cookbook="$VDA_SETUP_DIR/cookbook/auto_labeling"
  pair data.input_video "$1"
  pair data.output_dir "$2"
  pair data.video_name "$3"
  pair data.question_bank "$cookbook/question_bank.json"
  pair data.event_prompt "$cookbook/prompts/event_analysis.md"
  pair models.cache_dir "$4"
  printf 'super_resolution.enabled=%s\n' "$5"
  endpoint_pairs
}

endpoint_pairs() {
  pair endpoints.vlm.url "${VLM_URL:-}"
  pair endpoints.vlm.model "${VLM_MODEL:-}"
  pair endpoints.llm.url "${LLM_URL:-}"
  pair endpoints.llm.model "${LLM_MODEL_STATIC:-}"
}

# -------------------------------------------------------------------------------------------------------------

# run_cli LOCAL_CLI CONTAINER_DIR CONFIG PAIRS runs the local CLI if there is one, else the container's own.
# PAIRS holds one key=value a line. Nothing of the log's stdin reaches the CLI.
run_cli() {
  local local_cli=$1 container_dir="${VDA_ROOT:-}$2" config=$3 pairs=$4 line
  local words=()
  if [ -n "$local_cli" ]; then
    while IFS= read -r line; do words+=("$line"); done <<<"$local_cli"
  else
    words=(uv run python modules/cli.py)
  fi
  words+=(--config "$config")
  while IFS= read -r line; do words+=("$line"); done <<<"$pairs"
  if [ -n "$local_cli" ]; then
    "${words[@]}" </dev/null
  else
    (cd "$container_dir" && "${words[@]}" </dev/null)
  fi
}

# produce KIND DIRECTORY COMMAND… runs a command that fills a fresh directory, and judges by what it left:
# a CLI that fails after it wrote everything has done its work, one that ends well without has not.
produce() {
  local kind=$1 directory=$2 status=0
  shift 2
  rm -r -f -- "${directory:?}"
  mkdir -p "$directory"
  "$@" || status=$?
  # The labeling container may name its files otherwise; when it ends well, any whole files will do.
  if [ "$status" -eq 0 ] && [ "$kind" = labels ] && [ -z "${VDA_LABELING_CLI:-}" ]; then kind=files; fi
  if ! "$(python_bin)" "$here/artifact_check.py" "$kind" "$directory"; then
    log "error: the CLI ended with $status and left no whole output in $directory" >&2
    return 1
  fi
  if [ "$status" -ne 0 ]; then
    log "warning: the CLI ended with $status after its whole output was written; the output is kept"
  fi
}

# label NAME CLIP CACHE SUPER_RESOLUTION labels one clip into $VDA_OUTPUT/NAME.
label() {
  local name=$1 clip=$2 cache=$3 super_resolution=$4
  local directory="$VDA_OUTPUT/$name" pairs
  pairs=$(labeling_pairs "$clip" "$directory" "$name" "$cache" "$super_resolution")
  log "labeling $name"
  produce labels "$directory" run_cli "${VDA_LABELING_CLI:-}" /workspace \
    "$VDA_SETUP_DIR/cookbook/auto_labeling/auto_labeling_config.yaml" "$pairs"
}

# enter_container DIRECTORY VENV CLI readies a container: its Python first on PATH, its own entry point run
# once where it has one. With a local CLI there is no container to ready.
enter_container() {
  local directory="${VDA_ROOT:-}$1" venv="${VDA_ROOT:-}$2" local_cli=$3
  if [ -n "$local_cli" ]; then return; fi
  export VIRTUAL_ENV=$venv PATH="$venv/bin:$PATH"
  if [ -f "$directory/docker/entrypoint.sh" ]; then (cd "$directory" && bash docker/entrypoint.sh true); fi
}

# finish PORT FAILED ends the worker: with 1 at once if something failed, else when the group may end.
finish() {
  local port=$1 failed=$2 linger=20
  if [ "$failed" -gt 0 ]; then die "$failed of this worker's parts failed; see above"; fi
  if [ "$WORKER_COUNT" -le 1 ]; then return; fi
  # On a cluster the other workers upload after they have ended, and the lead's end may cut them off.
  if [ -n "${VDA_ROOT:-}" ]; then linger=0; fi
  exec "$(python_bin)" "$here/osmo_barrier.py" --rank "$WORKER_INDEX" --size "$WORKER_COUNT" \
    --run "${VDA_WORKFLOW_ID:-}" --host "${VDA_BARRIER_HOST:-127.0.0.1}" --port "$port" \
    --timeout-s "${VDA_BARRIER_TIMEOUT_S:-7200}" --linger-s "${VDA_BARRIER_LINGER_S:-$linger}"
}
