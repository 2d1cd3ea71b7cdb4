"""What an experiment means: all that was left open is there, and nothing of it changes."""

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from memrec_core.autoencoders import ARCHITECTURES, Architecture
from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.experiment.resolved import Experiment
from workflows.experiment.resolving import resolve
from workflows.experiment.written import WrittenExperiment
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import damaged_checkpoints
from workflows.run.identity import claim, continued
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.work.train import train_model

MINIMAL = {
    "name": "minimal",
    "data": {"name": "photos", "size": 16},
    "models": [{"architecture": "fc10"}],
    "degradations": [{"mask": "center"}],
}


def test_what_is_left_open_is_filled_in():
    found = experiment.experiment_from(MINIMAL)
    [data], [model] = found.data, found.trained_models
    assert (data.label, data.channels, data.image_shape) == ("photos", 3, (3, 16, 16))
    assert (model.label, model.data) == ("fc10-leaky_relu", "photos")
    assert (model.gamma, model.first_mask, model.options["activation"]) == (0.5, "coin_flips", "leaky_relu")
    assert [entry.label for entry in found.methods] == ["unknown_mask", "known_mask", "autoencoder_iterations"]


@pytest.mark.parametrize(
    ("training", "fc10", "unet"),
    [
        ({}, ("adam_quick", 1e-3), ("soap", 3e-3)),
        ({"optimiser": "soap"}, ("soap", 3e-3), ("soap", 3e-3)),
        ({"learning_rate": 0.01}, ("adam_quick", 0.01), ("soap", 0.01)),
    ],
)
def test_each_network_knows_what_trains_it(training: dict, fc10: tuple, unet: tuple):
    models = [{"architecture": "fc10"}, {"architecture": "unet"}]
    found = experiment.experiment_from({**MINIMAL, "models": models, "training": training})
    assert [(model.optimiser, model.learning_rate) for model in found.trained_models] == [fc10, unet]


def test_entry_of_a_network_says_what_trains_it_before_the_others_does():
    mine = {"optimiser": "soap", "start": "centred", "learning_rate": 0.02}
    models = [{"architecture": "fc10", "label": "mine", **mine}, {"architecture": "fc10"}]
    found = experiment.experiment_from({**MINIMAL, "models": models, "training": {"learning_rate": 0.01}})
    assert [model.recipe for model in found.trained_models] == ["soap, centred, 0.02", "adam_quick, built, 0.01"]
    others = {"optimiser": "adam_quick", "start": "built", "learning_rate": 0.01}
    assert [{key: entry[key] for key in mine} for entry in found.tree()["models"]] == [mine, others]
    assert experiment.experiment_from(found.tree()) == found


def test_training_is_done_by_what_the_file_names(tmp_path: Path):
    def loss(place: str, *overrides: str) -> float:
        mine = experiment.parse(SMALL, "small", ["training.targets=[0.08]", *overrides])
        run, images = Run(mine, Store(str(tmp_path / place))), load_audit_set(mine.data[0], mine.seed)
        return train_model(run, mine.trained_models[0], images).loss

    usual, rate = loss("usual"), "training.learning_rate=1e-3"
    others = [
        loss("faster", "training.learning_rate=1e-2"),
        loss("soap", rate, "training.optimiser=soap"),
        loss("shifted", rate, "training.start=shifted"),
        loss("its own", rate, "models.0.start=centred"),
    ]
    assert len({usual, *others}) == 5
    assert loss("named", rate, "training.optimiser=adam_quick", "models.0.label=b") == usual


def test_checkpoint_of_another_recipe_is_not_the_networks_when_it_comes_back(tmp_path: Path):
    """A network that left the experiment is trained anew if something else trains it by now."""

    def run_of(*overrides: str) -> Run:
        mine = experiment.parse(SMALL, "small", ["training.targets=[0.08]", *overrides])
        return Run(mine, Store(str(tmp_path)))

    run = run_of("training.optimiser=adam")
    [data], [model] = run.experiment.data, run.experiment.trained_models
    train_model(run, model, load_audit_set(data, run.experiment.seed))
    assert damaged_checkpoints(run) == {}
    [what] = damaged_checkpoints(run_of()).values()
    assert (
        "was trained by 'adam, built, 0.001', and the experiment has it trained by 'adam_quick, built, 0.001'" in what
    )


def test_what_trains_a_network_is_compared_where_its_label_changes_too(tmp_path: Path):
    """With a second data set a network that names none is called after both, and is the same one."""
    two = [{"name": "photos", "size": 16}, {"name": "photos", "size": 16, "count": 5, "label": "few"}]
    store = Store(str(tmp_path))
    claim(Run(experiment.experiment_from({**MINIMAL, "training": {"learning_rate": 0.01}}), store))
    grown = continued(experiment.experiment_from({**MINIMAL, "data": two, "training": {"learning_rate": 0.01}}), store)
    assert [model.label for model in grown.models] == ["fc10-leaky_relu", "fc10-leaky_relu-few"]
    with pytest.raises(
        InputError, match=r"rate is 0\.01 there, and 0\.001 here.*\(as training\.learning_rate, or in the"
    ):
        continued(experiment.experiment_from({**MINIMAL, "data": two}), store)


def test_network_of_ones_own_with_an_optimiser_that_there_is_not_is_told_at_its_place(monkeypatch: pytest.MonkeyPatch):
    kind = Architecture("sloppy", build=ARCHITECTURES["fc10"].build, optimiser="adma")
    monkeypatch.setitem(ARCHITECTURES, "sloppy", kind)
    with pytest.raises(InputError, match=r"^exp\.yaml: models\.0: unknown optimiser .*sloppy.*'adma'.*mean 'adam'"):
        experiment.experiment_from({**MINIMAL, "models": [{"architecture": "sloppy"}]}, "exp.yaml")


def test_neither_what_is_written_nor_what_it_means_changes(small: Experiment):
    written = WrittenExperiment.model_validate({**MINIMAL, "recovery": {"max_iterations": 3}})
    before = written.model_copy(deep=True)
    assert resolve(written) == resolve(written)
    assert written == before
    small.keeping_duplicates()
    assert not small.data[0].keep_duplicates
    for thing in (small, small.data[0], small.models[0], small.training):
        with pytest.raises(FrozenInstanceError):
            thing.seed = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.long
def test_experiment_arrives_in_another_process_with_what_it_imports(tmp_path: Path):
    text = "imports: [tests.workflows.outside]\n" + SMALL.replace("mask: center", "mask: diagonal")
    code = (
        "import pickle, sys; from pathlib import Path; from workflows.experiment import loading\n"
        "mine = loading.parse(sys.argv[1], 'mine'); Path(sys.argv[2]).write_bytes(pickle.dumps(mine))"
    )
    subprocess.run([sys.executable, "-c", code, text, tmp_path / "mine"], check=True)
    code = (
        "import pickle, sys; from pathlib import Path; from memrec_core.degradations import PATTERNS\n"
        "mine = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "print(mine.degradations[0].label, 'diagonal' in PATTERNS)"
    )
    arrived = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "mine"], check=True, capture_output=True, text=True
    )
    assert arrived.stdout == "diagonal True\n"


def test_experiment_that_arrives_where_its_module_is_not_says_so(small: Experiment):
    sent = pickle.dumps(replace(small, imports=("no_such_module_of_mine",)))
    with pytest.raises(InputError, match=r"imports: module .*no_such_module_of_mine.* on every node"):
        pickle.loads(sent)
    assert pickle.loads(pickle.dumps(small)) == small
