#!/usr/bin/env bash
# CNN/DailyMail (news and their highlights) for fairseq; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

CORPUS=cnn_dm
NEEDED_MB=10000
# The stories as collected for DMQA, and the split of See et al. 2017: by the SHA-1 of an article's URL.
STORIES_URL=https://huggingface.co/datasets/abisee/cnn_dailymail/resolve/11343c3752184397d56efc19a8a7cceb68089318/data
LISTS_URL=https://raw.githubusercontent.com/abisee/cnn-dailymail/b15ad0a2db0d407a84b8ca9b5731e1f1c4bd24b9/url_lists

usage() {
  prepare_usage "Prepares CNN/DailyMail (Hermann et al. 2015, See et al. 2017), not anonymised, cased, for fairseq." \
    "cnn_stories.tgz, dailymail_stories.tgz, all_train.txt, all_val.txt, all_test.txt"
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

download() { # FOLDER
  fetch "$STORIES_URL/cnn_stories.tgz" "$1/cnn_stories.tgz" \
    e8fbc0027e54e0a916abd9c969eb35f708ed1467d7ef4e3b17a56739d65cb200
  fetch "$STORIES_URL/dailymail_stories.tgz" "$1/dailymail_stories.tgz" \
    ad69010002210b7c406718248ee66e65868b9f6820f163aa966369878d14147e
  fetch "$LISTS_URL/all_train.txt" "$1/all_train.txt"
  fetch "$LISTS_URL/all_val.txt" "$1/all_val.txt" 81887e982b045083409c6ee838aede8ff4b97291605bcfb21bffc456a16991db
  fetch "$LISTS_URL/all_test.txt" "$1/all_test.txt" c4f5efb5ec2126430a5c156efbd13d0e9c4cb490169e552c38b4a51981a009bd
}

prepare
