"""A run of the queue from its data to its JSON, which is all that is needed afterwards."""

import datetime
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from experiments.multi30k import Multi30k
from experiments.runs import Run
from experiments.samsum import SamSum
from experiments.workspace import Place, Points, Result, environment, versions
from rdrop_tools.cli import InputError
from rdrop_tools.lines import read_lines, replacing

PARAMETERS = re.compile(r"num\. shared model params: ([\d,]+)")
POLL_SECONDS = 2
# The training is a session of its own, killed when its standard input ends: closed by the queue, or with it.
# Where Linux groups processes by session, nice counts within a session only: autogroup has the session's own.
LEADER = """
{ echo "${NICE:-19}" >/proc/self/autogroup; } 2>/dev/null
exec 3<&0; (read -r <&3; kill -KILL -- "-$$") & exec "$@" 3<&- </dev/null
"""


def corpus_of(run: Run, folder: Path) -> Multi30k | SamSum:
    return (SamSum if run.corpus == "samsum" else Multi30k)(folder, run)


@dataclass(frozen=True)
class Experiment:
    """results: the folder of the JSON files; is_start: others begin with this run."""

    corpus: Multi30k | SamSum
    results: Path
    is_start: bool = False

    @property
    def run(self) -> Run:
        return self.corpus.run

    @property
    def path(self) -> Path:
        return self.results / f"{self.run.name}.json"

    def result(self) -> Result:
        return dict(json.loads(self.path.read_bytes()))

    def is_done(self) -> bool:
        return self.path.exists() and (not self.run.test or self.corpus.is_tested(self.result()))

    def prepare(self) -> None:
        """The data of the run, unless they are there."""
        script, name = self.corpus.prepare(), self.corpus.data
        out = {"OUT": str(self.corpus.folder / name)}
        self.corpus.call(script._replace(settings=script.settings | out), name)

    def check_start(self) -> None:
        """
        Raises:
            InputError: the run that this one begins with is done, but its checkpoints are not here.
        """
        start = self.run.start
        folder = self.corpus.folder / "runs" / start
        if start and not [*folder.rglob("checkpoint_best.pt")]:
            raise InputError(
                f"{self.run.name} begins with {start}, which is done but has no checkpoint in {folder}: "
                f"to train it again, move {self.results / start}.json away"
            )

    def work(self, place: Place) -> None:
        """Raises InputError, naming the log, when a step fails."""
        corpus = self.corpus
        if not corpus.is_trained():
            self._say(f"training on {place.name}")
            self._train(place)
        points, _ = corpus.curve()
        if not points:
            raise InputError(f"nothing was validated, see {corpus.out / 'train.log'}")
        self._say(f"best on valid after {corpus.best(points)['update']} of {points[-1]['update']} updates")
        scores = corpus.evaluate(points, place)
        if self.run.test:
            self._keep_translations()
        self._write(self._describe(place, points) | scores)
        needed = {*corpus.out.rglob("checkpoint_best.pt")}
        if not self.run.test or self.is_start:  # to be averaged
            needed |= {*corpus.out.glob("checkpoint[0-9]*.pt")}
        for path in {*corpus.out.rglob("checkpoint*.pt")} - needed:
            path.unlink()
        self._say("done")

    def compare(self, baseline: Run) -> None:
        """Adds the p-values of the test sets to a result that has none yet."""
        result = self.result()
        if self.corpus.compare(baseline, result):
            self._write(result)

    def go_back(self) -> None:
        """Makes the checkpoints those of the curve.

        fairseq saves an epoch before it logs its training: killed in between, it does that epoch again. And
        it may have done some more when the end of patience is seen.
        """
        folder, (points, _) = self.corpus.out, self.corpus.curve()
        paths = folder.glob("checkpoint[0-9]*.pt")
        numbers = {int(path.stem.removeprefix("checkpoint")): path for path in paths}
        later = [path for epoch, path in numbers.items() if epoch > len(points)]
        if later and not points:
            later = [*folder.glob("checkpoint*.pt")]
        elif later:
            best = points.index(self.corpus.best(points)) + 1
            for name, epoch in {"last": len(points), "best": best}.items():
                if epoch in numbers:
                    part = folder / f"checkpoint_{name}.part"
                    shutil.copyfile(numbers[epoch], part)
                    part.replace(part.with_suffix(".pt"))
        for path in later:
            path.unlink()

    def _train(self, place: Place) -> None:
        """By train.sh, which resumes by itself, until the updates or the patience are at an end.

        fairseq's --patience counts anew in a resumed run, which would go on longer than one not interrupted.
        """
        corpus, script = self.corpus, self.corpus.train()
        folders = {"OUT": str(corpus.out), "DATA": str(corpus.folder / corpus.data)}
        if self.run.start:
            folders["FROM"] = str(corpus.folder / "runs" / self.run.start)
        if not self._commit.exists():
            with replacing(self._commit) as file:
                file.write(provenance("cpu")["commit"])
        self.go_back()
        log = corpus.folder / f"{self.run.name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["bash", "-c", LEADER, "training", *place.start, *script.command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=environment(script.settings | place.settings | folders | place.environment),
                start_new_session=True,
            )
        with process:
            while process.poll() is None and not corpus.curve()[1]:
                time.sleep(POLL_SECONDS)
        # Leaving the block has closed the standard input of the training, and waited for it.
        self.go_back()
        if not corpus.is_trained():
            raise InputError(f"the training failed, see {log}")

    @property
    def _commit(self) -> Path:
        """Has the commit of the code that began the training."""
        return self.corpus.folder / f"{self.run.name}.commit"

    def _write(self, result: Result) -> None:
        with replacing(self.path) as file:
            json.dump(result, file, indent=1, ensure_ascii=False)
            file.write("\n")

    def _keep_translations(self) -> None:
        folder = self.results / "translations"
        folder.mkdir(exist_ok=True)
        for subset, path in self.corpus.translations().items():
            with replacing(folder / f"{self.run.name}.{subset}.txt", "wb") as file:
                file.write(path.read_bytes())

    def _describe(self, place: Place, points: Points) -> dict[str, Any]:
        run, corpus, train = self.run, self.corpus, self.corpus.train()
        start = {"FROM": run.start} if run.start else {}
        train = train._replace(settings=start | train.settings | place.settings)
        found = PARAMETERS.search("\n".join(read_lines(corpus.out / "train.log")))
        return {
            "system": run.system,
            "seed": run.seed,
            "criterion": run.criterion,
            "alpha": float(run.alpha) if run.alpha else None,
            "pairs": run.pairs,
            "parameters": int(found[1].replace(",", "")) if found else None,
            "command": [str(corpus.prepare()), str(train)],
            "patience": run.patience,
            "commit": read_lines(self._commit)[0],
            "date": datetime.date.today().isoformat(),
            "hardware": place.hardware,
            "versions": versions(corpus.packages),
            "best_update": corpus.best(points)["update"],
            "train_nll": corpus.train_nll(points),
            "curve": points,
        }

    def _say(self, message: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {self.run.name}: {message}", flush=True)
