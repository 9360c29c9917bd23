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
from experiments.runs import Run, read_runs
from experiments.scheduler import add_places, places_of, work_off
from experiments.training_time import Kinds, seconds_per_update
from experiments.workspace import Place, Workspace
from rdrop_tools import cli


def core_hours(runs: list[Run], workspace: Workspace) -> float:
    """The core hours of the updates still to be made, if no patience ends them.

    Each counts as an undisturbed one of its kind; where these were not measured, it counts nothing.
    """
    seconds = 0.0
    for run in runs:
        corpus = corpus_of(run)
        points, ended = corpus.curve(workspace.out(run.name), run)
        if corpus.steps and not ended:
            prices, kinds = seconds_per_update(corpus.steps), Kinds.of(run.criterion, run.flags)
            done = points[-1]["update"] if points else 0
            seconds += kinds.seconds(run.max_update, prices) - kinds.seconds(done, prices)
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
    workspace = Workspace(args.folder.resolve())
    runs = read_runs(args.runs)
    results = (args.results or args.runs.parent).resolve()
    experiment = Experiment(workspace, results, {run.start for run in runs if run.start})
    waiting = [run for run in runs if not experiment.is_done(run)]
    where = f"{len(places)} cores" if args.device == "cpu" else f"GPU, {len(places)} at a time"
    print(f"{len(waiting)} runs to do on {where}: {', '.join(run.name for run in waiting)}", flush=True)
    if args.device == "cpu" and (hours := core_hours(waiting, workspace)):
        print(f"at most {hours:.1f} core hours of training, less where patience ends it", flush=True)
    if args.dry_run:
        return
    names = {run.name for run in waiting}
    for run in waiting:
        if run.start not in names:
            experiment.check_start(run)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    for run in {corpus_of(run).data(run): run for run in waiting}.values():
        experiment.prepare(run)
    compare_lock = Lock()

    def compare_finished() -> None:
        with compare_lock:
            done = {run.name: run for run in runs if experiment.is_done(run)}
            for run in done.values():
                baseline = done.get(f"{run.baseline}-{run.seed}")
                if run.test and baseline and baseline.test:
                    experiment.compare(run, baseline)

    def work(run: Run, place: Place) -> None:
        experiment.run(run, place)
        compare_finished()  # the machine may be gone before the list is done

    tasks = {run.name: partial(work, run) for run in waiting}
    failures = work_off(tasks, places, workspace.folder, {run.name: run.start for run in waiting})
    compare_finished()
    if failures:
        raise cli.InputError("; ".join(failures))


if __name__ == "__main__":
    cli.run(main)
