#!/usr/bin/env bash
# Multi30k, English with German or French, ready for training; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"

usage() {
  cat <<'HELP'
usage: prepare-multi30k.sh [en-de | en-fr]

Leaves in data/multi30k.en-de: corpus/raw and corpus/tok (text, and Moses' tokens), pieces (BPE) and data-bin
(for fairseq, in both directions). Test sets: test = Flickr 2016, test1 = Flickr 2017, test2 = MSCOCO 2017,
test3 = Flickr 2018. Started again, it goes on where it was, and tests the checksums of what is there.

Environment:
  BPE          subword-nmt (default) on Moses' tokens, or sentencepiece on the text as it is
  MERGES       joint BPE merges, or pieces for sentencepiece (6000)
  PAIRS        the first so many of the training pairs (all)
  EXPECTED     pairs in train, valid and each test set ("29000 1014 1000 1000 461 1071"); other data, other numbers
HELP
  usage_of_prepare data/multi30k.en-de 200 "{train,val,test_2016_flickr,...}.{en,de}.gz"
}
[[ $# -le 1 && ${1:-} != -* ]] || show_usage "unexpected arguments: $*" "$@"

PAIR=${1:-en-de}
[[ $PAIR == en-de || $PAIR == en-fr ]] || die "the language pair must be en-de or en-fr, got $PAIR"
LANGS=("${PAIR%-*}" "${PAIR#*-}")
OUT=${OUT:-$ROOT/data/multi30k.$PAIR}
BPE=${BPE:-subword-nmt}
MERGES=${MERGES:-6000}
PAIRS=${PAIRS:-}
SPLITS=(train valid test test1 test2 test3)
read_expected "29000 1014 1000 1000 461 1071"
URL=https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw
SHA256="
726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6  train.de.gz
d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f  train.en.gz
622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c  train.fr.gz
f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a  val.de.gz
14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28  val.en.gz
ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9  val.fr.gz
9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8  test_2016_flickr.de.gz
611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9  test_2016_flickr.en.gz
6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90  test_2016_flickr.fr.gz
a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee  test_2017_flickr.de.gz
76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074  test_2017_flickr.en.gz
3ba671ceb2299f3304ffafefea7a833d08632fbaf0ba18546f8a2ec2391af496  test_2017_flickr.fr.gz
799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338  test_2017_mscoco.de.gz
aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58  test_2017_mscoco.en.gz
754f3072ba9f124569ba5258b32730fc1d214bbf8e0c6dfb2b74401676220db0  test_2017_mscoco.fr.gz
ddd0130c7d97482dc5197a02141dae8dd79f20f03586c480d675c09a32daf608  test_2018_flickr.de.gz
ef4f4844037d4c5dea75c9a8ed5fd78905967a26f67c255e230cc9780032654d  test_2018_flickr.en.gz
fb2b83fcceb937a4f7e3e93c1c51c22aba92f1e342391e6b5ba392b16a920501  test_2018_flickr.fr.gz"
NAMES=(train val test_2016_flickr test_2017_flickr test_2017_mscoco test_2018_flickr)

corpus() {
  local i lang split file text=$1/text files=()
  mkdir -p "$text"
  for i in "${!SPLITS[@]}"; do
    for lang in "${LANGS[@]}"; do
      file=$OUT/download/${NAMES[i]}.$lang.gz
      gzip -dc "$file" >"$text/${SPLITS[i]}.$lang" || damaged "$file"
    done
    same_lines "${LANGS[@]/#/$text/${SPLITS[i]}.}"
    files+=("$text/${SPLITS[i]}.en")
  done
  check_pairs Multi30k "${files[@]}"
  [[ -z $PAIRS ]] || sed -i "$((PAIRS + 1)),\$d" "${LANGS[@]/#/$text/train.}"
  for split in "${SPLITS[@]}"; do
    python -m rdrop_tools.text.tokenize_corpus "$1" "$split" --langs "${LANGS[@]}" --keep-raw \
      --pair "${LANGS[@]/#/$text/$split.}" --workers "$WORKERS"
  done
  rm -r "$text"
}

check_prepare_settings
begin 200 BENCHMARK=multi30k "LANGS=$PAIR" "PAIRS=$PAIRS"
for name in "${NAMES[@]}"; do
  for lang in "${LANGS[@]}"; do
    file=$name.$lang.gz
    archive "$URL/$file" "$file" "$(awk -v file="$file" '$2 == file {print $1}' <<<"$SHA256")"
  done
done
run_stage "text and tokens" corpus corpus
make_pieces
