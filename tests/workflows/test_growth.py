"""Whatever becomes of an experiment, its run has the rows that are asked for, each recovered once."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from memrec_core import training
from tests.conftest import SMALL
from workflows.experiment import loading as experiments
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.catalogue import Catalogue, Image
from workflows.run.checkpoint_files import anew, checkpoint_file, checkpoints_there, load_checkpoint, sidecar_file
from workflows.run.growth import growth_of, keep_grown, settle
from workflows.run.identity import begun, claim, continued
from workflows.run.images import keep_catalogues
from workflows.run.plan import with_checkpoints
from workflows.run.planning import Size, pictured, wanted
from workflows.run.run import Run
from workflows.run.schema import schema_of
from workflows.run.store import Store
from workflows.run.survey import survey
from workflows.run.unit import Unit
from workflows.work.train import train_model

IMAGES = [*(Image("train", f"t{number}", None, str(number)) for number in range(3)), Image("control", "c0", None, "9")]
CATALOGUES = {"photos": Catalogue(tuple(IMAGES))}
METHODS = ["unknown_mask", "known_mask", "autoencoder_iterations", "biharmonic"]
MASKS = ["center", "bottom", "stripes", "random_80"]
TARGETS = [1e-3, 1e-2, 1e-4]
KEY = ["model", "target_loss", "method", "degradation", "split", "image_id"]
Key = tuple[str, float, str, str, str, str]


def some(choices: list) -> st.SearchStrategy[list]:
    """The first of them, which a run keeps, and some others, in any order."""
    others = st.lists(st.sampled_from(choices[1:]), unique=True)
    return others.flatmap(lambda chosen: st.permutations([choices[0], *chosen]))


@st.composite
def versions(draw: st.DrawFn) -> Experiment:
    """An experiment as it may be at some time."""
    models = [{"architecture": "fc10", "width": 8}, {"architecture": "fc10", "width": 9, "label": "other"}]
    return experiments.experiment_from(
        {
            "name": "growing",
            "data": {"name": "photos", "count": 3, "size": 8},
            "models": models[: draw(st.integers(1, 2))],
            "training": {"targets": draw(some(TARGETS))},
            "degradations": [{"mask": mask} for mask in draw(some(MASKS))],
            "methods": draw(some(METHODS)),
            "images_per_unit": draw(st.sampled_from([2, 4, 8, 100])),
            "pictures": draw(st.integers(0, 2)),
        },
        "growing",
    )


def train(run: Run) -> None:
    """Checkpoints that say what they are, and nothing more."""
    for model in run.experiment.trained_models:
        for target in run.experiment.training.targets:
            name = checkpoint_file(model.label, target)
            said = {"model": model.label, "target": target, "loss": target, "digest": f"{model.label} {target}"}
            run.store.write(sidecar_file(name), json.dumps(said | model.described(42)).encode())


def recover(unit: Unit) -> pa.Table:
    """Rows of a unit, without the work; `original` says of which images it keeps pictures."""
    kept = pictured(CATALOGUES["photos"], unit, unit.pictures or 0)
    places = [*range(unit.start, unit.stop)] * len(unit.degradations)
    images = [*IMAGES[unit.start : unit.stop]] * len(unit.degradations)
    degradations = [label for label in unit.degradations for _ in range(unit.start, unit.stop)]
    columns: dict[str, list] = {name: [None] * len(unit) for name in schema_of("", "").names}
    columns |= {
        "model": [unit.model] * len(unit),
        "target_loss": [unit.target_loss] * len(unit),
        "method": [unit.method] * len(unit),
        "degradation": degradations,
        "split": [image.split for image in images],
        "image_id": [image.id for image in images],
        "original": [{"bytes": b"", "path": None} if place in kept else None for place in places],
    }
    return pa.Table.from_pydict(columns, schema=schema_of(unit.name, unit.images))


def keys_of(rows: pd.DataFrame) -> list[Key]:
    return list(rows[KEY].fillna(0).itertuples(index=False, name=None))


def go_on(store: Store, experiment: Experiment) -> list[Key]:
    """What `memrec run` does with an experiment, without Ray; returns what it recovered."""
    then, run = begun(store), Run(continued(experiment, store), store)
    if then is None:
        claim(run)
    train(run)
    keep_catalogues(store, CATALOGUES)
    digests, growth = checkpoints_there(run), growth_of(run, then or experiment, CATALOGUES)
    size = Size(experiment.images_per_unit or 4, 8)
    sizes: Callable = lambda kind: growth.sizes().get(kind, size)  # noqa: E731
    plan = keep_grown(run, growth, CATALOGUES, sizes, {}, digests)
    settle(run, growth, plan, digests)
    claim(run)
    units, waiting = with_checkpoints(plan.units, digests)
    assert waiting == []
    done = []
    for unit in survey(store, units, []).left:
        table = recover(unit)
        store.write_table(unit.file, table)
        done += keys_of(table.to_pandas())
    assert survey(store, units, []).stray == []
    return done


def check(history: list[Experiment]) -> None:
    """The rows are those that are asked for, and none is recovered twice."""
    ever: dict[Key, int] = {}
    with TemporaryDirectory() as folder:
        for experiment in history:
            new = go_on(Store(folder), experiment)
            assert all(ever.get(key, -1) < experiment.pictures for key in new), "recovered before, with its pictures"
            ever |= dict.fromkeys(new, experiment.pictures)
            rows = pd.read_parquet(Path(folder) / "recovery")
            first = [image.id for split in ("t", "c") for image in IMAGES if image.id[0] == split]
            asked = {*first[: min(experiment.pictures, 3)], *first[3 : 3 + experiment.pictures]}
            assert rows[rows["image_id"].isin(asked)]["original"].notna().all(), "a picture is missing"
            found = keys_of(rows)
            assert sorted(found) == sorted(
                (place.model, place.target_loss or 0, entry.label, mask.label, image.split, image.id)
                for place, entry in wanted(experiment)
                for mask in experiment.under(entry.label)
                for image in IMAGES
            )


FEW = settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
HISTORIES = st.lists(versions(), min_size=2, max_size=5)


@FEW
@given(HISTORIES)
def test_rows_are_those_that_are_asked_for_and_none_is_recovered_twice(history: list[Experiment]):
    check(history)


@pytest.mark.long
@settings(FEW, max_examples=25)
@given(HISTORIES)
def test_rows_of_more_histories(history: list[Experiment]):
    check(history)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], ""),
        ([1e-2], ""),
        ([1e-2, 1e-3, 1e-4], ""),
        ([1e-2, 1e-4], "trained anew, from its beginning, for 0.001, since its training is past that; what is there ("),
        ([1e-4], "for 0.01 and 0.001, since"),
    ],
)
def test_training_that_is_past_a_new_target_is_said_to_begin_anew(there: list[float], said: str):
    entries = ["name: x", "data: {name: photos}", "models: [{architecture: fc10}]", "degradations: [{mask: center}]"]
    experiment = experiments.parse("\n".join([*entries, "training: {targets: [1e-2, 1e-3, 1e-4]}"]), "x")
    (model,) = experiment.trained_models
    found = anew(model, experiment.training.targets, {(model.label, target) for target in there})
    assert said in found
    assert bool(said) == bool(found)


class BrokenOffError(Exception):
    pass


def test_state_that_is_past_a_new_target_is_kept_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The checkpoint before is there, and none tells that the training is past the new target."""
    run, grown = (
        Run(experiments.parse(SMALL.replace("[1e-2, 1e-3]", targets), "small"), Store(str(tmp_path)))
        for targets in ("[5e-2, 1e-5]", "[5e-2, 2e-2, 1e-2]")
    )
    monkeypatch.setattr(training, "train", partial(training.train, save_every_s=0))
    audit, (model,) = load_audit_set(run.experiment.data[0], run.experiment.seed), run.experiment.trained_models

    def break_off(step: int, loss: float) -> None:
        if loss < 3e-3:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        train_model(run, model, audit, break_off)
    [state] = tmp_path.glob("checkpoints/fc10-leaky_relu/state-*")
    kept, told = state.read_bytes(), []
    ended = train_model(grown, model, audit, on_remark=told.append)
    assert told == [ended.remark]
    assert "is trained from its beginning, since the state of its training may be past a target" in ended.remark
    [aside] = tmp_path.glob("set_aside/*state-*")
    assert (aside.read_bytes(), str(aside) in ended.remark) == (kept, True)
    losses = {target: load_checkpoint(grown.store, model, target)[1]["loss"] for target in (5e-2, 2e-2, 1e-2)}
    assert all(loss <= target for target, loss in losses.items())
    assert losses[2e-2] > 3e-3
