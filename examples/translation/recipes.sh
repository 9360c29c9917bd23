# The hyper-parameters of every benchmark, and of one's own corpus, in training and in decoding.
# Those of IWSLT14 and WMT14 are the paper's. config/*.yaml says the same to fairseq-hydra-train.
# shellcheck shell=bash disable=SC2034

BENCHMARKS=(iwslt14 wmt14 multi30k libreoffice)

is_benchmark() { [[ " ${BENCHMARKS[*]} " == *" $1 "* ]]; }
preparer() { if is_benchmark "$1"; then echo "prepare-$1.sh"; else echo prepare-text.sh; fi; } # the script for NAME

# recipe NAME [PAIRS]: of a benchmark, or of somebody's own corpus with so many training pairs; sets
#   ARCHITECTURE SCHEDULER OPTIMIZER TRAINING   flags for fairseq-train; of the first three the first flag is what
#                           the others go with: they are left out where the user has another
#   TOKENS_PER_UPDATE       target tokens of an update, over all processes and accumulated batches
#   DEFAULT_MAX_TOKENS DEFAULT_ALPHA DEFAULT_MAX_UPDATE
#   FINISH_LR FINISH_UPDATES    of R-Drop as the finish of another training: a fifth of the recipe's
#   VALIDATION_BEAM         beam of the BLEU on valid that chooses the best checkpoint
#   AVERAGE                 checkpoints that evaluate.sh averages, last:N or best:N (best by BLEU on valid)
#   DECODING                flags for fairseq-generate
#   SCORING                 flags for score_translation.py: how the papers count on this benchmark. On IWSLT14 some
#                           split compounds, the authors of R-Drop among them, and some do not, as those of SimCut
#   TOKENISING              flags for moses.py: how the corpus was tokenised
#   REASON ALPHA_REASON     for a corpus of one's own: which model and alpha, and why; for a benchmark none
recipe() {
  SCHEDULER=(--lr-scheduler inverse_sqrt --warmup-init-lr 1e-07)
  OPTIMIZER=(--optimizer adam --adam-betas '(0.9, 0.98)')
  TRAINING=(--clip-norm 0.0 --label-smoothing 0.1
    --skip-invalid-size-inputs-valid-test --required-batch-size-multiple 1) # by default 8, and what is left of the last batch is lost, of valid too
  VALIDATION_BEAM=5 AVERAGE=last:10 REASON=
  DECODING=(--beam 5 --lenpen 1.0) SCORING=() TOKENISING=()
  case $1 in
    iwslt14)
      ARCHITECTURE=(--arch transformer_iwslt_de_en --share-all-embeddings --dropout 0.3)
      SCHEDULER+=(--warmup-updates 4000) OPTIMIZER+=(--weight-decay 1e-4)
      TRAINING+=(--lr 5e-4 --keep-last-epochs 5 --keep-best-checkpoints 5)
      TOKENS_PER_UPDATE=4096 DEFAULT_MAX_TOKENS=4096 DEFAULT_ALPHA=5 DEFAULT_MAX_UPDATE=300000
      FINISH_LR=1e-4 FINISH_UPDATES=60000
      AVERAGE=best:1
      SCORING=(--lowercase --split-compounds both)
      TOKENISING=(--lowercase --plain-apostrophes)
      ;;
    wmt14)
      ARCHITECTURE=(--arch transformer_vaswani_wmt_en_de_big --share-all-embeddings
        --dropout 0.1 --attention-dropout 0.1 --activation-dropout 0.1)
      SCHEDULER+=(--warmup-updates 6000) OPTIMIZER+=(--weight-decay 0.0)
      TRAINING+=(--lr 1e-3 --keep-last-epochs 10)
      TOKENS_PER_UPDATE=65536 DEFAULT_MAX_TOKENS=4096 DEFAULT_ALPHA=5 DEFAULT_MAX_UPDATE=300000
      FINISH_LR=2e-4 FINISH_UPDATES=60000
      DECODING=(--beam 4 --lenpen 0.6)
      TOKENISING=(--split-dashes --plain-apostrophes)
      [[ ${TGT:-} != de ]] || SCORING=(--split-compounds yes)
      ;;
    multi30k) # not in the paper: wide enough to overfit 29,000 pairs, small enough for a CPU core
      ARCHITECTURE=(--arch transformer --share-all-embeddings --dropout 0.3
        --encoder-layers 3 --encoder-embed-dim 256 --encoder-ffn-embed-dim 1024 --encoder-attention-heads 4
        --decoder-layers 3 --decoder-embed-dim 256 --decoder-ffn-embed-dim 1024 --decoder-attention-heads 4
        --encoder-normalize-before --decoder-normalize-before)
      SCHEDULER+=(--warmup-updates 1000) OPTIMIZER+=(--weight-decay 0.0)
      TRAINING+=(--lr 2e-3 --keep-last-epochs 10 --keep-best-checkpoints 1
        --max-tokens-valid 8000 --update-epoch-batch-itr True) # a resumed run has the batches of one that was not
      TOKENS_PER_UPDATE=1024 DEFAULT_MAX_TOKENS=1024 DEFAULT_ALPHA=1 DEFAULT_MAX_UPDATE=14000 VALIDATION_BEAM=1
      FINISH_LR=4e-4 FINISH_UPDATES=2685
      ;;
    libreoffice) # the quickstart's: chosen on valid for ten minutes on two CPU cores, not quite three epochs
      local updates=${MAX_UPDATE:-1100}
      ARCHITECTURE=(--arch transformer --share-all-embeddings --dropout 0.1
        --encoder-layers 2 --encoder-embed-dim 128 --encoder-ffn-embed-dim 512 --encoder-attention-heads 4
        --decoder-layers 2 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 --decoder-attention-heads 4
        --encoder-normalize-before --decoder-normalize-before)
      SCHEDULER=(--lr-scheduler polynomial_decay --total-num-update "$updates" --warmup-updates $((updates / 10 + 1)))
      TRAINING+=(--lr 0.005 --clip-norm 1.0 --max-tokens-valid 8000
        --save-interval-updates $(((updates + 4) / 5)) --keep-interval-updates 1 --no-epoch-checkpoints
        --save-interval 1000000 --validate-interval 1000000 --num-workers 0) # a save between epochs also validates
      TOKENS_PER_UPDATE=2048 DEFAULT_MAX_TOKENS=2048 DEFAULT_ALPHA=0.5 DEFAULT_MAX_UPDATE=1100 VALIDATION_BEAM=1
      FINISH_LR=1e-3 FINISH_UPDATES=220
      AVERAGE=best:1
      DECODING=(--beam 5 --lenpen 1.5)
      ;;
    *) own_recipe "${2:-0}" ;;
  esac
}

# own_recipe PAIRS: that of the benchmark which is nearest in size; from a million pairs on transformer base with its
# usual batches. The alpha is that of the benchmark too.
own_recipe() {
  ALPHA_REASON="measured were 1 at 10,000 and 29,000 pairs (Multi30k) and, in the paper, 5 from 160,000 pairs on"
  if (($1 < 100000)); then
    recipe multi30k
    REASON="a small transformer (3+3 layers, 256 wide), as for Multi30k, below 100,000 pairs"
    if (($1 < 5000)); then # an epoch takes seconds, and to validate and save after each would take longer
      local epochs=$(($1 > 0 ? (5000 + $1 - 1) / $1 : 1))
      TRAINING+=(--validate-interval "$epochs" --save-interval "$epochs")
    fi
  elif (($1 < 1000000)); then
    recipe iwslt14
    REASON="transformer_iwslt_de_en, as for IWSLT14, from 100,000 to a million pairs"
  else
    recipe wmt14
    ARCHITECTURE=(--arch transformer --share-all-embeddings --dropout 0.1)
    SCHEDULER+=(--warmup-updates 4000)
    TRAINING+=(--lr 7e-4)
    TOKENS_PER_UPDATE=32768 FINISH_LR=1.4e-4
    REASON="transformer base, from a million pairs on"
  fi
  TRAINING+=(--keep-last-epochs 10 --keep-best-checkpoints 1)
  AVERAGE=last:10
  DECODING=(--beam 5 --lenpen 1.0) SCORING=() TOKENISING=()
}

# finish: after recipe, what R-Drop as the finish of another training has in the place of the recipe's.
finish() {
  SCHEDULER=(--lr-scheduler fixed)
  TRAINING+=(--lr "$FINISH_LR")
  [[ $CRITERION == plain ]] || TRAINING+=(--rdrop-interval 2) # three quarters of the time of 1; on Multi30k no worse, with one seed
  DEFAULT_MAX_UPDATE=$FINISH_UPDATES
}

# choose_decoding NAME DIR...: AVERAGE and DECODING for these trainings, those of the environment or the recipe's. A
# training that began with another (FROM) is short: its last 5. With a corpus of one's own, where one of them has too
# few checkpoints for the average, it is the best of each.
choose_decoding() {
  local wanted_average=${AVERAGE:-} wanted_decoding=${DECODING:-} dir # recipe sets these
  recipe "$1"
  for dir in "${@:2}"; do
    [[ -z $(setting "$dir" FROM) || $AVERAGE != last:* ]] || AVERAGE=last:5
    is_benchmark "$1" \
      || (($(find "$dir" -maxdepth 1 -regex '.*/checkpoint[0-9]+[.]pt' | wc -l) >= ${AVERAGE#*:})) || AVERAGE=best:1
  done
  AVERAGE=${wanted_average:-$AVERAGE}
  [[ -z $wanted_decoding ]] || read -rd '' -a DECODING <<<"$wanted_decoding" || true # it fails at the end of the input
  [[ $AVERAGE =~ ^(last|best):[1-9][0-9]{0,3}$ ]] || die "AVERAGE must be last:N or best:N, got $AVERAGE"
  [[ ${DECODING[0]} == --* ]] || die "DECODING must be flags of fairseq-generate (--beam 5 ...), got ${DECODING[*]}"
}
