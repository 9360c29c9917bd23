#!/usr/bin/env bash
# XSum (BBC news and their one-sentence summaries) for fairseq; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

CORPUS=xsum
NEEDED_MB=5000
ARCHIVE_URL=https://huggingface.co/datasets/EdinburghNLP/xsum/resolve/main/data
SPLIT_URL=https://raw.githubusercontent.com/EdinburghNLP/XSum/7b1d1ed4128e23bd96fa967ab1858523d29dfa96/XSum-Dataset

usage() {
  prepare_usage "Prepares XSum (Narayan et al. 2018, arXiv 1808.08745), untokenised, cased, for fairseq." \
    "XSUM-EMNLP18-Summary-Data-Original.tar.gz, XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

download() { # FOLDER
  local archive=XSUM-EMNLP18-Summary-Data-Original.tar.gz split=XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json
  fetch "$ARCHIVE_URL/$archive" "$1/$archive" 10b48aa187fc9c904b30f76ca97e2da0de8d3a1238acc26acadef93e2001af90
  fetch "$SPLIT_URL/$split" "$1/$split" 9c0c5d8f048a90bd68b19a34e4c30577ed270d3247b2119fa06a04ef46292068
}

prepare
