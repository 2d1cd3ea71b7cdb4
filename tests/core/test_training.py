"""Training down a ladder of losses."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from memrec_core import autoencoders, training
from memrec_core.errors import InputError, TrainingError
from memrec_core.training import progress
from tests.core.waits import Waits

IMAGES = torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def new_model(seed: int = 42) -> torch.nn.Module:
    torch.manual_seed(seed)
    return autoencoders.build("fc10", (3, 4, 4), width=48)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def mse(model: torch.nn.Module) -> float:
    with torch.no_grad():
        return (model(IMAGES) - IMAGES).square().mean().item()


@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_checkpoint_at_each_target_with_its_true_loss(batch_size: int | None):
    kept = []
    history = training.train(
        new_model(),
        IMAGES,
        [1e-3, 1e-1, 1e-2],
        on_checkpoint=lambda model, reached: kept.append((reached, mse(model))),
        batch_size=batch_size,
    )
    assert [reached.target for reached, _ in kept] == [1e-1, 1e-2, 1e-3]
    assert [reached for reached, _ in kept] == history.reached
    for reached, loss in kept:
        assert loss <= reached.target
        assert reached.loss == pytest.approx(loss, rel=1e-4)
    steps = [reached.step for reached in history.reached]
    assert steps == sorted(steps)


def test_model_ends_as_its_last_checkpoint():
    model, kept = new_model(), []
    training.train(model, IMAGES, [1e-2, 1e-3], on_checkpoint=lambda model, _: kept.append(weights(model)))
    assert torch.equal(weights(model), kept[-1])


def test_photographs_are_learnt_to_numerical_perfect_fitting(trained):
    with torch.no_grad():
        assert (trained.model(trained.train.images) - trained.train.images).square().mean() <= 1.01e-8


@pytest.mark.parametrize("batch_size", [None, 4])
def test_same_seed_same_weights(batch_size: int | None):
    first, second = new_model(), new_model()
    for model in (first, second):
        training.train(model, IMAGES, [1e-3], seed=7, batch_size=batch_size)
    assert torch.equal(weights(first), weights(second))


def test_seed_orders_the_batches():
    first, second = new_model(), new_model()
    for seed, model in enumerate((first, second)):
        training.train(model, IMAGES, [1e-2], seed=seed, batch_size=4)
    assert not torch.equal(weights(first), weights(second))


class KilledError(Exception):
    pass


def new_unet() -> torch.nn.Module:
    torch.manual_seed(42)
    return autoencoders.build("unet", (3, 4, 4), channels=[8, 8])


@pytest.mark.parametrize("optimiser", ["adam", pytest.param("soap", marks=pytest.mark.long), "soap_one_sided"])
@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.long), 4])
@pytest.mark.parametrize(("new_model", "target"), [(new_model, 1e-3), (new_unet, 4e-2)], ids=["fc10", "unet"])
def test_interrupted_training_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, optimiser: str, batch_size: int | None, new_model: Callable[[], torch.nn.Module], target: float
):
    options = {"targets": [5e-2, target], "batch_size": batch_size, "optimiser": optimiser}
    whole = new_model()
    expected = training.train(whole, IMAGES, **options)
    state = tmp_path / "state.safetensors"
    for moment in (2, 30, 60, None):

        def stop(step: int, loss: float, moment: int | None = moment) -> None:
            if step == moment:
                raise KilledError

        model = new_model()
        with pytest.raises(KilledError) if moment else nullcontext():
            pace = 0 if moment else 60  # the last one is not killed, and need not be ready for it at each step
            history = training.train(model, IMAGES, **options, state=state, save_every_s=pace, on_step=stop)
    assert torch.equal(weights(model), weights(whole))
    assert history == expected


def test_resumed_training_does_not_start_again(tmp_path: Path):
    state, steps = tmp_path / "state.safetensors", []
    with pytest.raises(TrainingError):
        training.train(new_model(), IMAGES, [1e-9], state=state, save_every_s=0, max_steps=50)
    with pytest.raises(TrainingError):
        training.train(
            new_model(), IMAGES, [1e-9], state=state, max_steps=60, on_step=lambda step, loss: steps.append(step)
        )
    assert min(steps) >= 50


def test_state_of_other_images_or_targets_is_refused(tmp_path: Path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError):
        training.train(new_model(), IMAGES, [1.0, 1e-9], state=state, save_every_s=0, max_steps=50)
    for images, targets in ((1 - IMAGES, [1.0, 1e-9]), (IMAGES, [0.9, 1e-9])):
        network = new_model()
        before = weights(network).clone()
        with pytest.raises(InputError, match="is the state of a training on other images or to other targets"):
            training.train(network, images, targets, state=state, max_steps=60)
        assert torch.equal(weights(network), before)  # and has not seen the other images


@pytest.mark.parametrize("other", [{"optimiser": "adam"}, {"start": "mean"}, {"learning_rate": 2e-3}])
def test_state_of_another_recipe_is_refused(tmp_path: Path, other: dict[str, Any]):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError):
        training.train(new_model(), IMAGES, [1e-9], state=state, save_every_s=0, max_steps=5)
    with pytest.raises(
        InputError, match=r"is the state of a training by adam_quick, built, 0\.001, and this one is by"
    ):
        training.train(new_model(), IMAGES, [1e-9], state=state, max_steps=10, **other)


def test_state_of_a_revision_that_named_no_recipe_is_of_what_was_the_networks_own(tmp_path: Path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError):
        training.train(new_model(), IMAGES, [1e-9], optimiser="adam", state=state, save_every_s=0, max_steps=5)
    tensors = safetensors.torch.load(state.read_bytes())
    saved = json.loads(tensors["progress"].numpy().tobytes())
    del saved["recipe"]
    tensors["progress"] = torch.tensor(list(json.dumps(saved).encode()), dtype=torch.uint8)
    state.write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(InputError, match=r"is the state of a training by adam, built, 0\.001"):
        training.train(new_model(), IMAGES, [1e-9], state=state, max_steps=10)
    with pytest.raises(TrainingError, match="in 10 steps"):
        training.train(new_model(), IMAGES, [1e-9], optimiser="adam", state=state, max_steps=10)


def test_divergence_ends_with_a_word():
    with pytest.raises(TrainingError, match=r"diverged at step \d+.*lower the learning rate"):
        training.train(new_model(), IMAGES, [1e-8], learning_rate=1e12)


def test_target_without_prospect_is_given_up_early(monkeypatch: pytest.MonkeyPatch):
    """Two images that a network one unit wide can't tell apart."""
    monkeypatch.setattr(progress, "PATIENCE_STEPS", 200)
    torch.manual_seed(0)
    narrow = torch.nn.Sequential(autoencoders.build("fc10", (3, 4, 4), width=1))  # which does not say its rank
    with pytest.raises(TrainingError, match=r"can't reach 1e-08.*lower the learning rate"):
        training.train(narrow, IMAGES, [1e-8], max_steps=20_000)


def test_steps_are_bounded():
    with pytest.raises(TrainingError, match="in 30 steps"):
        training.train(new_model(), IMAGES, [1e-9], max_steps=30)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x80\x04\x95pickle"])
def test_state_that_is_none_is_named(tmp_path: Path, content: bytes):
    state = tmp_path / "state.safetensors"
    state.write_bytes(content)
    with pytest.raises(InputError, match=r"state\.safetensors is not the state of this training"):
        training.train(new_model(), IMAGES, [1e-2], state=state)


def test_state_of_another_network_is_refused(tmp_path: Path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError):
        training.train(new_model(), IMAGES, [1e-9], state=state, save_every_s=0, max_steps=5)
    other = autoencoders.build("fc10", (3, 4, 4), width=49)
    before = weights(other).clone()
    with pytest.raises(InputError, match="not the state of this training"):
        training.train(other, IMAGES, [1e-2], state=state)
    assert torch.equal(weights(other), before)  # nor what of it would fit


@pytest.mark.parametrize("targets", [[], [0.0], [1e-4, -1e-4], [float("nan")]])
def test_wrong_targets_are_named(targets: list[float]):
    with pytest.raises(InputError, match="targets"):
        training.train(new_model(), IMAGES, targets)


def test_unknown_optimiser_is_named():
    with pytest.raises(InputError, match=r"unknown optimiser.*adam"):
        training.train(new_model(), IMAGES, [1e-2], optimiser="adamm")


def test_training_needs_images():
    with pytest.raises(InputError, match="images"):
        training.train(new_model(), IMAGES[:0], [1e-2])


@pytest.mark.parametrize("batch_size", [None, 4])
def test_host_looks_at_a_tenth_of_the_steps(batch_size: int | None):
    with Waits() as waits, pytest.raises(TrainingError, match="in 200 steps"):
        training.train(new_model(), IMAGES, [1e-9], batch_size=batch_size, max_steps=200)
    assert 20 <= waits.count <= 25


@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.long), 4])
@pytest.mark.parametrize("optimiser", ["adam", pytest.param("soap", marks=pytest.mark.long), "soap_one_sided"])
def test_training_that_goes_on_to_a_deeper_target_is_as_if_it_had_been_asked_for_at_once(
    tmp_path: Path, optimiser: str, batch_size: int | None
):
    options = {"batch_size": batch_size, "optimiser": optimiser}
    whole, grown = new_model(), new_model()
    expected = training.train(whole, IMAGES, [5e-2, 1e-2, 3e-4], **options)
    state, steps = tmp_path / "state.safetensors", []
    training.train(grown, IMAGES, [5e-2, 1e-2], **options, state=state)
    grown = new_model()
    history = training.train(
        grown, IMAGES, [1e-2, 3e-4], **options, state=state, on_step=lambda step, loss: steps.append(step)
    )
    assert torch.equal(weights(grown), weights(whole))
    assert history.reached == expected.reached[1:]
    assert history.losses == expected.losses
    assert steps[0] == expected.reached[1].step + 1


@pytest.mark.parametrize("start", ["mean", "centred"])
def test_training_that_was_at_its_target_before_its_first_step_goes_on_from_the_start_it_had(
    tmp_path: Path, start: str
):
    whole, grown, options = new_model(), new_model(), {"start": start, "optimiser": "adam"}
    expected = training.train(whole, IMAGES, [0.5, 2e-2], **options)
    assert expected.reached[0].step == 0
    state = tmp_path / "state.safetensors"
    training.train(grown, IMAGES, [0.5], **options, state=state)
    history = training.train(grown, IMAGES, [0.5, 2e-2], **options, state=state)
    assert history.reached == expected.reached
    assert torch.equal(weights(grown), weights(whole))


@pytest.mark.parametrize("targets", [[5e-2, 2e-2, 1e-2], [5e-2, 2e-2], [1e-1, 1e-2, 1e-3], [2e-2]])
def test_state_that_is_past_a_target_is_not_gone_on_from(tmp_path: Path, targets: list[float]):
    state = tmp_path / "state.safetensors"
    training.train(new_model(), IMAGES, [5e-2, 1e-2], state=state)
    with pytest.raises(InputError, match="is the state of a training on other images or to other targets"):
        training.train(new_model(), IMAGES, targets, state=state)
