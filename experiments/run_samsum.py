"""SAMSum from scratch: plain training, and R-Drop with an alpha or several, one training a core.

examples/summarization trains them and scores them on valid. The alpha with the highest ROUGE-1 there, and
plain training, are then scored on the test set, with a paired bootstrap. Each leaves
RESULTS/SYSTEM-UPDATES-SEED.json. Stopped at any time, the same command goes on.

LOCAL_FILES, DOWNLOADER, VENV: as for prepare-samsum.sh.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from experiments.experiment import origin, parameters
from experiments.scheduler import add_places, places_of, work_off
from experiments.workspace import ROOT, Place, call
from rdrop_tools import cli
from rdrop_tools.lines import read_lines, replacing, write_json
from rdrop_tools.training.training_log import read_log

EXAMPLES = ROOT / "examples" / "summarization"
PACKAGES = ("torch", "ve-fairseq", "fairseq-fixed", "sentencepiece", "rouge-score")


@dataclass(frozen=True)
class System:
    """alpha: of R-Drop; None for plain training. folder: of the experiment."""

    alpha: float | None
    seed: int
    max_update: int
    vocab: int
    folder: Path

    @property
    def name(self) -> str:
        return "plain" if self.alpha is None else f"rdrop-a{self.alpha:g}"

    @property
    def out(self) -> Path:
        return self.folder / f"{self.name}-{self.seed}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of train.sh and evaluate.sh, without the folders."""
        criterion = {"CRITERION": "plain"}
        if self.alpha is not None:
            criterion = {"CRITERION": "rdrop", "ALPHA": f"{self.alpha:g}"}
        updates = {"MAX_UPDATE": str(self.max_update), "WARMUP": str(self.max_update // 10)}
        model = {"CORPUS": "samsum", "MODEL": "transformer", "VOCAB": str(self.vocab)}
        return model | criterion | updates | {"SEED": str(self.seed)}

    def call(self, script: str, place: Place, **settings: str) -> None:
        """Raises InputError, naming the log, when it fails."""
        folders = {"DATA": str(self.folder / "data"), "OUT": str(self.out)}
        command = [*place.start, EXAMPLES / script]
        call(
            command,
            self.settings | place.settings | folders | settings | place.environment,
            self.folder / f"{self.out.name}.log",
        )

    def rouge(self, result: str) -> dict[str, Any]:
        """What evaluate.sh has left."""
        scores: dict[str, Any] = json.loads((self.out / f"{result}.json").read_bytes())
        return scores

    def describe(self, rouge: dict[str, dict[str, Any]], place: Place) -> dict[str, Any]:
        """The JSON of the run; rouge: {split: what evaluate.sh has left}. nll in bits per token."""
        log = self.out / "train.log"
        records = read_log(log)
        valid, train = records["valid"], records["train"]["nll_loss"]
        curve = [{"update": u, "loss": valid["loss"][u], "nll": valid["nll_loss"][u]} for u in valid["loss"]]
        settings = " ".join(f"{key}={value}" for key, value in (self.settings | place.settings).items())
        return {
            "system": self.name,
            "seed": self.seed,
            "alpha": self.alpha,
            "parameters": parameters("\n".join(read_lines(log))),
            "command": [
                f"BPE=sentencepiece VOCAB={self.vocab} examples/summarization/prepare-samsum.sh",
                *(f"{settings} examples/summarization/{script}.sh" for script in ("train", "evaluate")),
            ],
            "commit": read_lines(self.folder / "commit")[0],
            **origin(PACKAGES, place),
            "best_update": min(reversed(curve), key=lambda point: point["loss"])["update"],
            "train_nll": train[max(train)],  # of the last epoch, dropout on
            "curve": curve,
            "rouge": rouge,
        }


def train(system: System, place: Place) -> None:
    """Train a system, and score it on valid."""
    print(f"{system.name}: training on {place.name}", flush=True)
    system.call("train.sh", place)
    system.call("evaluate.sh", place, SPLIT="val")


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("folder", type=Path, help="for data, checkpoints and logs")
    parser.add_argument("--results", type=cli.input_folder, default=ROOT / "results" / "samsum")
    parser.add_argument("--alphas", type=cli.number(0), nargs="+", default=[0.3, 0.7])
    parser.add_argument("--seed", type=cli.integer(0), default=1)
    parser.add_argument("--max-update", type=cli.integer(1), default=1500)
    parser.add_argument("--vocab", type=cli.integer(1), default=4000)
    add_places(parser)
    args = parser.parse_args()
    places = places_of(args.device, args.cores, args.jobs)

    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "commit").exists():
        with replacing(folder / "commit") as file:
            file.write(provenance("cpu")["commit"])
    data = {"OUT": str(folder / "data"), "BPE": "sentencepiece", "VOCAB": str(args.vocab)}
    call([EXAMPLES / "prepare-samsum.sh"], data, folder / "data.log")

    systems = [System(a, args.seed, args.max_update, args.vocab, folder) for a in (None, *args.alphas)]
    failures = work_off({system.out.name: partial(train, system) for system in systems}, places, folder)
    if failures:
        raise cli.InputError("; ".join(failures))
    rouge = {system: {"val": system.rouge("rouge-val")} for system in systems}
    plain, *rdrop = systems
    best = max(rdrop, key=lambda system: rouge[system]["val"]["system"]["rouge1"]["f"])
    print(f"{best.name} has the highest ROUGE-1 on valid", flush=True)
    plain.call("evaluate.sh", places[0])
    best.call("evaluate.sh", places[0], BASELINE=str(plain.out))
    rouge[plain]["test"] = plain.rouge("rouge")
    rouge[best]["test"] = best.rouge(f"rouge-against-{plain.out.name}")
    for system in systems:
        name = f"{system.name}-{system.max_update}-{system.seed}.json"
        write_json(args.results / name, system.describe(rouge[system], places[0]))
    print(f"done: {args.results}")


if __name__ == "__main__":
    cli.run(main)
