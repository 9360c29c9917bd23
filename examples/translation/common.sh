# What the scripts of this folder share: the settings of a folder, the steps from text to binary data.
# shellcheck shell=bash
# Source it after `set -euo pipefail`.

# shellcheck source-path=SCRIPTDIR source=../../scripts/common/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common/lib.sh"
source "$ROOT/scripts/common/preparing.sh"

JOINT=yes        # one vocabulary for both languages; empty: one each
SENTENCEPIECE=() # options for sentencepiece_encode.py
APPLY_BPE=()     # options for apply_bpe.py
# A code of two or three letters, perhaps with more after a _: zh, jpn_Jpan
LANGUAGE='[a-z]{2,3}(_[A-Za-z0-9]+)*'

# archive URL NAME [SHA256]: $OUT/download/NAME, tested on every run. One that was deleted after its text
# had been taken out, to make room, is not downloaded again.
archive() {
  [[ -e $OUT/corpus && ! -e $OUT/download/$2 ]] || fetch "$1" "$OUT/download/$2" "${3:-}"
}

# unpack ARCHIVE DIR MEMBER...: these members of the archive, in DIR.
unpack() {
  mkdir -p "$2"
  tar -xf "$1" -C "$2" "${@:3}" 2>"$2/tar.log" || damaged "$1" " or has other contents ($(head -n 1 "$2/tar.log"))"
}

# check_pairs WHAT FILE...: dies unless the file of each split has as many lines as EXPECTED says.
check_pairs() {
  local i counts=() wrong=
  for i in "${!SPLITS[@]}"; do
    counts+=("$(lines "${@:i+2:1}")")
    ((counts[i] >= ${EXPECTED[i]%-*} && counts[i] <= ${EXPECTED[i]#*-})) || wrong=yes
  done
  [[ -z $wrong ]] || die "$1 has ${counts[*]} pairs in ${SPLITS[*]}, expected ${EXPECTED[*]}; if this is the data" \
    "you want, start again with EXPECTED=\"${counts[*]}\" before the command"
}

# read_expected DEFAULT: makes EXPECTED an array, with a number, or a range, for every split.
read_expected() {
  local range number='[1-9][0-9]{0,8}'
  read -rd '' -a EXPECTED <<<"${EXPECTED:-$1}" || true # it fails at the end of the input
  ((${#EXPECTED[@]} == ${#SPLITS[@]})) \
    || die "EXPECTED must have ${#SPLITS[@]} numbers, for ${SPLITS[*]}, got ${EXPECTED[*]}"
  for range in "${EXPECTED[@]}"; do
    [[ $range =~ ^$number(-$number)?$ && ${range%-*} -le ${range#*-} ]] \
      || die "EXPECTED: $range is neither a number nor LEAST-MOST"
  done
}

# check_prepare_settings: those of every prepare-*.sh.
check_prepare_settings() {
  check 'subword-nmt|sentencepiece' BPE
  check_common_settings
}

check_data() { # that DATA is what the script for BENCHMARK made
  [[ -d $DATA/data-bin ]] || die "DATA: $DATA/data-bin is not there: run $(preparer "$BENCHMARK") first"
  check_kind DATA translation-data "$(preparer "$BENCHMARK")"
}

# read_training: BENCHMARK, SRC, TGT, DATA and BPE of the training in CHECKPOINT_DIR, and how to decode it, and the one in
# BASELINE_DIR if that is set. A script that calls it sources recipes.sh.
read_training() {
  local name
  check_folders CHECKPOINT_DIR BASELINE_DIR VENV
  check_settings
  check_kind CHECKPOINT_DIR translation-training train.sh
  DATA=${DATA:-$(setting "$CHECKPOINT_DIR" DATA)}
  check_folders DATA
  for name in BENCHMARK SRC TGT; do printf -v "$name" %s "$(setting "$CHECKPOINT_DIR" "$name")"; done
  choose_decoding "$BENCHMARK" "$CHECKPOINT_DIR" ${BASELINE_DIR:+"$BASELINE_DIR"}
  check_data
  BPE=$(setting "$DATA" BPE)
  # A batch has room for the longest sentence that a recipe's model takes.
  MAX_TOKENS=$((${MAX_TOKENS:-8000} > 1024 ? ${MAX_TOKENS:-8000} : 1024))
}

# sacrebleu_tokenizer LANG: prints sacreBLEU's for this side of the text in DATA; nothing where it has none. It needs
# setup_venv.
sacrebleu_tokenizer() {
  local split
  for split in train valid test; do [[ ! -s $DATA/corpus/raw/$split.$1 ]] || break; done
  python -m rdrop_tools.scoring.unspaced "$DATA/corpus/raw/$split.$1"
}

check_tokenize() { check '13a|intl|zh|char|ja-mecab|ko-mecab|none|spm|flores101|flores200|spBLEU-1K' TOKENIZE; }

# choose_tokenize LANG [TOKENIZER]: sets TOKENIZE, unless it is set, to that of the text, which is not to be empty.
choose_tokenize() {
  TOKENIZE=${TOKENIZE:-${2:-}}
  [[ -n $TOKENIZE ]] \
    || die "TOKENIZE: sacreBLEU has no tokeniser for $1, which is written without spaces: choose one, such as char"
}

# check_tokenizer WANTED: that TOKENIZE is installed; where it was not WANTED by name, characters do without.
check_tokenizer() {
  local extra=
  python -c 'import sys, sacrebleu; sacrebleu.BLEU(tokenize=sys.argv[1])' "$TOKENIZE" >/dev/null 2>&1 && return
  [[ $TOKENIZE != *-mecab ]] \
    || extra="; install it: $(command -v python) -m pip install 'sacrebleu[${TOKENIZE%-mecab}]'"
  [[ -z $1 ]] || die "TOKENIZE: sacreBLEU's $TOKENIZE is not to be had here$extra"
  say "BLEU counts characters (char), as sacreBLEU's $TOKENIZE is not to be had here$extra"
  TOKENIZE=char
}

# begin MEGABYTES KEY=VALUE...: makes OUT, with what its text is made of, where there is room, and the environment.
begin() {
  check_room "$OUT" "${MIN_FREE_MB:-$1}"
  own_folder OUT translation-data corpus "${@:2}" "BPE=$BPE" "MERGES=$MERGES"
  setup_venv examples
}

make_pieces() { # the stages after the text
  run_stage "BPE: $BPE, $MERGES" pieces encode
  run_stage "binarising" data-bin binarise
  say "done: $OUT/data-bin"
}

# encode OUT_DIR: the pieces of $OUT/corpus, learnt on train only.
encode() {
  local lang separate=() codes=(codes) target_codes=()
  mkdir -p "$1"
  if [[ $BPE == sentencepiece ]]; then # on the text as it is: what comes out needs no detokeniser
    [[ -n $JOINT ]] || separate=(--separate)
    python -m rdrop_tools.text.sentencepiece_encode "$OUT/corpus/raw" "$1" --langs "${LANGS[@]}" \
      --vocab-size "$MERGES" --splits "${SPLITS[@]}" "${separate[@]}" "${SENTENCEPIECE[@]}"
  else
    if [[ -z $JOINT ]]; then
      codes=("${LANGS[@]/#/codes.}") target_codes=(--target-codes "$1/codes.${LANGS[1]}")
      for lang in "${LANGS[@]}"; do learn_codes "$1/codes.$lang" "$OUT/corpus/tok/train.$lang"; done
    else
      learn_codes "$1/codes" "${LANGS[@]/#/$OUT/corpus/tok/train.}"
    fi
    python -m rdrop_tools.text.apply_bpe "$1/${codes[0]}" "$OUT/corpus/tok" "$1" --langs "${LANGS[@]}" \
      --splits "${SPLITS[@]}" --workers "$WORKERS" "${target_codes[@]}" "${APPLY_BPE[@]}"
  fi
}

learn_codes() { # CODES TEXT...
  cat "${@:2}" | subword-nmt learn-bpe -s "$MERGES" >"$1" 2>"$OUT/learn-bpe.log" \
    || die "subword-nmt learn-bpe failed, see $OUT/learn-bpe.log"
}

binarise() { # the splits after train and valid are test, test1, test2 ... for fairseq
  local split tests='' options=()
  [[ -z $JOINT ]] || options=(--joined-dictionary)
  for split in "${SPLITS[@]:2}"; do tests+=${tests:+,}$OUT/pieces/$split; done
  [[ -z $tests ]] || options+=(--testpref "$tests")
  fairseq-preprocess --source-lang "${LANGS[0]}" --target-lang "${LANGS[1]}" "${options[@]}" \
    --workers "$WORKERS" --trainpref "$OUT/pieces/train" --validpref "$OUT/pieces/valid" \
    --destdir "$1" >"$OUT/preprocess.log" 2>&1 || die "fairseq-preprocess failed, see $OUT/preprocess.log"
}

# hypotheses LOG NUMBER: from the log of fairseq-generate its outputs 0 to NUMBER-1, in order. A sentence longer than
# the model takes has none: its line is empty, so that the lines are those of the test set.
hypotheses() {
  LC_ALL=C awk -v number="$2" '
    index($0, "H-") == 1 {
      id = substr($0, 3) + 0
      sub(/^[^\t]*\t[^\t]*\t/, "")
      output[id] = $0
      found[id] = 1
    }
    END {
      for (id = 0; id < number; id++) { print output[id]; missing += !(id in found) }
      if (missing)
        print missing " of " number " sentences are too long for the model: their lines are empty" >"/dev/stderr"
    }' "$1"
}
