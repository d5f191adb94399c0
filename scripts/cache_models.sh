#!/usr/bin/env bash
# Fill one model cache. Argument: cosmos_transfer or auto_labeling. Everything lands in $VDA_OUTPUT.
# On a cluster the weights are downloaded, gated ones with HF_TOKEN, which is never printed nor an argument.
# On the embedded engine, which sets VDA_MODELS_DIR, nothing is downloaded.
set -euo pipefail

cache=${1:?which cache: cosmos_transfer or auto_labeling}
output=${VDA_OUTPUT:?where to put it}

# What each cache holds, "<folder> <repository on the hub>" a line; VDA_CACHE_REPOSITORIES replaces it.
repositories() {
  case $cache in
    cosmos_transfer) echo "cosmos_transfer nvidia/Cosmos-Transfer2.5-2B" ;;
    auto_labeling)
      echo "seedvr2 ByteDance-Seed/SeedVR2-3B"
      echo "reid kaiyangzhou/osnet"
      ;;
  esac
}
rfdetr_url=https://storage.googleapis.com/rfdetr/rf-detr-base-coco.pth

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

fill_from_vendored() {
  if [ "$cache" = auto_labeling ]; then
    mkdir -p "$output/nanodet"
    cp "$VDA_MODELS_DIR"/*.onnx "$output/nanodet/"
  else
    printf '%s\n' "The embedded engine makes variants without weights; this file marks the cache as filled." \
      >"$output/embedded_engine.txt"
  fi
}

install_hub_client() {
  if command -v hf >/dev/null || command -v huggingface-cli >/dev/null; then return; fi
  if ! python3 -m pip --version >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y -qq python3 python3-pip
  fi
  python3 -m pip install --quiet 'huggingface_hub==2.4.0'
}

download_repository() { # FOLDER REPOSITORY
  local client=hf
  command -v hf >/dev/null || client=huggingface-cli
  printf 'downloading %s\n' "$2"
  "$client" download "$2" --local-dir "$output/$1" >/dev/null ||
    die "$2 could not be downloaded; accept its terms on the hub and give the credential hf_token"
}

download_rfdetr() {
  mkdir -p "$output/rfdetr"
  printf 'downloading %s\n' "$rfdetr_url"
  python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' \
    "$rfdetr_url" "$output/rfdetr/rf-detr-base.pth.part" || die "$rfdetr_url could not be downloaded"
  mv "$output/rfdetr/rf-detr-base.pth.part" "$output/rfdetr/rf-detr-base.pth"
}

main() {
  local folder repository
  case $cache in
    cosmos_transfer | auto_labeling) ;;
    *) die "there is no cache $cache; expected cosmos_transfer or auto_labeling" ;;
  esac
  mkdir -p "$output"
  if [ -n "${VDA_MODELS_DIR:-}" ]; then
    fill_from_vendored
  else
    install_hub_client
    while read -r folder repository; do
      if [ -n "$folder" ]; then download_repository "$folder" "$repository"; fi
    done <<<"${VDA_CACHE_REPOSITORIES:-$(repositories)}"
    if [ "$cache" = auto_labeling ]; then download_rfdetr; fi
  fi
  printf 'the %s cache is filled\n' "$cache"
}

main
