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

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from benchmarks.bench import device
from experiments.experiment import Experiment, corpus_of
from experiments.multi30k import Multi30k
from experiments.runs import read_runs
from experiments.samsum import SamSum
from experiments.training_time import Kinds, seconds_per_update
from experiments.workspace import Place
from rdrop_tools import cli

Task = Callable[[Place], None]


def places_of(device: str, cores: list[int] | None, jobs: int | None) -> list[Place]:
    """One for each run at a time. Raises InputError for what the device has not."""
    if device == "cpu":
        if jobs is not None:
            raise cli.InputError("--jobs is for --device cuda: a run has a core to itself, see --cores")
        own = sorted(os.sched_getaffinity(0))
        for core in cores or own:
            if core not in own:
                raise cli.InputError(f"--cores: {core} is not one of {', '.join(map(str, own))}")
        return [Place("cpu", str(core)) for core in cores or own]
    if cores is not None:
        raise cli.InputError("--cores is for --device cpu: on a GPU --jobs says how many runs go at a time")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(gpu) for gpu in range(torch.cuda.device_count())]
    jobs = jobs or 1
    shared = -(-jobs // len(gpus))
    return [Place("cuda", gpus[job % len(gpus)], shared) for job in range(jobs)]


@contextmanager
def held(lock: Path) -> Iterator[bool]:
    """False where another process holds it. The lock goes with the process that holds it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        except OSError as error:
            raise cli.InputError(f"cannot lock {lock}: {error.strerror}") from None
        else:
            yield True


def work_off(
    tasks: Mapping[str, Task], places: list[Place], folder: Path, starts: Mapping[str, str] | None = None
) -> list[str]:
    """Runs the tasks, as many at a time as there are places, and returns what failed.

    starts: {task: the one that has to be done before it}, without a circle; one that is no task is done.

    Each place takes the first task that is ready. After a failure no other task begins. One whose lock in
    ``folder`` another process holds is left out, and so is what waits for it, or for one that failed.
    """
    starts = starts or {}
    waiting, running, failures = [*tasks], set[str](), list[str]()
    changed = threading.Condition()

    def is_ready(name: str) -> bool:
        return starts.get(name) not in {*waiting, *running}

    def leave_out_after(start: str) -> None:
        for name in [name for name in waiting if starts.get(name) == start]:
            print(f"{name}: left out, as it begins with {start}", flush=True)
            waiting.remove(name)
            leave_out_after(name)

    def work(place: Place) -> None:
        while True:
            with changed:
                changed.wait_for(lambda: failures or not waiting or any(map(is_ready, waiting)))
                if failures or not waiting:
                    return
                name = next(filter(is_ready, waiting))
                waiting.remove(name)
                running.add(name)
            is_ours, error = True, ""
            try:
                with held(folder / f"{name}.lock") as is_ours:
                    if is_ours:
                        tasks[name](place)
                    else:
                        print(f"{name}: another process is at it", flush=True)
            except Exception as fault:  # of a thread it would be lost
                error = str(fault) if isinstance(fault, cli.InputError) else repr(fault)
            with changed:
                running.remove(name)
                if error:
                    failures.append(f"{name}: {error}")
                if error or not is_ours:
                    leave_out_after(name)
                changed.notify_all()

    workers = [threading.Thread(target=work, args=(place,), daemon=True) for place in places]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failures


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
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--cores", type=cli.integer(0), nargs="+", help="of the CPU (all)")
    parser.add_argument("--jobs", type=cli.integer(1), help="runs at a time on the GPUs (1)")
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
    compare_lock = threading.Lock()

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
