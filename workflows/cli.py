"""The command line. Exit status 0: done; 1: some work failed, and it says which; 2: the user's mistake; 130:
interrupted. `audit` has 3 beside these where the network leaks, and 4 where nothing can be said.

What a command needs is imported in it: torch, Ray and pandas take seconds, which --help must not.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import memrec_core
from memrec_core.errors import InputError
from workflows.errors import JobError
from workflows.interruption import WATCHER_INTERRUPTED, end_of_interruption
from workflows.job.request import Request, Steps
from workflows.terminal import complain, open_streams, say


class Commands(TyperGroup):
    """Commands that Ctrl-C, or SIGTERM, ends in a sentence."""

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(end_of_interruption())


app = typer.Typer(
    cls=Commands,
    help="How much of its training data does an autoencoder give away?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ExperimentName = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A YAML file, or the name of a shipped one.")]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="The run's folder: a path, or a URI such as s3://bucket/run.", show_default="runs/NAME"),
]
Variant = Annotated[
    str | None, typer.Option(help="A form of the experiment that its file has, such as cpu; memrec list names them.")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set first: cifar10 or svhn.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's folder.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override an entry, such as data.count=100.")]
Address = Annotated[str | None, typer.Option(help="A running Ray cluster; without it a local one starts.")]
Actors = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many actors.", show_default="as many as the cluster has room for, as nodes come and go"
    ),
]
GpusPerActor = Annotated[
    float | None,
    typer.Option(
        min=0, help="The share of a GPU of each actor, 1 at most; 0 for CPUs.", show_default="1 where there are any"
    ),
]
KeepDuplicates = Annotated[
    bool, typer.Option("--keep-duplicates", help="Keep control images that are near-duplicates of training images.")
]
AllowTorchWeights = Annotated[
    bool,
    typer.Option(
        "--allow-torch-weights",
        help="Read weights of given networks that torch has saved. Only tensors are read, but a forged file might "
        "exploit the reader: allow it for files that you trust.",
    ),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Look into each file of the results that is there, not at its name alone.")
]
AllPictures = Annotated[
    bool,
    typer.Option("--all-pictures", help="Write all pictures that the results keep too, to pages in report/pictures."),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Take up again what was given up.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"memrec {memrec_core.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """How much of its training data does an autoencoder give away?"""


@app.command()
def run(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    address: Address = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    retry_failed: RetryFailed = False,
    verify: Verify = False,
    keep_duplicates: KeepDuplicates = False,
    allow_torch_weights: AllowTorchWeights = False,
    download: Download = False,
) -> None:
    """Train, recover, aggregate and report. Run again, it does only what is missing."""
    from workflows import commands

    loaded = commands.load(experiment, variant, set_, run, keep_duplicates, allow_torch_weights, download)
    steps = Steps(retry_failed=retry_failed, verify=verify)
    _end(commands.do_all(loaded, run, Request(address, actors, gpus_per_actor), steps))


@app.command()
def train(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    address: Address = None,
    gpus_per_actor: GpusPerActor = None,
    retry_failed: RetryFailed = False,
    keep_duplicates: KeepDuplicates = False,
    allow_torch_weights: AllowTorchWeights = False,
    download: Download = False,
) -> None:
    """Train the networks, with a checkpoint at each loss target."""
    from workflows import commands

    loaded = commands.load(experiment, variant, set_, run, keep_duplicates, allow_torch_weights, download)
    steps = Steps(recover=False, retry_failed=retry_failed)
    _end(commands.do_steps(loaded, run, Request(address, None, gpus_per_actor), steps))


@app.command()
def recover(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    address: Address = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    retry_failed: RetryFailed = False,
    verify: Verify = False,
    keep_duplicates: KeepDuplicates = False,
    allow_torch_weights: AllowTorchWeights = False,
) -> None:
    """Recover the degraded images with the trained checkpoints."""
    from workflows import commands

    loaded = commands.load(experiment, variant, set_, run, keep_duplicates, allow_torch_weights)
    steps = Steps(train=False, retry_failed=retry_failed, verify=verify)
    _end(commands.do_steps(loaded, run, Request(address, actors, gpus_per_actor), steps))


@app.command()
def plan(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    keep_duplicates: KeepDuplicates = False,
    allow_torch_weights: AllowTorchWeights = False,
) -> None:
    """Say what `run` would do, how long recovery takes, and what is done.

    How long a training takes is not known before it.
    """
    from workflows import commands
    from workflows.forecast import print_forecast

    loaded = commands.load(experiment, variant, set_, run, keep_duplicates, allow_torch_weights)
    print_forecast(commands.run_of(loaded, run))


@app.command("list")
def list_() -> None:
    """List the experiments, networks, masks, fills, degradations, methods and data sets."""
    from workflows.listing import print_list

    print_list()


@app.command()
def aggregate(run: RunArgument) -> None:
    """Print a run's rates, and write them to rates.parquet."""
    from workflows import commands

    commands.aggregate(run)


@app.command()
def report(run: RunArgument, all_pictures: AllPictures = False) -> None:
    """Write the page of a run, report/index.html."""
    from workflows import commands

    commands.report(run, all_pictures)


@app.command()
def picture(
    run: RunArgument,
    degradation: Annotated[str | None, typer.Option(help="Which of the run's; the first where left out.")] = None,
    image: Annotated[
        str, typer.Option(help="Which image of the run: its id, split/id, or its number, training images first.")
    ] = "0",
    model: Annotated[str | None, typer.Option(help="Which of the run's networks; the first where left out.")] = None,
) -> None:
    """Draw the course of one recovery, with the estimates of the mask."""
    from workflows import commands

    commands.picture(run, degradation, image, model)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="The runs' folders; the first is A.")],
    json: Annotated[str | None, typer.Option(help="A file for all of it as JSON; - for standard output.")] = None,
    csv: Annotated[str | None, typer.Option(help="A file for the rates and differences as CSV; likewise.")] = None,
    changed: Annotated[str | None, typer.Option(help="A CSV file for the images that changed sides.")] = None,
    page: Annotated[str | None, typer.Option(help="A file for a page of it, such as compared.html.")] = None,
) -> None:
    """Put the rates of runs side by side: the differences with their intervals, and the images that changed sides.

    Such as two activations, a network before and after a defence, or two versions of it.
    """
    from workflows import commands
    from workflows.comparison.answers import Answers

    commands.compare(runs, Answers(json, csv, changed, page))


@app.command()
def export(
    run: RunArgument,
    pictures: Annotated[str, typer.Option(help="A new folder for them, a file for each picture, and a CSV.")],
) -> None:
    """Write the pictures that a run has kept as PNG files, named by the images' ids."""
    from workflows import commands

    commands.export(run, pictures)


@app.command()
def figures(
    run: RunArgument,
    out: Annotated[str, typer.Option(help="A folder for them.")],
    width: Annotated[float, typer.Option(min=40, max=300, help="Of the figures, in mm: a column's.")] = 85,
    image: Annotated[str, typer.Option(help="Of figures 1 and 2: an id, split/id, or a number.")] = "0",
) -> None:
    """Draw the paper's figures of a run as PDF, SVG and PNG, and write its tables as LaTeX, Markdown and CSV."""
    from workflows import commands

    commands.figures(run, out, width, image)


@app.command()
def query(
    run: RunArgument,
    sql: Annotated[str, typer.Argument(metavar="SQL", help='A query of DuckDB\'s, such as "select * from rates".')],
    format_: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Answer a query in SQL over a run's tables: results, rates, thresholds, claims, images, pictures.

    It reads these, and neither changes nor reaches anything else.
    """
    from workflows import commands

    commands.query(run, sql, format_)


@app.command()
def status(
    run: RunArgument,
    verify: Verify = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show losses and rates as the job goes on, until it ends.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="Seconds between two looks, with --watch.", show_default="3.0"),
    ] = None,
) -> None:
    """Say what of a run is done and left, and what failed and why."""
    from workflows import commands

    if not watch:
        if every is not None:
            raise InputError("--every is how often --watch looks; give --watch too, or leave --every out")
        commands.status(run, verify)
        return
    try:
        _end(commands.watch(run, every))
    except KeyboardInterrupt:
        sys.exit(end_of_interruption(WATCHER_INTERRUPTED))


@app.command()
def demo(run: RunOption = None, actors: Actors = 2) -> None:
    """Do the whole job on 48 photographs that are embedded."""
    from workflows import commands

    _end(commands.do_all(commands.load("demo", None, None, run), run, Request(actors=actors), Steps()))


@app.command()
def audit(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="package.module:build, a function that returns the network; diffusers:FOLDER; or a file, model.onnx.",
        ),
    ],
    train: Annotated[str, typer.Option(help="The folder of pictures that it was trained on.")],
    control: Annotated[str, typer.Option(help="A folder of others of the same kind.")],
    run: Annotated[
        str | None,
        typer.Option("--run", help="The run's folder: a path, or a URI.", show_default="audits/MODEL"),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="The file of its weights, safetensors.")] = None,
    range_: Annotated[
        str | None, typer.Option("--range", help="What pixels of 0 and 1 are to it, such as -1,1.", show_default="0,1")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="With --std, in place of --range: one number or R,G,B.")] = None,
    std: Annotated[str | None, typer.Option(help="What pixels less the mean are divided by.")] = None,
    output: Annotated[str | None, typer.Option(help="Key, index or attribute of the images that it returns.")] = None,
    deterministic: Annotated[
        str | None, typer.Option(help="package.module:function that makes it always return the same.")
    ] = None,
    count: Annotated[str, typer.Option(help="Images of each side, or all.")] = "100",
    size: Annotated[
        str | None, typer.Option(help="Height,width of its images in pixels.", show_default="the pictures'")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, max=4, help="Of its images.", show_default="the pictures'")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(
            help="The share of training images that may come back. Where it is given, a leak under it exits with 0.",
            show_default="0.01",
        ),
    ] = None,
    json: Annotated[str | None, typer.Option(help="A file for the answer as JSON; - for standard output.")] = None,
    junit: Annotated[str | None, typer.Option(help="A file for the answer as JUnit XML.")] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="End with status 0 whatever the verdict is.")
    ] = False,
    allow_torch_weights: AllowTorchWeights = False,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="MODEL is a file of torch's that holds code (TorchScript, .pt2, a whole module): run it, on every "
            "worker. Only for what you would run anyway.",
        ),
    ] = False,
    address: Address = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    retry_failed: RetryFailed = False,
    pictures: Annotated[int, typer.Option(min=0, help="Of how many images of each side to keep pictures.")] = 8,
    hash_names: Annotated[
        bool,
        typer.Option(
            "--hash-names",
            help="Keyed hashes in place of the pictures' names; the key lies beside the run's folder, not in it.",
        ),
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            help="What makes pictures count as one, such as a patient's slices: folder, for a subfolder of each side, "
            "or a regular expression that finds the same in their names.",
            show_default="each for itself",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What all random numbers follow from.")] = 42,
) -> None:
    """Say how much a network of one's own gives away of its training images.

    Exit status: 0 bounded (or a leak under a --max-rate that was named), 1 some work failed, 2 a mistake, 3 leaks,
    4 inconclusive, 130 interrupted.
    """
    from workflows import commands
    from workflows.audit.answers import Answers
    from workflows.audit.asked import Asked, count_of, numbers, size_of

    asked = Asked(
        model=model,
        train=train,
        control=control,
        weights=weights,
        range=numbers("--range", range_),
        mean=numbers("--mean", mean),
        std=numbers("--std", std),
        output=output,
        deterministic=deterministic,
        count=count_of(count),
        size=size_of(size),
        channels=channels,
        pictures=pictures,
        seed=seed,
        max_rate=max_rate,
        allow_torch_weights=allow_torch_weights,
        trust_code=trust_code,
        hash_names=hash_names,
        group=group,
    )
    request, steps = Request(address, actors, gpus_per_actor), Steps(retry_failed=retry_failed)
    if status := commands.audit(asked, run, request, steps, Answers(json, junit), report_only):
        raise typer.Exit(status)


@app.command()
def submit(
    experiment: ExperimentName,
    run: Annotated[str, typer.Option("--run", help="A folder that all nodes share, or a URI: s3://bucket/run.")],
    address: Annotated[str, typer.Option(help="The cluster's dashboard, such as http://127.0.0.1:8265.")],
    variant: Variant = None,
    set_: Overrides = None,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    retry_failed: RetryFailed = False,
    keep_duplicates: KeepDuplicates = False,
    allow_torch_weights: AllowTorchWeights = False,
) -> None:
    """Do what `run` does as a job on a Ray cluster, and follow it."""
    from workflows import commands
    from workflows.job.submit import submit_job

    loaded = commands.load(experiment, variant, set_, run, keep_duplicates, allow_torch_weights, elsewhere=True)
    submit_job(loaded, run, Request(address, actors, gpus_per_actor), retry_failed)


def _end(complete: bool) -> None:
    if not complete:
        raise typer.Exit(1)


def main() -> None:
    """The commands: errors of the user in one sentence, without a traceback. The console script is entry.py's."""
    open_streams()
    try:
        app(standalone_mode=True)
    except InputError as error:
        _fail(error, 2)
    except JobError as error:
        _fail(error, 1)


def _fail(error: object, status: int) -> None:
    complain(f"error: {error}")
    sys.exit(status)
