"""Work off a list of trainings (runs.py has its form), and keep their results.

A run is trained by the recipe's train.sh, for max_update updates, or until its BLEU on valid has not
improved for ``patience`` updates; it waits for the run that it begins with. evaluate.sh scores it on valid
(on Multi30k as the best checkpoint and as averages of the last 5 and 10) and, where the list says so, on the
test sets. RESULTS/SYSTEM-SEED.json has curve and scores, RESULTS/translations what was made of the test sets:
all that is needed afterwards. Stopped at any time, by whatever signal, the same command goes on from the last
checkpoints, on another device too; a run is done when its JSON is there. After a failure no other begins.

LOCAL_FILES, DOWNLOADER, VENV: as for prepare-multi30k.sh and prepare-samsum.sh. NICE: of the trainings (19).
"""

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from benchmarks.bench import device
from experiments.experiment import CORPORA, Training, work
from experiments.runs import Run, read_runs
from experiments.training_time import STEPS, Kinds, seconds_per_update
from rdrop_tools import cli
from rdrop_tools.lines import write_json


def compare_finished(trainings: dict[str, Training]) -> None:
    """Adds p-values to those that are scored on the test sets, as their baselines are, and have none."""
    for each in trainings.values():
        baseline = trainings.get(each.run.baseline)
        if each.run.test and baseline and each.json.exists() and baseline.json.exists():
            result = json.loads(each.json.read_bytes())
            if each.compare(baseline.run.name, result):
                write_json(each.json, result)


def work_off(waiting: dict[str, Training], listed: dict[str, Training], jobs: int) -> None:
    """Raises the first error, when the runs that had begun have ended."""
    following, ended = iter(waiting.values()), {name: threading.Event() for name in waiting}
    comparing, errors = threading.Lock(), list[Exception]()

    def take_and_work() -> None:
        for each in following:  # of all threads together
            if each.run.start in ended:  # it has begun, as it is listed before
                ended[each.run.start].wait()
            try:
                if not errors:
                    work(each)
                    with comparing:  # now, as the machine may be gone before the list is done
                        compare_finished(listed)
            except Exception as error:  # of a thread it would be lost
                print(f"{each.run.name}: {error}; no other run begins", flush=True)
                errors.append(error)
            ended[each.run.name].set()

    # An interrupt does not wait for daemons.
    workers = [threading.Thread(target=take_and_work, daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


def core_hours(runs: Iterable[Run]) -> float:
    """Those of all updates at the price of an undisturbed one of their kind, measured on Multi30k alone."""
    prices = seconds_per_update(STEPS)
    measured = (run for run in runs if run.corpus == "multi30k.en-de")
    return sum(Kinds.of(run.criterion, run.flags).seconds(run.max_update, prices) for run in measured) / 3600


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    parser = cli.Parser(__doc__)
    parser.add_argument("runs", type=cli.input_file, help="the list, such as results/multi30k/runs.csv")
    parser.add_argument("folder", type=Path, help="for data, checkpoints and logs; about 1 GB a run")
    parser.add_argument("--results", type=cli.input_folder, help="for the JSON files (that of the list)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--jobs", type=cli.integer(1), default=cores, help=f"runs at a time ({cores})")
    parser.add_argument("--dry-run", action="store_true", help="only say what is to be done")
    args = parser.parse_args()
    folder, results = args.folder.resolve(), (args.results or args.runs.parent).resolve()
    trainings = (CORPORA[run.corpus](run, folder, results, args.device) for run in read_runs(args.runs))
    listed = {each.run.name: each for each in trainings}
    waiting = {name: each for name, each in listed.items() if not each.json.exists()}
    print(f"{len(waiting)} runs to do on {args.device}, {args.jobs} at a time: {', '.join(waiting)}")
    if args.device == "cpu" and (hours := core_hours(each.run for each in waiting.values())):
        print(f"at most {hours:.1f} core hours of training, less where patience ends it or it had begun")
    if args.dry_run:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for each in {each.data: each for each in waiting.values()}.values():
        each.call(each.prepare(), each.data.name)
    work_off(waiting, listed, args.jobs)
    compare_finished(listed)


if __name__ == "__main__":
    cli.run(main)
