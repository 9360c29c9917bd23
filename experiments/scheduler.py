"""Where trainings run, one a CPU core or several on a GPU, and how a list of them is worked off."""

import argparse
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.bench import device
from experiments.workspace import Place
from rdrop_tools import cli

Task = Callable[[Place], None]


def add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--cores", type=cli.integer(0), nargs="+", help="of the CPU (all)")
    parser.add_argument("--jobs", type=cli.integer(1), help="runs at a time on the GPUs (1)")


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
