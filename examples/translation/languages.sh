# What scoring has to know of a language, by its text: sacreBLEU's tokeniser for it.
# shellcheck shell=bash
# Source it after lib.sh. A language is a code of two or three letters, perhaps with more after a _: zh, jpn_Jpan.

LANGUAGE='[a-z]{2,3}(_[A-Za-z0-9]+)*'

# sacrebleu_tokenizer LANG: prints sacreBLEU's for this side of the text in DATA; nothing where it has none. It needs
# setup_venv.
sacrebleu_tokenizer() {
  local split
  for split in train valid test; do [[ ! -s $DATA/corpus/raw/$split.$1 ]] || break; done
  python -m rdrop_tools.scoring.unspaced "$DATA/corpus/raw/$split.$1"
}

check_tokenize() { check_choice TOKENIZE 13a intl zh char ja-mecab ko-mecab none spm flores101 flores200 spBLEU-1K; }

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
  case $TOKENIZE in
    ja-mecab) extra="; install it: $(command -v python) -m pip install 'sacrebleu[ja]'" ;;
    ko-mecab) extra="; install it: $(command -v python) -m pip install 'sacrebleu[ko]'" ;;
  esac
  [[ -z $1 ]] || die "TOKENIZE: sacreBLEU's $TOKENIZE is not to be had here$extra"
  say "BLEU counts characters (char), as sacreBLEU's $TOKENIZE is not to be had here$extra"
  TOKENIZE=char
}
