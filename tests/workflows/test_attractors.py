"""Attractor figures in a run's results, where its experiment asks for them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import workflows
from memrec_core import attractors
from memrec_core.errors import InputError
from tests.conftest import TINY, make_run
from workflows.experiment import loading as experiments
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.plan import planned_units
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run
from workflows.run.unit import settings_of_unit
from workflows.work.recover import Held, recover_unit

RUN = Path(__file__).parent / "run_of_fixed_schema"
FIGURES = ["spectral_radius", "basin"]


def with_attractors(small: Experiment, asked: object) -> Experiment:
    return experiments.experiment_from({**small.tree(), "attractors": asked})


def test_rows_of_the_method_asked_for_have_them_and_no_others():
    run = workflows.open_run(str(RUN))
    experiment = replace(run.experiment, attractors="known_mask")
    audit, model = load_audit_set(experiment.data[0], 42), experiment.models[0]
    network, metadata = load_checkpoint(run.store, model, 0.03)
    units = {unit.method: unit for unit in planned_units(run)[0] if unit.target_loss == 0.03}
    rows = {
        method: recover_unit(unit, experiment, audit, Held.of(model, network, metadata)).to_pandas()
        for method, unit in units.items()
    }
    assert rows["unknown_mask"][FIGURES].isna().all(axis=None)
    assert rows["autoencoder_iterations"][FIGURES].isna().all(axis=None)
    found = rows["known_mask"]
    assert found.degradation.nunique() == 2
    assert (found.groupby(["split", "image_id"])[FIGURES].nunique() == 1).all(axis=None)
    first = found[: len(audit)]
    ids = [image.name for image in audit.catalogue.audited]
    images = audit.images(slice(0, len(audit)))
    assert first.spectral_radius.tolist() == attractors.spectral_radius(network, images, seed=42).tolist()
    assert first.basin.tolist() == attractors.basin(network, images, model.gamma, 42, ids).tolist()


@pytest.mark.parametrize(("own", "expected"), [(None, 0.5), (4.0, 4.0)])
def test_basin_is_by_the_gamma_of_the_method_in_whose_rows_it_stands(
    monkeypatch: pytest.MonkeyPatch, own: float | None, expected: float
):
    monkeypatch.setattr(attractors, "basin", lambda model, images, gamma, *_, **__: torch.full((len(images),), gamma))
    run = workflows.open_run(str(RUN))
    assert run.experiment.models[0].gamma == 0.5
    methods = [
        entry._replace(method=replace(entry.method, gamma=own)) if entry.label == "known_mask" else entry
        for entry in run.experiment.methods
    ]
    experiment = replace(run.experiment, attractors="known_mask", methods=tuple(methods))
    audit, model = load_audit_set(experiment.data[0], 42), experiment.models[0]
    unit = next(unit for unit in planned_units(run)[0] if (unit.method, unit.target_loss) == ("known_mask", 0.03))
    held = Held.of(model, *load_checkpoint(run.store, model, 0.03))
    assert set(recover_unit(unit, experiment, audit, held).to_pandas().basin) == {expected}


def test_true_is_the_first_method_that_uses_a_network_and_a_label_is_its_own(small: Experiment):
    assert small.attractors == ""
    tree = {**small.tree(), "methods": ["biharmonic", {"name": "known_mask", "label": "told"}, "unknown_mask"]}
    for asked, label in ((True, "told"), ("unknown_mask", "unknown_mask"), (False, "")):
        experiment = experiments.experiment_from({**tree, "attractors": asked})
        assert experiment.attractors == label
        assert experiments.resolved(experiment.to_yaml(), "run") == experiment


@pytest.mark.parametrize(
    ("asked", "methods", "words"),
    [
        ("unknown_mas", ["unknown_mask"], "attractors: unknown method with a network 'unknown_mas'.*unknown_mask"),
        ("biharmonic", ["unknown_mask", "biharmonic"], "attractors: unknown method with a network 'biharmonic'"),
        (True, ["biharmonic"], "attractors: .* none of the methods uses one"),
    ],
)
def test_method_without_a_network_is_refused(small: Experiment, asked: object, methods: list[str], words: str):
    with pytest.raises(InputError, match=words):
        experiments.experiment_from({**small.tree(), "methods": methods, "attractors": asked})


def test_they_change_what_names_the_units_of_their_method_alone(small: Experiment):
    asking = with_attractors(small, True)
    model, label = small.models[0].label, small.degradations[0].label
    changed = {
        entry.label
        for entry in small.networked
        if settings_of_unit(small, model, entry.label, [label]) != settings_of_unit(asking, model, entry.label, [label])
    }
    assert changed == {asking.attractors}


def test_run_that_has_none_is_not_mixed_with_them(memrec, tmp_path: Path):
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    as_then = ("--set", "autoencoder_iterations.stop_cycles=false", "--set", "training.optimiser=adam")
    called = memrec("plan", run / "experiment.yaml", "--run", run, *as_then, "--set", "attractors=true")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "attractors is False there, and 'unknown_mask' here" in called.err


def test_run_that_asks_for_them_has_them_in_its_results(tmp_path: Path):
    tree = experiments.parse(TINY, "tiny").tree()
    asking = experiments.experiment_from({**tree, "methods": ["known_mask", "biharmonic"], "attractors": True})
    aggregate(Run(asking, make_run(asking, tmp_path / "run", lambda kind: Size(24, 24))))
    rows = workflows.open_run(str(tmp_path / "run")).results(["method", *FIGURES])
    assert rows[rows.method == "known_mask"][FIGURES].notna().all(axis=None)
    assert rows[rows.method == "biharmonic"][FIGURES].isna().all(axis=None)
    assert rows.method.nunique() == 2
