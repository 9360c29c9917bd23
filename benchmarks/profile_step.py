"""A profile of one training step with R-Drop by fairseq's trainer: a table by operator, and a trace.

The table is printed, by the time of the device; the trace opens in chrome://tracing or ui.perfetto.dev.
"""

import logging
import warnings

from torch.profiler import ProfilerActivity, profile

from benchmarks import bench, benchmark_step
from rdrop_tools import cli


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_device(parser)
    parser.add_argument("--settings", choices=list(benchmark_step.SETTINGS), default="iwslt")
    parser.add_argument("--dtype", choices=["fp32", "fp16", "bf16"], default="fp32")
    parser.add_argument("--trace", type=cli.output_file, help="file to write, .json or .json.gz")
    args = parser.parse_args()
    if args.dtype == "fp16" and args.device == "cpu":
        parser.error("--dtype fp16 needs a GPU")
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")

    setting = benchmark_step.SETTINGS[args.settings]
    dictionary = benchmark_step.make_dictionary(setting.vocab)
    batch = benchmark_step.make_batch(setting, dictionary)
    trainer = benchmark_step.make_trainer([benchmark_step.OURS], setting, dictionary, args.device, args.dtype)
    for _ in range(bench.WARM_UPS[args.device]):
        trainer.train_step([batch])
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (args.device == "cuda")
    with profile(activities=activities, profile_memory=True) as profiler:
        trainer.train_step([batch])
    if args.trace:
        profiler.export_chrome_trace(str(args.trace))
    print({**bench.provenance(args.device), "settings": args.settings, "dtype": args.dtype})
    print(profiler.key_averages().table(sort_by=f"self_{args.device}_time_total", row_limit=60))


if __name__ == "__main__":
    cli.run(main)
