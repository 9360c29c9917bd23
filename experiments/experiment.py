"""A run of the queue from its training to its JSON, which is all that is needed afterwards."""

import datetime
import re
import shlex
import time

from benchmarks.bench import provenance
from experiments.multi30k import Multi30k
from experiments.samsum import SamSum
from experiments.workspace import ROOT, Points, Result, versions
from rdrop_tools.lines import read_lines, replacing, write_json

PARAMETERS = re.compile(r"num\. shared model params: ([\d,]+)")
PACKAGES = "torch ve-fairseq fairseq-fixed sacrebleu sacremoses subword-nmt sentencepiece rouge-score".split()

Training = Multi30k | SamSum
CORPORA: dict[str, type[Training]] = {"multi30k.en-de": Multi30k, "samsum": SamSum}


def work(training: Training) -> None:
    """From wherever it was interrupted. Raises InputError, naming the log, when a step fails."""
    name = training.run.name
    go_back(training)
    if not training.curve()[1]:
        print(time.strftime("%H:%M:%S"), f"{name}: training", flush=True)
        training.call(training.train(), name, is_over=lambda: training.curve()[1])
        go_back(training)
    points, _ = training.curve()
    scores = training.evaluate(points)
    if training.run.test:
        folder = training.results / "translations"
        folder.mkdir(exist_ok=True)
        for subset, path in training.translations().items():
            with replacing(folder / f"{name}.{subset}.txt", "wb") as file:
                file.write(path.read_bytes())
    write_json(training.json, describe(training, points) | scores)
    print(time.strftime("%H:%M:%S"), f"{name}: done", flush=True)


def go_back(training: Training) -> None:
    """Makes the checkpoints those of the curve.

    fairseq saves an epoch before it logs its training: killed in between, it does that epoch again. And
    it may have done some more when the end of patience is seen.
    """
    folder, (points, _) = training.out, training.curve()
    paths = folder.glob("checkpoint[0-9]*.pt")
    numbers = {int(path.stem.removeprefix("checkpoint")): path for path in paths}
    later = [path for epoch, path in numbers.items() if epoch > len(points)]
    if later and not points:
        later = [*folder.glob("checkpoint*.pt")]
    elif later:
        best = points.index(training.best(points)) + 1
        for name, epoch in {"last": len(points), "best": best}.items():
            if epoch in numbers:
                with replacing(folder / f"checkpoint_{name}.pt", "wb") as file:
                    file.write(numbers[epoch].read_bytes())
    for path in later:
        path.unlink()


def describe(training: Training, points: Points) -> Result:
    run, where = training.run, provenance(training.device)
    commands = [shlex.join(words) for words in (training.prepare(), training.train())]
    found = PARAMETERS.search("\n".join(read_lines(training.out / "train.log")))
    core = "one core of " if training.device == "cpu" else ""
    return {
        "system": run.system,
        "seed": run.seed,
        "criterion": run.criterion,
        "alpha": float(run.alpha) if run.alpha else None,
        "pairs": run.pairs,
        "parameters": int(found[1].replace(",", "")) if found else None,
        "command": [words.replace(f"{training.folder}/", "").replace(f"{ROOT}/", "") for words in commands],
        "patience": run.patience,
        "commit": where["commit"],
        "date": datetime.date.today().isoformat(),
        "hardware": f"{core}{where['device'].split(',')[0]}, shared with other work",
        "versions": versions(PACKAGES),
        "best_update": training.best(points)["update"],
        "train_nll": training.train_nll(points),
        "curve": points,
    }
