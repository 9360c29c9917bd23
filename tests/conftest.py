"""Small data and in-process fairseq objects for the tests."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

try:
    import fairseq
except ImportError:  # the losses have tests that do without
    fairseq = None

import rdrop_fairseq

if not torch.cuda.is_available():  # before triton is imported: its kernels take the tensors of a CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")

pytest_plugins = ["devices"]  # its fixtures
ROOT = Path(__file__).resolve().parent.parent
SCRIPTS, TOOLS = ROOT / "scripts", ROOT / "rdrop_tools"
USER_DIR = str(Path(rdrop_fairseq.__file__).parent)
LANGS = ("de", "en")

# A small language of our own: (German, English) for each slot of "<who> <does> <what> <where> ."
SLOTS = [
    [("der hund", "the dog"), ("die katze", "the cat"), ("ein mann", "a man"), ("eine frau", "a woman")],
    [("sieht", "sees"), ("malt", "paints"), ("findet", "finds"), ("trägt", "carries")],
    [("das haus", "the house"), ("den ball", "the ball"), ("ein buch", "a book"), ("den hut", "the hat")],
    [
        ("", ""),
        ("im garten", "in the garden"),
        ("am see", "at the lake"),
        ("auf dem großen berg", "on the hill"),
    ],
]


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Pairs of (German, English), drawn from SLOTS."""
    rng = random.Random(seed)
    chosen = [[rng.choice(slot) for slot in SLOTS] for _ in range(count)]
    return [tuple(" ".join(w[side] for w in words if w[side]) + " ." for side in (0, 1)) for words in chosen]


def lengthen_last_line(*texts):
    """Makes the last line of each of these .gz longer than any model takes."""
    for path in texts:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        lines[-1] = b" ".join([b"a man sees the ball"] * 250)
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))


def run(*command, check=True, stderr=subprocess.STDOUT, **env):
    """Runs a command of the environment the tests run in; output and errors are together in ``stdout``."""
    pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    result = subprocess.run([str(part) for part in command], env=_with_path(env), check=False, **pipes)
    assert not check or result.returncode == 0, result.stdout[-4000:]
    return result


def kill_when(path, *command, **env):
    """Starts the command and kills it, children and all, as soon as the file ``path`` is there."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen([str(part) for part in command], env=_with_path(env), **options)
    try:
        while not path.exists():
            assert process.poll() is None, f"{command[0]} ended without {path}"
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _with_path(env):
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **env}


def files(folder):
    """{file: its modification time}"""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def scripts_environment():
    """The running virtual environment, so that the scripts have nothing to install."""
    if not list(Path(sys.prefix).glob(".installed-*-examples")):
        pytest.skip("not in the environment that scripts/test.sh sets up")
    return {"VENV": sys.prefix}


@pytest.fixture(scope="session")
def text_dir(tmp_path_factory):
    """A folder with {train,valid,test}.{de,en}."""
    folder = tmp_path_factory.mktemp("text")
    for seed, (split, count) in enumerate({"train": 120, "valid": 20, "test": 20}.items()):
        for lang, lines in zip(LANGS, zip(*sentences(count, seed))):
            (folder / f"{split}.{lang}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def data_bin(text_dir, tmp_path_factory):
    """The text binarised by fairseq-preprocess, with a joined dictionary."""
    folder = tmp_path_factory.mktemp("bin") / "data"
    prefixes = [part for s in ("train", "valid", "test") for part in (f"--{s}pref", text_dir / s)]
    preprocess = [sys.executable, "-m", "fairseq_cli.preprocess"]  # where no command is installed, too
    run(*preprocess, "-s", "de", "-t", "en", "--joined-dictionary", *prefixes, "--destdir", folder)
    return folder


def gradients(model):
    """{name: copy of the parameter's gradient}, without the parameters that have none."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def check_log(got, expected, keys=None, rtol=1e-6, atol=0):
    """The values of ``expected``, or of these keys of it, are in ``got`` too."""
    for key in keys or expected:
        values = float(got[key]), float(expected[key])
        torch.testing.assert_close(*values, rtol=rtol, atol=atol, msg=f"{key}: {values}")


def check_gradients(got, expected, rtol=1e-4, atol=1e-4):
    """Both have the same parameters, with gradients as close as the tolerances say."""
    assert got.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(got[name], grad, rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def moved(value, device):
    """A batch, with its tensors on the device."""
    if isinstance(value, dict):
        return {key: moved(item, device) for key, item in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value


class Setup:
    """A fairseq task, model and criterion built from command-line flags, and a training batch.

    fairseq-train makes a configuration of the flags first, by Hydra, which takes 0.3 s.
    """

    def __init__(self, data, flags, criterion="label_smoothed_cross_entropy_rdrop", extra=(), device="cpu"):
        from fairseq import options, tasks

        arguments = [str(data), *flags, "--criterion", criterion, "--label-smoothing", "0.1", *extra]
        self.args = options.parse_args_and_arch(options.get_training_parser(), arguments)
        torch.manual_seed(0)
        self.task = tasks.setup_task(self.args)
        self.model = self.task.build_model(self.args).to(device)
        self.device = device
        self.criterion = self.task.build_criterion(self.args)
        if schedule := getattr(self.criterion, "schedule", None):
            schedule.num_updates = 0  # the step is not one of task.train_step, which tells it

    def batch(self, max_sentences=6):
        if not self.task.datasets:
            self.task.load_dataset("train", epoch=1)
        options = dict(max_sentences=max_sentences, max_tokens=1000, seed=1, epoch=1)
        iterator = self.task.get_batch_iterator(self.task.dataset("train"), **options)
        return moved(next(iterator.next_epoch_itr(shuffle=False)), self.device)

    def uneven_batch(self, count=8):
        """A batch with padding on both sides: the iterator puts sentences of one length together."""
        self.task.load_dataset("train", epoch=1)
        dataset = self.task.dataset("train")
        items = [dataset[i] for i in range(count)]
        assert all(len({len(item[side]) for item in items}) > 1 for side in ("source", "target"))
        return moved(dataset.collater(items), self.device)

    def train_step(self, sample, model=None, seed=7):
        """(loss, sample size, log, gradients by name) at a fixed dropout seed."""
        model = model or self.model
        model.train()
        model.zero_grad()
        torch.manual_seed(seed)
        loss, sample_size, log = self.criterion(model, sample)
        loss.backward()
        return loss.detach(), sample_size, log, gradients(model)

    def choose(self, sample):
        """What the first step chooses, with a forward to look at the model, ahead of what a test records."""
        self.criterion._choices[self.model] = self.criterion._choose(self.model.train(), sample)

    def fuses(self):
        """Whether the first step has chosen the fused loss for the model."""
        return self.criterion._choices[self.model].layer is not None

    def valid_step(self, sample, model=None):
        model = model or self.model
        model.eval()
        with torch.no_grad():
            return self.criterion(model, sample)


TRANSLATION = "--task translation --arch"
SMALL = (
    "--encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 32 --decoder-embed-dim 32 "
    "--encoder-ffn-embed-dim 64 --decoder-ffn-embed-dim 64 "
    "--encoder-attention-heads 4 --decoder-attention-heads 4"
)
TRANSFORMER = f"{TRANSLATION} transformer_iwslt_de_en {SMALL}".split()
LSTM = (
    f"{TRANSLATION} lstm --encoder-embed-dim 32 --decoder-embed-dim 32 --decoder-out-embed-dim 32 "
    "--encoder-hidden-size 32 --decoder-hidden-size"
)
KERNELS = "--encoder-kernel-size-list [3] --decoder-kernel-size-list [3]"
NO_DROPOUT = "--dropout 0 --attention-dropout 0 --activation-dropout 0".split()
PLAIN = "label_smoothed_cross_entropy"
# The official fairseq: its lightconv multiplies by a bare parameter, in the main branch by a layer.
OFFICIAL = fairseq is not None and fairseq.__version__ == "0.12.2"
# flags and whether the loss can be fused with the model's projection
MODELS = {
    "transformer_iwslt_de_en": (" ".join(TRANSFORMER), True),
    "transformer_wmt_en_de": (f"{TRANSLATION} transformer_wmt_en_de --share-all-embeddings {SMALL}", True),
    "bart_base": (f"{TRANSLATION} bart_base {SMALL}", True),
    "mbart": (f"{TRANSLATION} mbart_base {SMALL}", True),
    "lightconv": (f"{TRANSLATION} lightconv_iwslt_de_en {SMALL} {KERNELS}", not OFFICIAL),
    "lstm": (f"{LSTM} 32", True),
    "lstm_shared": (f"{LSTM} 32 --share-decoder-input-output-embed", False),
    "lstm_bidirectional": (f"{LSTM} 64 --encoder-bidirectional", True),
    "fconv": (
        f"{TRANSLATION} fconv_iwslt_de_en --encoder-embed-dim 32 --decoder-embed-dim 32 "
        "--decoder-out-embed-dim 32 --encoder-layers [(32,3)] --decoder-layers [(32,3)]",
        False,
    ),
    "transformer_align": (f"{TRANSLATION} transformer_align {SMALL}", True),
    "transformer_lm": (
        "--task language_modeling --arch transformer_lm --decoder-layers 1 --decoder-embed-dim 32 "
        "--decoder-ffn-embed-dim 64 --decoder-attention-heads 4 --tokens-per-sample 16",
        True,
    ),
    "translation_multi_simple_epoch": (
        "--task translation_multi_simple_epoch --lang-pairs de-en --langs de,en --encoder-langtok src "
        f"--decoder-langtok --sampling-method uniform --arch transformer_iwslt_de_en {SMALL}",
        True,
    ),
}


@pytest.fixture
def model_data(data_bin, request):
    """The data of the model of MODELS that the test is named after."""
    if "transformer_lm" not in request.node.name:
        return data_bin
    folder = request.getfixturevalue("tmp_path")  # a language model's data have no language in their names
    for file in data_bin.glob("*.de-en.en.*"):
        (folder / file.name.replace(".de-en.en", "")).write_bytes(file.read_bytes())
    (folder / "dict.txt").write_bytes((data_bin / "dict.en.txt").read_bytes())
    return folder
