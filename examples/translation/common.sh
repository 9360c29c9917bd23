# What the scripts of this folder share: the settings of a folder, the steps from text to binary data.
# shellcheck shell=bash
# Source it after `set -euo pipefail`.

# shellcheck source-path=SCRIPTDIR source=../../scripts/common/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common/lib.sh"

WORKERS=${WORKERS:-$(nproc)}

# setting DIR KEY: the value noted in DIR/settings.
setting() {
  [[ -s $1/settings ]] || die "$1/settings is not there: is $1 the output of ${3:-the script before this one}?"
  sed -n "s/^$2=//p" "$1/settings"
}

# archive URL NAME [SHA256]: $OUT/download/NAME, tested on every run. One that was deleted after its text
# had been taken out, to make room, is not downloaded again.
archive() {
  [[ -e $OUT/corpus && ! -e $OUT/download/$2 ]] || fetch "$1" "$OUT/download/$2" "${3:-}"
}

# unpack ARCHIVE DIR MEMBER...: these members of the archive, in DIR.
unpack() {
  mkdir -p "$2"
  tar -xf "$1" -C "$2" "${@:3}" 2>"$2/tar.log" \
    || die "$1 is damaged or has other contents ($(head -n 1 "$2/tar.log")): delete it and start again"
}

# check_pairs WHAT NUMBER|LEAST-MOST FILE FILE: dies unless both sides are there with that many lines.
check_pairs() {
  local file lines
  for file in "${@:3}"; do [[ -s $file ]] || die "$1: $file is missing or empty"; done
  lines=$(wc -l <"$3")
  count_lines "$lines" "$4"
  ((lines >= ${2%-*} && lines <= ${2#*-})) || die "$1 has $lines pairs, expected $2 (EXPECTED, see --help)"
}

check_expected() { # NUMBER...: one for every split
  (($# == ${#SPLITS[@]})) || die "EXPECTED must have ${#SPLITS[@]} numbers, got $*"
  local number
  for number; do
    [[ $number =~ ^[0-9]+(-[0-9]+)?$ ]] || die "EXPECTED: $number is neither a number nor LEAST-MOST"
  done
}

check_bpe() { # BPE and MERGES are sane
  [[ $BPE == subword-nmt || $BPE == sentencepiece ]] || die "BPE must be subword-nmt or sentencepiece, got $BPE"
  [[ $MERGES =~ ^[1-9][0-9]*$ ]] || die "MERGES must be a positive number, got $MERGES"
}

# encode OUT_DIR [apply_bpe's arguments...]: the pieces of $OUT/corpus, joint codes learnt on train only.
encode() {
  local lang
  mkdir -p "$1"
  if [[ $BPE == sentencepiece ]]; then # on the text as it is: what comes out needs no detokeniser
    python "$ROOT/scripts/text/sentencepiece_encode.py" "$OUT/corpus/raw" "$1" --langs "${LANGS[@]}" \
      --vocab-size "$MERGES" --splits "${SPLITS[@]}"
  else
    for lang in "${LANGS[@]}"; do cat "$OUT/corpus/tok/train.$lang"; done \
      | subword-nmt learn-bpe -s "$MERGES" >"$1/codes" 2>"$OUT/learn-bpe.log" \
      || die "subword-nmt learn-bpe failed, see $OUT/learn-bpe.log"
    python "$ROOT/scripts/text/apply_bpe.py" "$1/codes" "$OUT/corpus/tok" "$1" --langs "${LANGS[@]}" \
      --splits "${SPLITS[@]}" --workers "$WORKERS" "${@:2}"
  fi
}

binarise() { # the splits after train and valid are test, test1, test2 ... for fairseq
  local split tests=
  for split in "${SPLITS[@]:2}"; do tests+=${tests:+,}$OUT/pieces/$split; done
  fairseq-preprocess --source-lang "${LANGS[0]}" --target-lang "${LANGS[1]}" --joined-dictionary \
    --workers "$WORKERS" --trainpref "$OUT/pieces/train" --validpref "$OUT/pieces/valid" --testpref "$tests" \
    --destdir "$1" >"$OUT/preprocess.log" 2>&1 || die "fairseq-preprocess failed, see $OUT/preprocess.log"
}
