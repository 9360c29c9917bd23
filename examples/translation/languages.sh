# What scoring has to know of a language: whether it is written with spaces, and sacreBLEU's tokeniser for it.
# shellcheck shell=bash
# Source it after lib.sh. A language is a code of two or three letters, perhaps with more after a _: zh, jpn_Jpan.

LANGUAGE='[a-z]{2,3}(_[A-Za-z]+)?'

has_spaces() { # LANG: between its words
  [[ ! ${1%%_*} =~ ^(ja|jpn|zh|zho|cmn|yue|wuu|lzh|th|tha|lo|lao|km|khm|my|mya|bo|bod|dz|dzo)$ ]]
}

# sacrebleu_tokenizer LANG: prints sacreBLEU's for it; nothing where it has none and there are no spaces.
sacrebleu_tokenizer() {
  case ${1%%_*} in
    ja | jpn) echo ja-mecab ;;
    zh | zho | cmn | yue | wuu | lzh) echo zh ;;
    ko | kor) echo ko-mecab ;;
    th | tha) echo char ;;
    *) ! has_spaces "$1" || echo 13a ;;
  esac
}

# choose_tokenize LANG: sets TOKENIZE, unless it is set.
choose_tokenize() {
  check_choice TOKENIZE 13a intl zh char ja-mecab ko-mecab none spm flores101 flores200 spBLEU-1K
  TOKENIZE=${TOKENIZE:-$(sacrebleu_tokenizer "$1")}
  [[ -n $TOKENIZE ]] \
    || die "TOKENIZE: sacreBLEU has no tokeniser for $1, which is written without spaces: choose one, such as char"
}

# check_tokenizer WANTED: that TOKENIZE is installed; where it was not WANTED by name, characters do without.
check_tokenizer() {
  local extra=
  python -c 'import sys, sacrebleu; sacrebleu.BLEU(tokenize=sys.argv[1])' "$TOKENIZE" >/dev/null 2>&1 && return
  case $TOKENIZE in
    ja-mecab) extra="; install it: $(command -v python) -m pip install 'sacrebleu[ja]'" ;;
    ko-mecab) extra="; install it: $(command -v python) -m pip install 'sacrebleu[ko]'" ;;
  esac
  [[ -z $1 ]] || die "TOKENIZE: sacreBLEU's $TOKENIZE is not to be had here$extra"
  say "BLEU counts characters (char), as sacreBLEU's $TOKENIZE is not to be had here$extra"
  TOKENIZE=char
}
