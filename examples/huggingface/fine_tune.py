#!/usr/bin/env python3
"""Fine-tune a sequence-to-sequence model of Hugging Face transformers with R-Drop, and score it on valid.

FOLDER has train.SRC, train.TGT, valid.SRC and valid.TGT, a text a line. Without FOLDER the pairs are dates,
"2026-11-27" and "November 27 in the year 2026". Without --model the model is a small random BART, and its
tokenizer is learnt from the pairs. BLEU and chrF2 are sacreBLEU's, of greedy search.
"""

import datetime
import random
import sys
from pathlib import Path
from typing import Any

import sacrebleu
import torch

from rdrop_tools import cli
from rdrop_tools.lines import Pair, read_pairs

SPLITS = {"train": 2000, "valid": 200}  # pairs made up
SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>"}  # BART's 0, 1 and 2


def make_up_pairs(count: int, seed: int) -> list[Pair]:
    days = random.Random(seed).choices(range(700000, 750000), k=count)
    dates = map(datetime.date.fromordinal, days)
    return [(date.isoformat(), f"{date:%B} {date.day} in the year {date.year}") for date in dates]


def load_pairs(folder: Path | None, source: str, target: str) -> dict[str, list[Pair]]:
    if folder is None:
        return {split: make_up_pairs(count, seed) for seed, (split, count) in enumerate(SPLITS.items())}
    pairs = {}
    for split in SPLITS:
        files = [cli.input_file(folder / f"{split}.{language}") for language in (source, target)]
        pairs[split] = list(read_pairs(*files))
        if not pairs[split]:
            raise cli.InputError(f"{files[0]} is empty")
    return pairs


def make_tokenizer(pairs: list[Pair], vocab_size: int) -> Any:
    """Byte-level BPE, of both sides; an end of sentence after each text."""
    import transformers
    from tokenizers import ByteLevelBPETokenizer, Tokenizer, processors

    bpe = ByteLevelBPETokenizer()
    options = {"special_tokens": [*SPECIAL.values()], "show_progress": False}
    bpe.train_from_iterator((text for pair in pairs for text in pair), vocab_size, **options)
    tokenizer = Tokenizer.from_str(bpe.to_str())
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def make_model(vocab_size: int, max_length: int) -> Any:
    import transformers

    sizes = {"layers": 2, "ffn_dim": 256, "attention_heads": 4}
    sides = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()}
    lengths = {"vocab_size": vocab_size, "d_model": 128, "max_position_embeddings": max_length}
    return transformers.BartForConditionalGeneration(transformers.BartConfig(**lengths, **sides))


def load(name: str) -> tuple[Any, Any]:
    import transformers

    try:
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(name)
        return model, transformers.AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:  # not there, or of another kind; in many lines
        raise cli.InputError(f"cannot load --model {name}: {str(error).splitlines()[0]}") from None


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("folder", nargs="?", type=cli.input_folder)
    parser.add_argument("--source", default="source", metavar="SRC", help="ending of the files")
    parser.add_argument("--target", default="target", metavar="TGT")
    parser.add_argument("--model", help="a folder, or a name on the Hugging Face hub")
    parser.add_argument("--out", type=cli.output_folder, required=True, help="of the model, its checkpoints")
    parser.add_argument("--alpha", type=cli.number(0), default=2.5, help="cross entropies averaged")
    parser.add_argument("--passes", type=cli.integer(2), default=2)
    parser.add_argument("--epochs", type=cli.number(0.01), default=10)
    parser.add_argument("--batch", type=cli.integer(1), default=32, help="pairs")
    parser.add_argument("--lr", type=cli.number(0), default=1e-3, help="5e-5 or less for a trained model")
    parser.add_argument("--label-smoothing", type=cli.number(0, 0.99), default=0.1)
    parser.add_argument("--max-length", type=cli.integer(2), default=128, help="tokens; longer texts are cut")
    parser.add_argument("--seed", type=cli.integer(0), default=1)
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):  # old checkpoints would be deleted
        parser.error(f"--out {args.out} is not empty: name a new folder")
    pairs = load_pairs(args.folder, args.source, args.target)

    import transformers

    from rdrop_fairseq.huggingface import RDropSeq2SeqTrainer

    transformers.set_seed(args.seed)
    if args.model is None:
        tokenizer = make_tokenizer(pairs["train"], vocab_size=1000)
        model = make_model(len(tokenizer), args.max_length)
    else:
        model, tokenizer = load(args.model)
    limit = {"max_length": args.max_length, "truncation": True}
    data = {
        split: [dict(tokenizer(source, text_target=target, **limit)) for source, target in found]
        for split, found in pairs.items()
    }
    settings = transformers.Seq2SeqTrainingArguments(
        output_dir=args.out,
        per_device_train_batch_size=args.batch,
        per_device_eval_batch_size=args.batch,
        num_train_epochs=args.epochs,
        learning_rate=args.lr,
        warmup_steps=0.1,
        label_smoothing_factor=args.label_smoothing,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="epoch",
        predict_with_generate=True,
        generation_max_length=args.max_length,
        generation_num_beams=1,
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=args.seed,
    )
    references = [target for _, target in pairs["valid"]]

    def score(prediction: Any) -> dict[str, float]:
        tokens = prediction.predictions
        tokens[tokens < 0] = tokenizer.pad_token_id  # -100, by which outputs are padded to one length
        outputs = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        metrics: dict[str, Any] = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}
        return {name: metric(outputs, [references]).score for name, metric in metrics.items()}

    trainer = RDropSeq2SeqTrainer(
        model,
        settings,
        transformers.DataCollatorForSeq2Seq(tokenizer, model),
        data["train"],
        data["valid"],
        processing_class=tokenizer,
        compute_metrics=score,
        rdrop_alpha=args.alpha,
        rdrop_passes=args.passes,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    cli.run(main)
