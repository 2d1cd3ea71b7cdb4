"""The command line. Exit status 0: done; 1: some work failed, and it says which; 2: the user's mistake."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from memrec_core.errors import InputError, TrainingError
from workflows import experiment as experiments
from workflows.experiment import Experiment
from workflows.progress import console
from workflows.store import RATES, RECOVERY, REPORT, Store, claim, experiment_of, is_claimed

if TYPE_CHECKING:
    from workflows.recover import Outcome

app = typer.Typer(
    help="How much of its training data does an autoencoder give away?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ExperimentName = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A YAML file, or the name of a shipped one.")]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="The run's folder: a path, or a URI such as s3://bucket/run.", show_default="runs/NAME"),
]
Variant = Annotated[str | None, typer.Option(help="A smaller form of the experiment that its file describes: cpu.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set first: cifar10 or svhn.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's folder.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override an entry, such as data.count=100.")]
Address = Annotated[str | None, typer.Option(help="A running Ray cluster; without it a local one starts.")]
Actors = Annotated[int | None, typer.Option(min=1, help="How many actors; one for each GPU, or each CPU.")]


@app.command()
def run(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    address: Address = None,
    actors: Actors = None,
    download: Download = False,
) -> None:
    """Train, recover, aggregate and report. Run again, it does only what is missing."""
    _all_steps(_load(experiment, variant, set_, download), run, address, actors)


@app.command()
def train(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    download: Download = False,
) -> None:
    """Train the experiment's networks, with a checkpoint at each loss target."""
    from workflows.train import train_models

    loaded, store = _claim(_load(experiment, variant, set_, download), run)
    train_models(loaded, store)


@app.command()
def recover(
    experiment: ExperimentName,
    run: RunOption = None,
    variant: Variant = None,
    set_: Overrides = None,
    address: Address = None,
    actors: Actors = None,
) -> None:
    """Recover the images from their degraded versions, with the trained checkpoints, on Ray."""
    loaded, store = _claim(experiments.load(experiment, set_, variant), run)
    if _recover(loaded, store, address, actors).failed:
        raise typer.Exit(1)


@app.command()
def aggregate(run: RunArgument) -> None:
    """Print the recovery rates of a run, and write them to rates.parquet."""
    store = Store(run)
    _aggregate(experiment_of(store), store)


@app.command()
def report(run: RunArgument) -> None:
    """Write the page with a run's rates and pictures, report/index.html."""
    from workflows.report import write_report

    store = Store(run)
    write_report(experiment_of(store), store)
    console.print(f"page: {store.show(REPORT)}", highlight=False, soft_wrap=True)


@app.command()
def picture(
    run: RunArgument,
    degradation: Annotated[str | None, typer.Option(help="Which of the run's; the first where left out.")] = None,
    image: Annotated[int, typer.Option(min=0, help="Which image of the run, training images first.")] = 0,
    model: Annotated[str | None, typer.Option(help="Which of the run's networks; the first where left out.")] = None,
) -> None:
    """Draw a recovery's course: the iterates of both methods side by side, and the estimates of the mask."""
    from workflows.report.course import draw_course

    store = Store(run)
    for name in draw_course(experiment_of(store), store, degradation, image, model):
        console.print(f"picture: {store.show(name)}", highlight=False, soft_wrap=True)


@app.command()
def status(run: RunArgument) -> None:
    """Say what of a run is done, what is left, and what failed and why."""
    from workflows.status import print_status

    store = Store(run)
    print_status(experiment_of(store), store)


@app.command()
def demo(run: RunOption = None, actors: Actors = 2) -> None:
    """The whole job on 48 embedded photographs, in 75 seconds on two cores."""
    _all_steps(experiments.load("demo"), run, None, actors)


@app.command()
def submit(
    experiment: ExperimentName,
    run: Annotated[str, typer.Option("--run", help="A folder that all nodes share, or a URI: s3://bucket/run.")],
    address: Annotated[str, typer.Option(help="The cluster's dashboard, such as http://127.0.0.1:8265.")],
    variant: Variant = None,
    set_: Overrides = None,
    actors: Actors = None,
) -> None:
    """Do what `run` does, as a job on a Ray cluster, and follow its log to the end."""
    from workflows.submit import JobError, submit_job

    try:
        submit_job(experiments.load(experiment, set_, variant), run, address, actors)
    except JobError as error:
        _fail(error, 1)


def main() -> None:
    """The console script: errors of the user in one sentence, without a traceback."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        _fail(error, 2)
    except TrainingError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on from here", 130)


def _fail(error: object, status: int) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(status)


def _load(source: str, variant: str | None, overrides: list[str] | None, download: bool) -> Experiment:
    if download:
        from workflows import data_folder

        data_folder.download(experiments.data_set_of(source, overrides, variant))
    return experiments.load(source, overrides, variant)


def _claim(experiment: Experiment, run: str | None) -> tuple[Experiment, Store]:
    """The run's folder, made the experiment's if it is new; not before the experiment is known to be sound, so that
    a corrected one can have the same folder."""
    from workflows import preflight

    store = Store(run or f"runs/{experiment.name}")
    if not is_claimed(store, experiment):
        preflight.check(experiment)
        claim(store, experiment)
    return experiment, store


def _all_steps(experiment: Experiment, run: str | None, address: str | None, actors: int | None) -> None:
    from workflows.report import write_report
    from workflows.train import train_models

    experiment, store = _claim(experiment, run)
    train_models(experiment, store)
    outcome = _recover(experiment, store, address, actors)
    if outcome.nothing:
        raise typer.Exit(1)
    _aggregate(experiment, store)
    write_report(experiment, store)
    console.print(f"\npage:    {store.show(REPORT)}", highlight=False, soft_wrap=True)
    console.print(f"results: {store.show(RECOVERY)}   (Parquet, a row an image)", highlight=False, soft_wrap=True)
    console.print(f"rates:   {store.show(RATES)}", highlight=False, soft_wrap=True)
    line = f"import pandas; print(pandas.read_parquet('{store.show(RECOVERY)}'))"
    console.print(f'read:    {sys.executable} -c "{escape(line)}"', highlight=False, soft_wrap=True)
    if outcome.failed:
        raise typer.Exit(1)


def _recover(experiment: Experiment, store: Store, address: str | None, actors: int | None) -> "Outcome":
    """Recover, and say which units failed."""
    from workflows.recover import recover

    outcome = recover(experiment, store, address, actors)
    for unit, reason in outcome.failed.items():
        print(f"failed: unit {unit}: {reason}", file=sys.stderr)
    return outcome


def _aggregate(experiment: Experiment, store: Store) -> None:
    from workflows.aggregate import aggregate, rates_tables

    rates = aggregate(experiment, store)
    if rates.empty:
        raise InputError(f"{store.uri} has no results yet; memrec recover makes them")
    for table in rates_tables(rates):
        console.print(table)


if __name__ == "__main__":
    main()
