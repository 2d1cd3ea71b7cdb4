"""What the commands do: the steps of a run on its folder, and what is said of them."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from memrec_core.errors import InputError, shown
from workflows.errors import ResultsError, StoreError
from workflows.experiment import loading as experiments
from workflows.experiment.resolved import Experiment
from workflows.job.request import Request, Steps
from workflows.run.identity import begun, continued, experiment_of
from workflows.run.opened import OpenRun
from workflows.run.run import Run
from workflows.run.store import AUDIT, RATES, REPORT, RESULTS, Store
from workflows.terminal import complain, output_kept_free, say

if TYPE_CHECKING:
    import pandas as pd

    from memrec_core.auditing import Audit
    from workflows.audit.answers import Answers
    from workflows.audit.asked import Asked
    from workflows.audit.ending import Ending
    from workflows.comparison.answers import Answers as ComparisonAnswers
    from workflows.job.state import Outcome

ATTEMPTS = 4
"""How often the results are made anew where some turn out to be damaged as they are read."""


def load(
    source: str,
    variant: str | None,
    overrides: list[str] | None,
    run: str | None,
    keep_duplicates: bool = False,
    allow_torch_weights: bool = False,
    download: bool = False,
    elsewhere: bool = False,
) -> Experiment:
    """The experiment of a command's options; see loading.load."""
    if download:
        from workflows.experiment import data_folder

        data_folder.download(experiments.data_sets_of(source, overrides, variant))
    loaded = experiments.load(source, overrides, variant, elsewhere=elsewhere, run=run)
    loaded = loaded.keeping_duplicates() if keep_duplicates else loaded
    return loaded.allowing_torch_weights() if allow_torch_weights else loaded


def run_of(experiment: Experiment, run: str | None) -> OpenRun:
    """The run of an experiment: in the folder `run`, or in the experiment's own below runs/. Raises InputError where
    the folder is another one's."""
    store = store_at(f"runs/{experiment.name}" if run is None else run)
    return OpenRun(continued(experiment, store), store)


def opened(run: str) -> OpenRun:
    """The run in a folder."""
    store = store_at(run)
    return OpenRun(experiment_of(store), store)


def store_at(run: str) -> Store:
    """The run's folder. Raises InputError where Arrow, whose paths are UTF-8, would look for it elsewhere."""
    if not run.strip():
        raise InputError("the run's folder has no name; give one, such as runs/demo")
    store = Store(run)
    if store.is_local and os.fsencode(store.root) != store.root.encode(errors="replace"):
        raise InputError(
            f"run folder {shown(run)} has letters that are not UTF-8 here; set PYTHONUTF8=1, or choose another folder"
        )
    return store


def do_all(experiment: Experiment, folder: str | None, request: Request, steps: Steps) -> bool:
    """Train, recover, aggregate and report what there is. Returns whether nothing is left to do."""
    run = run_of(experiment, folder)
    store = run.store
    outcome = _summed_up(run, request, steps, partial(_sum_up, run))
    if not outcome.done:
        return False
    say(f"\npage:    {store.show(REPORT)}")
    say(f"results: {store.show(RESULTS)}   (Parquet, a row a recovery)")
    say(f"rates:   {store.show(RATES)}")
    line = shlex.quote(f"import pandas; print(pandas.read_parquet({json.dumps(store.show(RESULTS))}))")
    say(f"read:    {sys.executable} -c {line}")
    return outcome.complete


def audit(
    asked: "Asked", folder: str | None, request: Request, steps: Steps, answers: "Answers", report_only: bool
) -> int:
    """Audit a network as a run, and say what follows. Returns the exit status."""
    with output_kept_free() if answers.json_printed else nullcontext():
        run = _audit_run(asked, folder)
        if not _worked(run, request, steps):
            return 1
        found, end = _concluded(run, asked, report_only)
        answers.write(found, end)
    answers.print(found)
    return end.status


def _audit_run(asked: "Asked", folder: str | None) -> OpenRun:
    """The run of an audit. Raises InputError for what is wrong with the folders and the network, before any work."""
    from workflows.audit.experiment import experiment_of
    from workflows.audit.fit import check_fit
    from workflows.audit.folders import look_into, too_few
    from workflows.audit.grouping import check_groups
    from workflows.audit.names_key import key_file, make_key

    folders = look_into(asked)
    plain = experiment_of(asked, folders)
    store = store_at(f"audits/{plain.models[0].label}" if folder is None else folder)
    key = key_file(store) if asked.hash_names else None
    if asked.group is not None:
        check_groups(plain, asked.group)
    run = OpenRun(continued(plain if key is None else experiment_of(asked, folders, key), store), store)
    if begun(store) is None:
        check_fit(plain)
        if key is not None:
            make_key(key)
    for sentence in too_few(asked, folders):
        say(sentence)
    return run


def _worked(run: OpenRun, request: Request, steps: Steps) -> bool:
    """Do an audit's work, and forget what followed before. Returns whether nothing failed."""
    from workflows.run.rates import aggregate

    def sum_up() -> None:
        run.store.remove(AUDIT)
        aggregate(run)

    outcome = _summed_up(run, request, steps, sum_up)
    run.store.remove(AUDIT)
    if not outcome.complete:
        complain("there is no verdict, since a part of the work is missing")
        if outcome.done:
            _write_page(run)
    return outcome.complete


def _concluded(run: OpenRun, asked: "Asked", report_only: bool) -> "tuple[Audit, Ending]":
    """The verdict, in the run's folder, on its page and on the terminal."""
    from workflows.audit.conclusion import conclusion
    from workflows.audit.ending import ending
    from workflows.audit.tables import print_audit

    found = conclusion(run, asked.max_rate, asked.group)
    end = ending(found, asked.max_rate is not None, report_only)
    run.store.write(AUDIT, found.to_json().encode())
    _write_page(run)
    print_audit(found, end)
    say(f"\npage:    {run.store.show(REPORT)}")
    say(f"audit:   {run.store.show(AUDIT)}")
    say(f"results: {run.store.show(RESULTS)}   (Parquet, a row a recovery)")
    return found, end


def do_steps(experiment: Experiment, run: str | None, request: Request, steps: Steps) -> bool:
    """Train or recover. Returns whether nothing is left to do."""
    return _job(run_of(experiment, run), request, steps).complete


def aggregate(run: str) -> None:
    """Print the rates of a run, and write them."""
    _aggregate(opened(run))


def report(run: str, all_pictures: bool) -> None:
    """Write the page of a run, and of all its pictures; its rates are printed where it can't be written."""
    from workflows.report import write_report
    from workflows.run.claims import kept_claims

    open_ = opened(run)
    try:
        written = write_report(open_, all_pictures)
    except StoreError:
        if open_.store.exists(RATES):  # who may only read the run has its figures all the same
            _show_rates(open_, open_.store.read_table(RATES).to_pandas(), kept_claims(open_.store))
        raise
    for name in written:
        say(f"{'page' if name == REPORT else 'file'}: {open_.store.show(name)}")


def picture(run: str, degradation: str | None, image: str, model: str | None) -> None:
    """Draw the course of one recovery of a run."""
    from workflows.report.course import draw_course

    open_ = opened(run)
    for name in draw_course(open_, degradation, image, model):
        say(f"picture: {open_.store.show(name)}")


def export(run: str, pictures: str) -> None:
    """Write the pictures of a run as files."""
    from workflows.export import LIST, export_pictures

    files, images = export_pictures(opened(run), pictures)
    say(f"pictures: {files:,} files of {images:,} images in {pictures}; {pictures}/{LIST} says what each is")


def compare(runs: Sequence[str], answers: "ComparisonAnswers") -> None:
    """Say how the rates of runs differ from those of the first."""
    from workflows.comparison.compared import compare
    from workflows.comparison.printing import print_comparison

    found = compare([*map(opened, runs)])
    if not answers.is_printed:
        print_comparison(found)
    for line in answers.write(found):
        say(line)


def figures(run: str, folder: str, width: float, image: str) -> None:
    """Draw the paper's figures of a run, and write its tables."""
    from workflows.figures.writing import write_figures

    for line in write_figures(opened(run), folder, width, image):
        say(line)


def query(run: str, sql: str, format: str) -> None:
    """Print what a query in SQL answers of a run."""
    from workflows.querying.asking import ask
    from workflows.querying.formats import writer_of
    from workflows.run.status import caveats_of

    found = opened(run)
    ask(found, sql, writer_of(format))
    for sentence in caveats_of(found):
        complain(sentence)


def status(run: str, verify: bool) -> None:
    """Say where a run stands."""
    from workflows.status import print_status

    print_status(opened(run), verify)


def watch(run: str, every: float | None) -> bool:
    """Show how a run goes on, and at the end where it stands. Returns whether its last driver came to its end."""
    from workflows.live.watching import EVERY_S, watch

    ended_well = watch(store_at(run), EVERY_S if every is None else every)
    status(run, verify=False)
    return ended_well


def _sum_up(run: Run) -> None:
    _aggregate(run)
    _write_page(run)


def _write_page(run: Run) -> None:
    from workflows.report import write_report

    write_report(run)


def _summed_up(run: Run, request: Request, steps: Steps, sum_up: Callable[[], object]) -> "Outcome":
    """Do the job, and sum up what there is then; both again where results turn out to be damaged as they are read."""
    for attempt in range(1, ATTEMPTS + 1):
        outcome = _job(run, request, steps)
        if not outcome.done:
            return outcome
        try:
            sum_up()
            return outcome
        except ResultsError as error:  # what was wrong is set aside, and made anew
            if attempt == ATTEMPTS:
                raise
            say(str(error))
    raise AssertionError("the last attempt returns or raises")


def _job(run: Run, request: Request, steps: Steps) -> "Outcome":
    """Train and recover, and say what failed."""
    from workflows.job.driver import run_job

    outcome = run_job(run, request, steps)
    for what, reason in outcome.failed.items():
        complain(f"failed: {what}: {reason}")
    if outcome.failed:
        complain(
            "what failed is taken up again with --retry-failed (a training by memrec run or memrec train); without its "
            "entry in the experiment the run is whole; with other settings it needs a --run of its own"
        )
    elif not outcome.complete:
        left = outcome.planned - outcome.done
        complain(f"{left} of {outcome.planned} units are left: their checkpoints are missing")
    return outcome


def _aggregate(run: Run) -> None:
    from workflows.run.rates import aggregate

    aggregate(run, partial(_show_rates, run))


def _show_rates(run: Run, rates: "pd.DataFrame", claims: "pd.DataFrame") -> None:
    """The rates and claims, and what a reader must know of them."""
    from workflows.report.tables import print_claims, print_rates
    from workflows.run.images import sentences_of
    from workflows.run.rates import caveats

    print_rates(rates, run.experiment.titles)
    print_claims(claims, run.experiment.titles)
    if sentences := [*caveats(rates), *sentences_of(run)]:
        say("\n" + "\n".join(sentences))
