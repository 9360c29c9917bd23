#!/usr/bin/env bash
# The help of LibreOffice in English and another language, ready for training; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"

usage() {
  cat <<'HELP'
usage: prepare-libreoffice.sh [de-en | fr-en | ...]

Takes the pages of the help from Debian's or Ubuntu's packages, which are unpacked and not installed. Leaves in
data/libreoffice.de-en: corpus/raw (text), pieces (SentencePiece) and data-bin (for fairseq, in both directions).
Started again, it goes on where it was.

Environment:
  LIBREOFFICE_HELP_DIR  a folder with the help's de/ and en-US/, in place of the download
  HELDOUT      pairs in valid and in test (1000)
  MERGES       pieces for sentencepiece (4000)
HELP
  usage_of_prepare data/libreoffice.de-en 500
}
[[ $# -le 1 && ${1:-} != -* ]] || show_usage "unexpected arguments: $*" "$@"

PAIR=${1:-de-en}
[[ $PAIR =~ ^[a-z]{2,3}-en$ && $PAIR != en-en ]] || die "the language pair must be de-en, or another language with en, got $PAIR"
LANGS=("${PAIR%-*}" en)
OUT=${OUT:-$ROOT/data/libreoffice.$PAIR}
BPE=${BPE:-sentencepiece}
MERGES=${MERGES:-4000}
HELDOUT=${HELDOUT:-1000}
SPLITS=(train valid test)

pages() { # prints the folder of the pages
  local deb pages=$OUT/debs/usr/share/libreoffice/help get
  if [[ -n ${LIBREOFFICE_HELP_DIR:-} ]]; then
    pages=$LIBREOFFICE_HELP_DIR
  elif [[ ! -d $pages ]]; then
    command -v apt-get >/dev/null \
      || die "no apt-get here to download the LibreOffice help with: name a folder with LIBREOFFICE_HELP_DIR"
    mkdir -p "$OUT/debs.part"
    get=(apt-get download "libreoffice-help-${LANGS[0]}" libreoffice-help-en-us)
    (
      cd "$OUT/debs.part"
      "${get[@]}" || { [[ $(id -u) -eq 0 ]] && apt-get update && "${get[@]}"; }
    ) >"$OUT/apt.log" 2>&1 || die "apt-get download failed, see $OUT/apt.log: run 'apt-get update' as root"
    for deb in "$OUT"/debs.part/*.deb; do dpkg-deb -x "$deb" "$OUT/debs.part"; done
    rm -rf "$OUT/debs"
    mv "$OUT/debs.part" "$OUT/debs"
  fi
  echo "$pages"
}

corpus() {
  local pages
  pages=$(pages)
  python -m rdrop_tools.text.libreoffice_corpus "$pages" "$1/raw" --source "${LANGS[0]}" --heldout "$HELDOUT"
}

check_prepare_settings
absolute LIBREOFFICE_HELP_DIR
[[ $BPE == sentencepiece ]] || die "BPE must be sentencepiece for this benchmark, got $BPE"
begin 500 BENCHMARK=libreoffice "LANGS=$PAIR" "HELDOUT=$HELDOUT"
run_stage "text" corpus corpus
make_pieces
