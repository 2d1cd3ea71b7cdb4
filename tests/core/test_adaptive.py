"""The method `adaptive`, as a user of memrec_core calls it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from memrec_core import metrics, recovery
from memrec_core.degradations import Colour, Erasure, Noise, Patch
from memrec_core.recovery import Denoiser, Problem, Recovery, recover_adaptive
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE
from tests.core.conftest import SHAPE, Trained

DAMAGES = {
    "zeros": Erasure("bottom"),
    "colour": Erasure("random_80", fill=Colour((0.8, 0.3, 0.1))),
    "noise": Erasure("center", fill=Noise()),
    "patch": Erasure("center", fill=Patch()),
    "noisy pixels": Erasure("center", noise_std=0.02),
}
CLEAN = ["zeros", "colour"]
any_damage = pytest.mark.parametrize("name", DAMAGES)


@dataclass(frozen=True)
class Case:
    """Images under a damage, what is left of them, their masks, and what was recovered."""

    images: Tensor
    degraded: Tensor
    mask: Tensor
    found: Recovery

    @property
    def error(self) -> Tensor:
        return metrics.mse(self.found.images, self.images)

    @property
    def back(self) -> Tensor:
        return self.error < 1e-7


Cases = Callable[[str, str], Case]


@pytest.fixture(scope="module")
def case(trained: Trained) -> Cases:
    """The case of a damage and a split, each recovered once; patches are of control pictures."""
    known: dict[tuple[str, str], Case] = {}

    def of(name: str, split: str = "train") -> Case:
        if (name, split) not in known:
            images, damage = getattr(trained, split), DAMAGES[name]
            y = damage.degrade(images.images, images.ids, others=trained.control.images)
            mask = damage.operator(SHAPE, images.ids, 42).theta
            found = recover_adaptive(trained.model, y, ids=images.ids)
            known[name, split] = Case(images.images, y, mask, found)
        return known[name, split]

    return of


def rate(found: Recovery, images: Tensor) -> float:
    return metrics.recovery_rate(metrics.mse(found.images, images)).value


def alike(found: Recovery, other: Recovery, rows: Tensor) -> bool:
    """Whether nearly all claims are the same, and nearly all claimed images, up to what nobody would see."""
    both = found.claimed & other.claimed[rows]
    near = metrics.mse(found.images, other.images[rows].to(found.images))[both] < 1e-4
    return bool((found.claimed == other.claimed[rows]).sum() >= 14 and near.double().mean() > 0.85)


class Counting:
    """A network that keeps the sizes of the batches that it was applied to."""

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        self.model, self.batches = model, []

    def __call__(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return self.model(x)


# What comes back


@pytest.mark.parametrize(
    ("name", "least"), [("zeros", 0.65), ("colour", 0.55), ("noise", 0.65), ("patch", 0.65), ("noisy pixels", 0.3)]
)
def test_training_images_come_back_whatever_erased_pixels_hold(case: Cases, name: str, least: float):
    assert case(name).back.double().mean() >= least
    assert (case(name).error < 5e-4).double().mean() >= 0.75


@any_damage
def test_control_images_neither_come_back_nor_are_claimed(case: Cases, name: str):
    control = case(name, "control")
    assert not control.back.any()
    assert not control.found.claimed.any()


@any_damage
def test_claims_are_confidence_of_a_half_and_they_are_right(case: Cases, name: str):
    for split in ("train", "control"):
        found = case(name, split).found
        assert torch.equal(found.claimed, found.confidence >= 0.5)
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    train = case(name)
    assert (train.error[train.found.claimed] < 5e-4).all()
    assert train.found.claimed[train.back].double().mean() >= 0.9


@pytest.mark.parametrize("name", CLEAN)
def test_confidence_over_99_is_a_distance_under_3e_8(trained: Trained, case: Cases, name: str):
    for split in ("train", "control"):
        colour = recover_adaptive(trained.model, case(name, split).degraded, fill="colour")
        with torch.no_grad():
            distance = metrics.mse(trained.model(colour.images), colour.images)
        sure = colour.confidence > 0.99
        assert (distance[sure] < 3.1e-8).all()
        assert (distance[~sure] > 2.9e-8).all()
        assert sure.any() == (split == "train")


@any_damage
def test_mask_and_kept_share_of_a_recovered_image_are_about_the_true_ones(case: Cases, name: str):
    train = case(name)
    within = 0.0 if name in CLEAN else 0.2
    assert (train.found.mask != train.mask).double().mean((1, 2, 3))[train.back].max() <= within
    share = train.mask.mean((1, 2, 3)) - train.found.kept_share
    assert share[train.back].abs().max() <= within + 1e-6


@pytest.mark.parametrize("name", CLEAN)
def test_kept_pixels_are_those_of_the_degraded_image(case: Cases, name: str):
    train = case(name)
    kept = (train.mask > 0) & train.found.claimed[:, None, None, None]
    assert torch.equal(train.found.images[kept], train.degraded[kept])  # (31)


@any_damage
def test_degraded_image_alone_decides(trained: Trained, case: Cases, name: str):
    """Neither the true operator nor the noise that a problem names is looked at."""
    train = case(name)
    nothing = Erasure("stripes").operator(SHAPE, trained.train.ids, 7)
    problem = Problem(train.degraded, nothing, [0.7] * 16, trained.train.ids)
    found = recovery.Adaptive().recover(Denoiser(trained.model, gamma=1e5, first_mask="zeros"), problem)
    assert torch.equal(found.images, train.found.images)
    assert torch.equal(found.confidence, train.found.confidence)


def test_mixed_batch_is_recovered_as_each_kind_alone(trained: Trained, case: Cases):
    """Each image tells of itself what its erased pixels hold."""
    rows = slice(0, 4)
    together = recover_adaptive(
        trained.model,
        torch.cat([case(name).degraded[rows] for name in DAMAGES]),
        ids=trained.train.ids[rows],
        repeats=len(DAMAGES),
    )
    for place, name in enumerate(DAMAGES):
        alone = case(name)
        mine = slice(4 * place, 4 * place + 4)
        assert torch.equal(metrics.mse(together.images[mine], alone.images[rows]) < 1e-7, alone.back[rows])
        assert together.claimed[mine].tolist() == alone.found.claimed[rows].tolist()


def test_black_part_of_what_hides_the_image_is_not_taken_for_all_of_it(trained: Trained):
    """Erased pixels hold noise but for a black stripe, which repeats as a fill of one colour would."""
    y = DAMAGES["noise"].degrade(trained.train.images, trained.train.ids)
    y[:, :, 4:12, 4:6] = 0
    assert rate(recover_adaptive(trained.model, y, fill="colour"), trained.train.images) == 0
    found = recover_adaptive(trained.model, y)
    assert rate(found, trained.train.images) >= 0.7
    assert (found.iterations > 6).all()  # those of a colour come first
    assert found.iterations.max() > 9


def test_where_a_colour_will_be_the_fill_one_try_alone_takes_it_for_anything(trained: Trained):
    """Control images, which are tried to the end: behind noise with 2 of 16 rows black, and with 3."""
    y = DAMAGES["noise"].degrade(trained.control.images, trained.control.ids)
    for rows, tries in ((slice(4, 6), 8 + 17), (slice(4, 7), 8 + 1)):
        hidden = y.clone()
        hidden[:, :, rows] = 0
        assert recover_adaptive(trained.model, hidden).iterations.max() == tries


# Batches, shapes, types


@any_damage
def test_neither_batch_nor_order_matters_to_a_result(trained: Trained, case: Cases, name: str):
    """Recovered images are fixed points, which sums in another order hardly move; others may end elsewhere, and where
    noise keeps an image from its rest the last digits differ."""
    whole, ids = case(name), trained.train.ids
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    shuffled = recover_adaptive(trained.model, whole.degraded[order], ids=[ids[i] for i in order])
    parts = recover_adaptive(trained.model, whole.degraded, ids=ids, batch_size=3)
    for found, rows in ((shuffled, order), (parts, torch.arange(16))):
        assert alike(found, whole.found, rows)
        back = whole.back[rows] & found.claimed
        assert (found.iterations == whole.found.iterations[rows])[back].double().mean() > 0.8


def test_same_call_gives_the_same_bits(trained: Trained, case: Cases):
    for name in ("zeros", "noise"):
        again = recover_adaptive(trained.model, case(name).degraded, ids=trained.train.ids)
        assert torch.equal(again.images, case(name).found.images)
        assert torch.equal(again.evaluations, case(name).found.evaluations)


@any_damage
def test_evaluations_are_those_that_were_made_and_batches_as_large_as_asked_for(
    trained: Trained, case: Cases, name: str
):
    y = torch.cat([case(name, split).degraded[:3] for split in ("train", "control")])
    for size, largest in ((None, 6), (4, 4)):
        counting = Counting(trained.model)
        found = recover_adaptive(counting, y, batch_size=size)
        assert sum(counting.batches) == found.evaluations.sum()
        assert max(counting.batches) == largest


@pytest.mark.parametrize("one_mask", [True, False])
@pytest.mark.parametrize("fill", ["unknown", "colour", "anything"])
def test_no_images_give_no_recoveries(trained: Trained, fill: str, one_mask: bool):
    found = recover_adaptive(trained.model, torch.empty(0, *SHAPE), fill=fill, one_mask=one_mask)
    assert found.images.shape == found.mask.shape == (0, *SHAPE)
    for entry in (found.status, found.iterations, found.evaluations, found.claimed, found.confidence, found.kept_share):
        assert len(entry) == 0


@pytest.mark.parametrize("shape", [(1, 12, 7), (4, 5, 9), (2, 1, 1), (3, 2, 1)])
@pytest.mark.parametrize("fill", [None, Noise()])
@pytest.mark.parametrize("one_mask", [True, False])
def test_any_number_of_channels_and_any_shape(shape: tuple[int, int, int], fill: Noise | None, one_mask: bool):
    """A network whose only fixed points are the multiples of a picture; the picture comes back from half of it."""
    picture = 0.1 + 0.8 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    direction = picture / picture.norm()

    def projection(x: Tensor) -> Tensor:
        return (x * direction).sum((1, 2, 3), keepdim=True) * direction

    mask = torch.ones(shape)
    mask[:, : shape[1] // 2] = 0
    hidden = torch.zeros(shape) if fill is None else fill.values(picture[None], ["a"], 42, picture[None])[0]
    y = torch.where(mask > 0, picture, hidden)[None]
    found = recover_adaptive(projection, y, one_mask=one_mask)
    assert found.images.shape == y.shape == found.mask.shape
    assert found.images.isfinite().all()
    if fill is None:
        assert metrics.mse(found.images, picture[None]) < 1e-6


@any_damage
def test_float64_recovers_the_same_in_float64(trained: Trained, case: Cases, name: str):
    whole = case(name)
    found = recover_adaptive(copy.deepcopy(trained.model).double(), whole.degraded.double(), ids=trained.train.ids)
    assert {found.images.dtype, found.mask.dtype, found.confidence.dtype} == {torch.float64}
    assert alike(found, whole.found, torch.arange(16))


def test_image_that_leaves_the_finite_numbers_is_marked_and_harms_no_other(trained: Trained):
    """The network breaks on images whose values are larger than those of any other."""
    images, damage = trained.train.images, Erasure("center")
    far = torch.where(damage.operator(SHAPE, [0], 42).theta > 0, 5 + images[:2] / 10, torch.zeros(()))
    y = torch.cat([far[:1], damage.degrade(images[:6]), far[1:]])

    def broken(x: Tensor) -> Tensor:
        return torch.where((x.flatten(1).amax(1) > 3)[:, None, None, None], torch.nan, trained.model(x))

    found, alone = recover_adaptive(broken, y), recover_adaptive(trained.model, y[1:7])
    assert [status == NON_FINITE for status in found.status] == [True, *[False] * 6, True]
    assert found.images.isfinite().all()
    assert torch.equal(found.images[[0, 7]], y[[0, 7]])
    assert found.confidence[[0, 7]].tolist() == [0, 0]
    assert not found.claimed[[0, 7]].any()
    assert list(found.status[1:7]) == list(alone.status)
    assert metrics.mse(found.images[1:7], alone.images).max() < 1e-10


@pytest.mark.parametrize("factor", [torch.nan, torch.inf, 1e30])
@any_damage
def test_network_that_knows_no_finite_numbers_recovers_nothing(case: Cases, name: str, factor: float):
    found = recover_adaptive(lambda x: x * factor, case(name).degraded)
    assert set(found.status) == {NON_FINITE}
    assert torch.equal(found.images, case(name).degraded)
    assert not found.claimed.any()


def test_status_says_what_has_come_to_rest(trained: Trained, case: Cases):
    train = case("zeros")
    assert (train.found.status == CONVERGED)[train.back.numpy()].mean() > 0.9
    hasty = recover_adaptive(trained.model, case("zeros", "control").degraded, rest=1, restarts=0)
    assert set(hasty.status) == {MAX_ITERATIONS}


def test_arguments_are_left_as_they_were(trained: Trained, case: Cases):
    weights = {name: value.clone() for name, value in trained.model.state_dict().items()}
    for name in DAMAGES:
        y = case(name).degraded.clone()
        recover_adaptive(trained.model, y, restarts=1)
        assert torch.equal(y, case(name).degraded)
    assert all(torch.equal(value, weights[name]) for name, value in trained.model.state_dict().items())


# Options


def recorded(model: Callable[[Tensor], Tensor], y: Tensor, **options) -> tuple[Recovery, list[tuple[Tensor, Tensor]]]:
    """The recovery, and the images and masks of each try."""
    tries: list[tuple[Tensor, Tensor]] = []
    found = recover_adaptive(
        model, y, **options, on_iteration=lambda images, mask: tries.append((images.clone(), mask.clone()))
    )
    return found, tries


def test_on_iteration_sees_each_try_of_each_image(trained: Trained, case: Cases):
    y = torch.cat([case("zeros", split).degraded[:4] for split in ("train", "control")])
    found, tries = recorded(trained.model, y, batch_size=3)
    assert sum(len(images) for images, _ in tries) == found.iterations.sum()
    assert [len(images) for images, _ in tries[:3]] == [3, 3, 2]
    assert all(images.shape == mask.shape == (len(images), *SHAPE) for images, mask in tries)
    assert torch.equal(tries[0][0][0], found.images[0])  # settled by the first one


def test_restarts_are_for_what_is_not_settled(trained: Trained, case: Cases):
    assert case("zeros").found.iterations.median() == 1
    y = case("zeros", "control").degraded
    for restarts in (0, 2):
        found = recover_adaptive(trained.model, y, restarts=restarts)
        assert found.iterations.max() == restarts + 1
        assert found.iterations.min() >= 1
    assert case("zeros", "control").found.iterations.max() == 9


def test_restarts_bring_back_images_that_the_first_try_does_not(trained: Trained, case: Cases):
    first = recover_adaptive(trained.model, case("noise").degraded, restarts=0)
    assert rate(first, case("noise").images) < case("noise").back.double().mean()


def test_gamma_weighs_all_tries(trained: Trained, case: Cases):
    y = case("zeros", "control").degraded[:4]
    _, default = recorded(trained.model, y, fill="colour", rest=1)
    _, changed = recorded(trained.model, y, fill="colour", rest=1, gamma=0.7)
    assert len(default) == len(changed) == 8
    for (one, _), (other, _) in zip(default, changed, strict=True):
        assert not torch.equal(one, other)
    _, same = recorded(trained.model, y, fill="colour", rest=1, gamma=1.0)
    assert torch.equal(same[0][0], default[0][0])  # the first try's own


def test_fill_that_is_named_is_not_looked_for(trained: Trained, case: Cases):
    zeros, noise = case("zeros"), case("noise")
    assert rate(recover_adaptive(trained.model, noise.degraded, fill="colour"), noise.images) == 0
    anything = recover_adaptive(trained.model, zeros.degraded, fill="anything")
    assert rate(anything, zeros.images) > 0
    assert anything.evaluations.median() > 2 * zeros.found.evaluations.median()
    for name, fill in (("zeros", "colour"), ("noise", "anything")):
        told = recover_adaptive(trained.model, case(name).degraded, ids=trained.train.ids, fill=fill)
        found = case(name).found
        same = found.claimed & (found.iterations <= 6)  # settled before another kind of fill was tried
        assert same.any()
        assert torch.equal(told.images[same], found.images[same])


@pytest.mark.parametrize(("name", "least"), [("zeros", 0.75), ("noise", 0.65), ("noisy pixels", 0.3)])
def test_channels_may_have_masks_of_their_own(trained: Trained, name: str, least: float):
    images, source = trained.train.images, torch.Generator().manual_seed(0)
    mask = (torch.rand(images.shape, generator=source) < 0.6).float()
    fill = torch.rand(images.shape, generator=source) if name == "noise" else torch.zeros(())
    noise = 0.02 * torch.randn(images.shape, generator=source) if name == "noisy pixels" else 0
    y = torch.where(mask > 0, images, fill) + noise
    found, other = (recover_adaptive(trained.model, y, one_mask=one_mask) for one_mask in (False, True))
    back = metrics.mse(found.images, images) < 1e-7
    assert back.double().mean() >= least
    assert (found.mask != mask).double().mean((1, 2, 3))[back].max() <= (0 if name == "zeros" else 0.25)
    assert (found.kept_share - mask.mean((1, 2, 3)))[back].abs().max() <= (1e-6 if name == "zeros" else 0.25)
    # Where a pixel has to be missing in all channels or in none, the masks of the channels are one.
    assert torch.equal(other.mask, other.mask[:, :1].expand_as(other.mask))
    assert rate(other, images) <= rate(found, images)
    assert not torch.equal(found.images, other.images)


@pytest.mark.parametrize("change", [{"mask_every": 80}, {"carry_state": False}])
@pytest.mark.parametrize("name", ["noise", "noisy pixels"])
def test_mask_that_is_estimated_seldom_or_with_state_lost_recovers_less(
    trained: Trained, case: Cases, name: str, change: dict
):
    """In the first try, after which there are others for what it lost."""
    changed, usual = (
        recover_adaptive(trained.model, case(name).degraded, ids=trained.train.ids, restarts=0, **own)
        for own in (change, {})
    )
    assert not torch.equal(changed.images, usual.images)
    if name == "noise":
        assert rate(changed, case(name).images) < rate(usual, case(name).images)


def test_memory_saves_applications(trained: Trained, case: Cases):
    y = case("zeros").degraded
    plain, accelerated = (recover_adaptive(trained.model, y, memory=memory, restarts=0) for memory in (0, 5))
    assert plain.evaluations.sum() > accelerated.evaluations.sum()
    assert rate(accelerated, case("zeros").images) >= rate(plain, case("zeros").images)


@torch.no_grad()
def test_rest_of_one_application_puts_back_the_kept_pixels_alone(trained: Trained, case: Cases):
    """Against the first try as the paper states Algorithm 1, with (31) after it."""
    y, mask, gamma = case("zeros").degraded, case("zeros").mask, 1.0
    found = recover_adaptive(trained.model, y, rest=1, restarts=0)
    assert found.evaluations.tolist() == [10 + 1] * 16
    u, v = torch.zeros_like(y), torch.zeros_like(y)
    mean = (mask * y).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True)
    for iteration in range(10):
        xi = torch.where(mask > 0, (y + gamma / 2 * (v - u)) / (1 + gamma / 2), v - u if iteration else mean)
        v = trained.model(xi + u)
        u = u + xi - v
    assert torch.allclose(found.images, torch.where(mask > 0, y, v), atol=1e-5)


def test_try_that_leaves_pixels_out_follows_from_seed_and_id(trained: Trained, case: Cases):
    options = {"fill": "colour", "rest": 1}
    y = case("zeros", "control").degraded
    y = y[recover_adaptive(trained.model, y, **options).iterations == 8][:4]  # none of the eight settles them
    default = [images for images, _ in recorded(trained.model, y, ids=list("abcd"), **options)[1]]
    for change, same in (
        ({"ids": list("abcd")}, [True] * 4),
        ({"ids": list("abcd"), "seed": 7}, [False] * 4),
        ({"ids": list("abef")}, [True, True, False, False]),
        ({"ids": list("ab"), "repeats": 2}, [True, True, False, False]),
    ):
        tries = [images for images, _ in recorded(trained.model, y, **options, **change)[1]]
        equal = [(one == other).flatten(1).all(1).tolist() for one, other in zip(default, tries, strict=True)]
        assert equal == [[True] * 4] * 6 + [same] + [[True] * 4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_device_is_where_the_network_is_applied(trained: Trained, case: Cases):
    model, places = copy.deepcopy(trained.model).cuda(), set()

    def watching(x: Tensor) -> Tensor:
        places.add(x.device.type)
        return model(x)

    for name in DAMAGES:
        found = recover_adaptive(watching, case(name).degraded, ids=trained.train.ids, device="cuda", batch_size=5)
        assert {entry.device.type for entry in (found.images, found.mask, found.confidence, found.claimed)} == {"cpu"}
        assert alike(found, case(name).found, torch.arange(16))
    assert places == {"cuda"}


def test_network_from_elsewhere_is_recovered_from_without_a_gamma(trained: Trained):
    """A plain sequence of layers, with another activation and one channel, that was trained without memrec."""
    images = trained.train.images[:8].mean(1, keepdim=True)
    torch.manual_seed(0)
    layers = [layer for size in pairwise((256, 96, 96, 96, 256)) for layer in (nn.Linear(*size), nn.ELU())][:-1]
    model = nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, (1, 16, 16)))
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, 1000)
    for _ in range(1000):
        optimiser.zero_grad()
        (model(images) - images).square().mean().backward()
        optimiser.step()
        schedule.step()
    for damage in (Erasure("center"), Erasure("random_50", fill=Colour(0.7))):
        found = recover_adaptive(model, damage.degrade(images))
        assert rate(found, images) >= 0.75
        assert found.claimed.sum() >= 6
