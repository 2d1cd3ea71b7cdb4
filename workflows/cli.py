"""The command line. Exit status 0: done; 1: some work failed, and it says which; 2: the user's mistake; 130:
interrupted."""

if __name__ == "__main__":  # before anything that takes its time to import
    from workflows.entry import main

    main()

import json
import os
import shlex
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import memrec_core
from memrec_core.errors import InputError, shown
from workflows.entry import end_of_interruption
from workflows.errors import JobError, ResultsError, StoreError
from workflows.experiment import loading as experiments
from workflows.experiment.written import Experiment
from workflows.job.request import Request, Steps
from workflows.run.store import RATES, RECOVERY, REPORT, Store, experiment_of
from workflows.terminal import complain, open_streams, say

if TYPE_CHECKING:
    import pandas as pd

    from workflows.job.driver import Outcome


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
Variant = Annotated[str | None, typer.Option(help="A smaller form of the experiment that its file describes: cpu.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set first, where that can be.")]
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
        min=0, help="GPUs of each actor, whole or a share of one; 0 for CPUs.", show_default="1 where there are any"
    ),
]
KeepDuplicates = Annotated[
    bool, typer.Option("--keep-duplicates", help="Keep control images that are near-duplicates of training images.")
]
ATTEMPTS = 4
"""How often the results are made anew where some turn out to be damaged as they are read."""
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
    keep_duplicates: KeepDuplicates = False,
    download: Download = False,
) -> None:
    """Train, recover, aggregate and report. Run again, it does only what is missing."""
    loaded = _load(experiment, variant, set_, run, keep_duplicates, download)
    _all_steps(loaded, run, Request(address, actors, gpus_per_actor), retry_failed)


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
    download: Download = False,
) -> None:
    """Train the networks, with a checkpoint at each loss target."""
    loaded = _load(experiment, variant, set_, run, keep_duplicates, download)
    request = Request(address, None, gpus_per_actor)
    if not _job(loaded, _store(loaded, run), request, Steps(recover=False, retry_failed=retry_failed)).complete:
        raise typer.Exit(1)


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
    keep_duplicates: KeepDuplicates = False,
) -> None:
    """Recover the degraded images with the trained checkpoints."""
    loaded = _load(experiment, variant, set_, run, keep_duplicates)
    request = Request(address, actors, gpus_per_actor)
    if not _job(loaded, _store(loaded, run), request, Steps(train=False, retry_failed=retry_failed)).complete:
        raise typer.Exit(1)


@app.command()
def plan(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    keep_duplicates: KeepDuplicates = False,
) -> None:
    """Say what `run` would do, how long it takes, and what is done."""
    from workflows.forecast import print_forecast

    loaded = _load(experiment, variant, set_, run, keep_duplicates)
    print_forecast(loaded, _store(loaded, run))


@app.command("list")
def list_() -> None:
    """List the experiments, networks, masks, methods and data sets."""
    from workflows.listing import print_list

    print_list()


@app.command()
def aggregate(run: RunArgument) -> None:
    """Print a run's rates, and write them to rates.parquet."""
    store = _opened(run)
    _aggregate(experiment_of(store), store)


@app.command()
def report(run: RunArgument) -> None:
    """Write the page of a run, report/index.html."""
    from workflows.report import write_report

    store = _opened(run)
    try:
        write_report(experiment_of(store), store)
    except StoreError:
        if store.exists(RATES):  # who may only read the run has its figures all the same
            _show_rates(store, store.read_table(RATES).to_pandas())
        raise
    say(f"page: {store.show(REPORT)}")


@app.command()
def picture(
    run: RunArgument,
    degradation: Annotated[str | None, typer.Option(help="Which of the run's; the first where left out.")] = None,
    image: Annotated[int, typer.Option(min=0, help="Which image of the run, training images first.")] = 0,
    model: Annotated[str | None, typer.Option(help="Which of the run's networks; the first where left out.")] = None,
) -> None:
    """Draw the course of one recovery, with the estimates of the mask."""
    from workflows.report.course import draw_course

    store = _opened(run)
    for name in draw_course(experiment_of(store), store, degradation, image, model):
        say(f"picture: {store.show(name)}")


@app.command()
def status(run: RunArgument) -> None:
    """Say what of a run is done and left, and what failed and why."""
    from workflows.status import print_status

    store = _opened(run)
    print_status(experiment_of(store), store)


@app.command()
def demo(run: RunOption = None, actors: Actors = 2) -> None:
    """Do the whole job on 48 photographs that are embedded."""
    _all_steps(experiments.load("demo"), run, Request(actors=actors), retry_failed=False)


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
) -> None:
    """Do what `run` does as a job on a Ray cluster, and follow it."""
    from workflows.job.submit import submit_job

    loaded = _load(experiment, variant, set_, run, keep_duplicates, elsewhere=True)
    submit_job(loaded, run, Request(address, actors, gpus_per_actor), retry_failed)


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


def _load(
    source: str,
    variant: str | None,
    overrides: list[str] | None,
    run: str | None,
    keep_duplicates: bool = False,
    download: bool = False,
    elsewhere: bool = False,
) -> Experiment:
    """The experiment of a command's options; see experiment.load."""
    if download:
        from workflows.experiment import data_folder

        data_folder.download(experiments.data_sets_of(source, overrides, variant))
    loaded = experiments.load(source, overrides, variant, elsewhere=elsewhere, run=run)
    return loaded.keeping_duplicates() if keep_duplicates else loaded


def _store(experiment: Experiment, run: str | None) -> Store:
    return _opened(f"runs/{experiment.name}" if run is None else run)


def _opened(run: str) -> Store:
    """The run's folder. Raises InputError where Arrow, whose paths are UTF-8, would look for it elsewhere."""
    if not run.strip():
        raise InputError("--run is empty; give a folder, or leave it out")
    store = Store(run)
    if store.is_local and os.fsencode(store.root) != store.root.encode(errors="replace"):
        raise InputError(
            f"run folder {shown(run)} has letters that are not UTF-8 here; set PYTHONUTF8=1, or choose another --run"
        )
    return store


def _all_steps(experiment: Experiment, run: str | None, request: Request, retry_failed: bool) -> None:
    store, steps = _store(experiment, run), Steps(retry_failed=retry_failed)
    for attempt in range(1, ATTEMPTS + 1):
        outcome = _job(experiment, store, request, steps)
        try:
            _last_steps(experiment, store, outcome)
            break
        except ResultsError as error:  # what was wrong is set aside, and made anew
            if attempt == ATTEMPTS:
                raise
            say(str(error))
    say(f"\npage:    {store.show(REPORT)}")
    say(f"results: {store.show(RECOVERY)}   (Parquet, a row an image)")
    say(f"rates:   {store.show(RATES)}")
    line = shlex.quote(f"import pandas; print(pandas.read_parquet({json.dumps(store.show(RECOVERY))}))")
    say(f"read:    {sys.executable} -c {line}")
    if not outcome.complete:
        raise typer.Exit(1)


def _last_steps(experiment: Experiment, store: Store, outcome: "Outcome") -> None:
    """Aggregate and report what there is."""
    from workflows.report import write_report

    if not outcome.done:
        raise typer.Exit(1)
    _aggregate(experiment, store)
    write_report(experiment, store)


def _job(experiment: Experiment, store: Store, request: Request, steps: Steps) -> "Outcome":
    """Train and recover, and say what failed."""
    from workflows.job.driver import run_job

    outcome = run_job(experiment, store, request, steps)
    for what, reason in outcome.failed.items():
        complain(f"failed: {what}: {reason}")
    if outcome.failed:
        complain(
            "what failed is taken up again with --retry-failed (a training by memrec run or memrec train); with other "
            "settings it is another experiment, which needs a --run of its own"
        )
    elif not outcome.complete:
        left = outcome.planned - outcome.done
        complain(f"{left} of {outcome.planned} units are left: their checkpoints are missing")
    return outcome


def _aggregate(experiment: Experiment, store: Store) -> None:
    from workflows.report.rates import aggregate

    rates = aggregate(experiment, store, partial(_show_rates, store))
    if rates.empty:
        raise InputError(f"{store.uri} has no results yet; memrec recover makes them")


def _show_rates(store: Store, rates: "pd.DataFrame") -> None:
    """The rates, and what a reader must know of them."""
    from workflows.report.rates import incomplete
    from workflows.report.tables import print_rates
    from workflows.run.images import sentences_of

    if rates.empty:
        return
    print_rates(rates)
    if sentences := [*filter(None, [incomplete(rates)]), *sentences_of(store)]:
        say("\n" + "\n".join(sentences))
