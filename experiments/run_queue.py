"""Work off a list of trainings (runs.py has its form), and keep their results.

With --device cpu a core has one run at a time, with --device cuda the GPUs have --jobs of them. The list says
nothing of devices, and a run may go on on another one.

A run is trained by the recipe's train.sh, for max_update updates, or until its BLEU on valid has not
improved for ``patience`` updates; it waits for the run that it begins with. evaluate.sh scores it on valid
(on Multi30k as the best checkpoint and as averages of the last 5 and 10) and, where the list says so, on the
test sets. RESULTS/SYSTEM-SEED.json has curve and scores, RESULTS/translations what was made of the test sets:
all that is needed afterwards. Stopped at any time, by whatever signal, the same command goes on from the last
checkpoints.

LOCAL_FILES, DOWNLOADER, VENV: as for prepare-multi30k.sh and prepare-samsum.sh. NICE: of the trainings (19).
"""

from functools import partial
from pathlib import Path
from threading import Lock

from experiments.experiment import Experiment, corpus_of
from experiments.multi30k import Multi30k
from experiments.runs import read_runs
from experiments.samsum import SamSum
from experiments.scheduler import add_places, places_of, work_off
from experiments.training_time import Kinds, seconds_per_update
from experiments.workspace import Place
from rdrop_tools import cli


def core_hours(corpora: list[Multi30k | SamSum]) -> float:
    """The core hours of the updates still to be made, if no patience ends them.

    Each counts as an undisturbed one of its kind; where these were not measured, it counts nothing.
    """
    seconds = 0.0
    for corpus in corpora:
        points, ended = corpus.curve()
        if corpus.steps and not ended:
            prices = seconds_per_update(corpus.steps)
            kinds = Kinds.of(corpus.run.criterion, corpus.run.flags)
            done = points[-1]["update"] if points else 0
            seconds += kinds.seconds(corpus.run.max_update, prices) - kinds.seconds(done, prices)
    return seconds / 3600


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("runs", type=cli.input_file, help="the list, such as results/multi30k/runs.csv")
    parser.add_argument("folder", type=Path, help="for data, checkpoints and logs; about 1 GB a run")
    parser.add_argument(
        "--results", type=cli.input_folder, help="for the JSON files (the folder of the list)"
    )
    add_places(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what is to be done")
    args = parser.parse_args()
    places = places_of(args.device, args.cores, args.jobs)
    folder, runs = args.folder.resolve(), read_runs(args.runs)
    results, starts = (args.results or args.runs.parent).resolve(), {run.start for run in runs}
    listed = {run.name: Experiment(corpus_of(run, folder), results, run.name in starts) for run in runs}
    waiting = {name: each for name, each in listed.items() if not each.is_done()}
    where = f"{len(places)} cores" if args.device == "cpu" else f"GPU, {len(places)} at a time"
    print(f"{len(waiting)} runs to do on {where}: {', '.join(waiting)}", flush=True)
    if args.device == "cpu" and (hours := core_hours([each.corpus for each in waiting.values()])):
        print(f"at most {hours:.1f} core hours of training, less where patience ends it", flush=True)
    if args.dry_run:
        return
    for each in waiting.values():
        if each.run.start not in waiting:
            each.check_start()
    folder.mkdir(parents=True, exist_ok=True)
    for each in {each.corpus.data: each for each in waiting.values()}.values():
        each.prepare()
    compare_lock = Lock()

    def compare_finished() -> None:
        with compare_lock:
            done = {name: each for name, each in listed.items() if each.is_done()}
            for each in done.values():
                baseline = done.get(f"{each.run.baseline}-{each.run.seed}")
                if each.run.test and baseline:  # which has the same test
                    each.compare(baseline.run)

    def work(experiment: Experiment, place: Place) -> None:
        experiment.work(place)
        compare_finished()  # the machine may be gone before the list is done

    tasks = {name: partial(work, each) for name, each in waiting.items()}
    failures = work_off(tasks, places, folder, {name: each.run.start for name, each in waiting.items()})
    compare_finished()
    if failures:
        raise cli.InputError("; ".join(failures))


if __name__ == "__main__":
    cli.run(main)
