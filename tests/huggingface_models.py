"""Random small models of Hugging Face transformers, batches for them, and Trainers with R-Drop."""

import copy
import os
import sys

import torch
import transformers

from rdrop_fairseq.huggingface import RDropTrainer

TUNE = "examples/huggingface/fine_tune.py"
VOCAB = 53
SIDES = {"layers": 1, "ffn_dim": 32, "attention_heads": 2}
BART = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in SIDES.items()}
BART |= {"vocab_size": VOCAB, "d_model": 16, "max_position_embeddings": 64, "dropout": 0.1}
T5 = {"vocab_size": VOCAB, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
T5 |= {"decoder_start_token_id": 0}
LLAMA = {"vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
LLAMA |= {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "attention_dropout": 0.2}
GPT = {"vocab_size": VOCAB, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
CONFIGS = {
    "bart": lambda: transformers.BartConfig(**BART),
    "mbart": lambda: transformers.MBartConfig(**BART),
    "marian": lambda: transformers.MarianConfig(
        **BART, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1
    ),
    "nllb": lambda: transformers.M2M100Config(**BART, encoder_layerdrop=0.0, decoder_layerdrop=0.0),
    "t5, tied": lambda: transformers.T5Config(**T5),
    "t5, untied": lambda: transformers.T5Config(
        **T5, tie_word_embeddings=False, feed_forward_proj="gated-gelu"
    ),
    "gpt2": lambda: transformers.GPT2Config(**GPT),
    "gptj": lambda: transformers.GPTJConfig(**GPT, rotary_dim=4, resid_pdrop=0.1),  # its lm_head has a bias
    "llama": lambda: transformers.LlamaConfig(**LLAMA),
    "cohere": lambda: transformers.CohereConfig(**LLAMA),  # scales its logits
}
BIASED = ("bart", "mbart", "marian")
CAUSAL = ("gpt2", "gptj", "llama", "cohere")


def make_model(name, **changes):
    config = CONFIGS[name]()
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(0)
    auto = transformers.AutoModelForCausalLM if name in CAUSAL else transformers.AutoModelForSeq2SeqLM
    model = auto.from_config(config)
    for key, tensor in [*model.named_buffers(), *model.named_parameters()]:
        if key in ("final_logits_bias", "lm_head.bias"):
            tensor.data.normal_()
    return model.train()


def make_batch(name, sizes=((7, 5), (9, 6), (4, 8))):
    """A batch of these lengths, (source, target); for a causal model, of prompt and continuation."""
    generator = torch.Generator().manual_seed(1)
    rows = [[torch.randint(3, VOCAB, (n,), generator=generator) for n in size] for size in sizes]
    if name in CAUSAL:
        rows = [(torch.cat(row), torch.cat([torch.full_like(row[0], -100), row[1]])) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    sources = pad([source for source, _ in rows], batch_first=True, padding_value=1)
    masks = pad([torch.ones_like(source) for source, _ in rows], batch_first=True)
    labels = pad([target for _, target in rows], batch_first=True, padding_value=-100)
    return {"input_ids": sources, "attention_mask": masks, "labels": labels}


def make_trainer(model, folder, data=(), kind=RDropTrainer, **settings):
    """A Trainer of that kind; what is not its own goes to TrainingArguments."""
    own = {"rdrop_alpha": 2.5} if kind is RDropTrainer else {}
    own |= {name: settings.pop(name) for name in [*settings] if name.startswith(("rdrop_", "compute_"))}
    defaults = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
    defaults |= {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
    arguments = transformers.TrainingArguments(folder, remove_unused_columns=False, **defaults | settings)
    return kind(model, arguments, transformers.default_data_collator, list(data), list(data), **own)


def rows_of(batch):
    return [{key: value[i] for key, value in batch.items()} for i in range(len(batch["labels"]))]


def weights_after_an_update(name, folder, size, takes_count=True, labels=(2, 9, 5, 7), **settings):
    """A model without dropout after an update on four sentences, ``size`` at a time in each process.

    takes_count: whether the model divides its loss by the Trainer's count of labels; labels of each sentence.
    """
    rates = ("dropout", "attention_dropout", "dropout_rate", "resid_pdrop", "embd_pdrop", "attn_pdrop")
    model = make_model(name, **dict.fromkeys(rates, 0.0))
    model.accepts_loss_kwargs = takes_count
    before = copy.deepcopy(model.state_dict())
    batch = make_batch(name, sizes=[*zip((7, 7, 4, 4), labels, strict=True)])
    settings |= {"per_device_train_batch_size": size, "max_steps": 1}
    make_trainer(model, folder, rows_of(batch), **settings).train()
    weights = model.state_dict()
    assert any(labels) == any(not torch.equal(before[key], value) for key, value in weights.items())
    return weights


def log_of_steps(caplog, trainer, model, *batches):
    """What was logged of the losses of these batches, and the losses, with one state of random numbers."""
    caplog.clear()
    torch.manual_seed(7)
    losses = [trainer.compute_loss(model, batch) for batch in batches]
    return [record.getMessage() for record in caplog.records], losses


if __name__ == "__main__":  # one process of two, started by torchrun
    model, out = sys.argv[1:]
    accumulate = {"gradient_accumulation_steps": 2, "ddp_backend": "gloo"}
    weights = weights_after_an_update(model, out, size=1, labels=(0, 0, 5, 0), **accumulate)
    if os.environ["RANK"] == "0":
        torch.save(weights, f"{out}/weights.pt")
    torch.distributed.destroy_process_group()  # its threads can abort the interpreter's end
