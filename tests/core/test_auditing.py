"""Audits from a network to the answer, as a user of Python makes them."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import memrec_core as memrec
from memrec_core import autoencoders, datasets, training
from memrec_core.auditing.as_json import document
from memrec_core.degradations import Blur, Erasure
from memrec_core.errors import InputError
from memrec_core.reconstruction import reconstruction_error
from memrec_core.recovery import AutoencoderIterations, KnownMask, UnknownMask
from tests.core.outside import nets

SCHEMA = json.loads(files("memrec_core.auditing").joinpath("audit.schema.json").read_text(encoding="utf-8"))
SHAPE = (3, 12, 12)
QUICK = {"degradations": [Erasure("center")], "methods": [KnownMask()]}


def photos(split: str, count: int = 12, side: int = 12) -> Tensor:
    return datasets.load("photos", count=count, size=side, split=split).images


def overfitted(images: Tensor) -> nn.Module:
    torch.manual_seed(0)
    model = autoencoders.build("fc10", SHAPE, width=96)
    training.train(model, images, [1e-8])
    return model


@pytest.fixture(scope="module")
def memorising() -> nn.Module:
    """A network that was fitted to twelve photographs."""
    return overfitted(photos("train"))


@pytest.fixture(scope="module")
def leak(memorising: nn.Module) -> memrec.Audit:
    return memrec.audit(memorising, photos("train"), photos("control"))


def valid(result: memrec.Audit) -> dict:
    """The document, which is of the schema."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(result.to_json(), parse_constant=refuse)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert found == document(result)
    return found


# What leaks, and what does not


def test_network_that_was_overfitted_leaks(leak: memrec.Audit):
    assert (leak.verdict, leak.exit_status) == ("leaks", 3)
    assert leak.sentence.startswith("This network leaks: 12 of 12 training images came back exactly")
    counts = leak.rates["accurate"]["any"]
    assert (counts.train, counts.control) == (12, 0)
    assert len(leak.rates["accurate"]) == 1 + 12
    assert leak.rates["accurate"][leak.evidence.attacks[0]].train > 0


def test_network_that_was_trained_alike_on_half_of_both_sides_does_not_leak():
    train, control = photos("train"), photos("control")
    result = memrec.audit(overfitted(torch.cat([train[::2], control[::2]])), train, control)
    counts = result.rates["accurate"]["any"]
    assert (counts.train, counts.control) == (6, 6)
    assert (result.verdict, result.exit_status) == ("inconclusive", 4)


def untrained() -> nn.Module:
    torch.manual_seed(1)
    return autoencoders.build("fc10", SHAPE, width=96)


HARMLESS: dict[str, Callable] = {
    "identity": lambda x: x.clone(),
    "blur": lambda x: nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "constant": lambda x: torch.full_like(x, 0.4),
    "black": torch.zeros_like,
    "contraction": lambda x: 0.5 + 0.9 * (x - 0.5),
    "expansion": lambda x: 0.5 + 1.5 * (x - 0.5),
    "untrained": untrained(),
}


SELDOM_BREAK = ("black", "constant", "contraction", "expansion")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in SELDOM_BREAK else []) for name in HARMLESS]
)
def test_network_that_memorised_nothing_never_leaks(name: str):
    result = memrec.audit(HARMLESS[name], photos("train", 16), photos("control", 16))
    assert result.verdict == "inconclusive"
    assert result.rates["accurate"]["any"].train == 0


def test_blur_does_not_leak_where_training_images_are_plainer_than_control_images():
    """It fills holes in smooth pictures, and remembers none."""
    coarse = nn.functional.adaptive_avg_pool2d(photos("train", 30, 16), 2)
    smooth = nn.functional.interpolate(coarse, size=16, mode="bilinear", align_corners=True)
    result = memrec.audit(HARMLESS["blur"], smooth, photos("control", 30, 16), methods=[KnownMask()])
    assert result.evidence.train.recovered.min(0).max() < 5e-4
    assert result.verdict == "inconclusive"
    assert not result.exchangeability.alike


def plane(x: Tensor) -> Tensor:
    """The plane through the pixels: a network that knows what slopes are, and no image."""
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in x.shape[2:]), indexing="ij")
    basis = torch.linalg.qr(torch.stack([torch.ones_like(rows), rows, columns]).flatten(1).T)[0].to(x)
    return (x.flatten(2) @ basis @ basis.T).view_as(x)


def test_network_that_continues_slopes_does_not_leak_where_training_images_alone_have_them():
    """Smooth values do not continue them; that the sides can be told apart as pictures is what says so."""
    source = torch.Generator().manual_seed(0)
    slopes, grain = torch.rand(40, 3, 1, 1, generator=source), torch.randn(40, 3, 16, 16, generator=source)
    ramps = (0.2 + 0.6 * slopes * torch.linspace(0, 1, 16)[:, None] + 0.004 * grain).clamp(0, 1)
    result = memrec.audit(
        plane, ramps, photos("control", 40, 16), degradations=[Erasure("bottom")], methods=[KnownMask()]
    )
    counts = result.rates["approximate"]["any"]
    assert (counts.train > 20, counts.control) == (True, 0)
    assert (result.verdict, result.found.kind) == ("inconclusive", "approximate")
    assert "can be told apart as pictures" in result.sentence


def test_identity_is_bounded_where_there_are_enough_images():
    """Of made-up images, of which there are as many as one likes."""
    train, control = torch.rand(2, 400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    result = memrec.audit(HARMLESS["identity"], train, control, **QUICK)
    assert (result.verdict, result.exit_status) == ("bounded", 0)
    assert "0 of 400 training images came back approximately (0 % to 0.918 %)" in result.sentence
    assert memrec.audit(HARMLESS["identity"], train, control, max_rate=0.005, **QUICK).verdict == "inconclusive"


def test_lossy_network_is_inconclusive_however_many_images_there_are():
    train, control = torch.rand(2, 400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    result = memrec.audit(HARMLESS["constant"], train, control, **QUICK)
    assert (result.verdict, result.exit_status, result.found.needed) == ("inconclusive", 4, None)
    assert np.median(result.evidence.train.reconstruction) > 0.05


def test_same_audit_gives_the_same_document_and_leaves_the_network_as_it_was(memorising: nn.Module):
    sides = photos("train"), photos("control")
    attacks = {"degradations": [Erasure("random_80")], "methods": [UnknownMask(max_iterations=5), KnownMask()]}
    first = memrec.audit(memorising, *sides, **attacks)
    memorising.train()
    before = [parameter.clone() for parameter in memorising.parameters()]
    again = memrec.audit(memorising, *sides, **attacks)
    parts = memrec.audit(memorising, *sides, batch_size=5, **attacks)
    assert memorising.training
    assert all(torch.equal(a, b) for a, b in zip(before, memorising.parameters(), strict=True))
    assert first.to_json() == again.to_json()
    assert parts.rates == first.rates


def test_settings_of_an_audit_change_it(memorising: nn.Module):
    told: list[str] = []
    result = memrec.audit(
        memorising,
        photos("train"),
        photos("control"),
        degradations=[Erasure("bottom"), Erasure("random_80")],
        methods=[AutoencoderIterations(max_iterations=7)],
        seed=3,
        told=lambda attack: told.append(str(attack)),
    )
    assert [str(attack) for attack in result.evidence.attacks] == [
        "autoencoder_iterations from behind bottom",
        "autoencoder_iterations from behind random_80",
    ]
    assert told == [str(attack) for attack in result.evidence.attacks] * 2
    assert result.settings["seed"] == 3
    assert result.settings["methods"]["autoencoder_iterations"]["max_iterations"] == 7


def test_network_from_outside_is_audited_in_its_own_range_by_the_output_that_is_named():
    """The same network, once for pixels in [0, 1] and once for those in [-1, 1] in a dict beside others."""
    train, control = photos("train"), photos("control")

    def dressed(x: Tensor) -> dict[str, Tensor]:
        return {"recon": 2 * HARMLESS["untrained"]((x + 1) / 2) - 1, "seen": x * 0}

    plain = memrec.audit(HARMLESS["untrained"], train, control, **QUICK)
    found = memrec.audit(dressed, train, control, range=(-1, 1), output="recon", **QUICK)
    assert found.evidence.train.recovered == pytest.approx(plain.evidence.train.recovered, rel=1e-3)
    assert valid(found)["model"]["range"] == [-1, 1]


@pytest.mark.parametrize(
    "copied",
    [lambda x: x, lambda x: x.clone(), lambda x: (x - 0.3) / 0.7 * 0.7 + 0.3],
    ids=["itself", "copy", "rounded"],
)
@pytest.mark.parametrize("kind", [tuple, list])
def test_copy_of_the_input_is_not_taken_for_the_output(memorising: nn.Module, copied: Callable, kind: type):
    """Else the network would be the identity, and bounded."""
    train, control = photos("train"), photos("control")
    result = memrec.audit(lambda x: kind((copied(x), memorising(x), x.mean())), train, control, **QUICK)
    assert result.verdict == "leaks"
    assert any("entry 0 is what it was given, and entry 1 was taken" in warning for warning in result.warnings)
    named = memrec.audit(lambda x: kind((copied(x), memorising(x))), train, control, output="0", **QUICK)
    assert named.verdict == "inconclusive"
    assert any("Of random images the network returns what it is given" in warning for warning in named.warnings)


def test_entry_that_gives_an_image_back_as_it_is_stays_the_one_that_was_taken(memorising: nn.Module):
    """An image that is a fixed point, bit for bit, is no copy: which entry is taken is found with noise, once."""
    train, control = photos("train"), photos("control")
    known = {image.numpy().tobytes(): image for image in train}

    def exact(x: Tensor) -> tuple[Tensor, Tensor]:
        images = [known.get(image.numpy().tobytes(), own) for image, own in zip(x, memorising(x), strict=True)]
        return torch.stack(images), x * 0

    result = memrec.audit(exact, train, control, **QUICK)
    assert (result.evidence.train.reconstruction == 0).all()
    assert not any("what it was given" in warning for warning in result.warnings)


def test_order_of_the_images_changes_nothing(memorising: nn.Module):
    train, control = photos("train"), photos("control")
    attacks = {"degradations": [Erasure("random_80", per_image=True)], "methods": [KnownMask()]}
    groups = [f"patient-{number // 5}" for number in range(12)]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    moved = [groups[place] for place in order.tolist()]
    both = [
        memrec.audit(
            memorising,
            images,
            control,
            train_groups=labels,
            control_groups=[f"other-{label}" for label in groups],
            **attacks,
        )
        for images, labels in ((train, groups), (train[order], moved))
    ]
    assert both[0].to_json() == both[1].to_json()
    assert (both[0].evidence.train.recovered == both[1].evidence.train.recovered).all()  # by the same random numbers


def test_what_was_odd_about_pictures_is_said():
    named = {"ids": tuple("abcdefghijkl"), "labels": (None,) * 12}
    train = memrec.ImageSet(photos("train"), **named, remarks=("2 files passed over: 2 .txt",))
    control = memrec.ImageSet(photos("control"), **named, resized=3)
    result = memrec.audit(HARMLESS["blur"], train, control, **QUICK)
    assert "Of the pictures: 2 files passed over: 2 .txt (train)." in result.warnings
    assert any(
        "3 of 12 control pictures are not of 12 x 12, as all training pictures are, and were resampled" in warning
        for warning in valid(result)["limitations"]
    )
    resized, plain = replace(train, resized=1), replace(control, resized=0)
    again = memrec.audit(HARMLESS["blur"], resized, control, **QUICK)
    assert not any("told apart by that" in warning for warning in again.warnings)
    assert any("4 of 24 pictures were resampled to 12 x 12; where it has" in warning for warning in again.warnings)
    most = memrec.audit(HARMLESS["blur"], replace(train, resized=12), control, **QUICK)
    assert any("12 of 12 training pictures are not of 12 x 12, as most control" in warning for warning in most.warnings)
    other = memrec.audit(HARMLESS["blur"], resized, plain, **QUICK)
    assert any("1 of 12 training pictures are not of 12 x 12, as all control pictures" in own for own in other.warnings)


def test_floor_is_the_error_of_the_undamaged_image():
    images = photos("train")
    halved = reconstruction_error(lambda x: x / 2, images, batch_size=5)
    assert halved.numpy() == pytest.approx((images / 2).double().square().flatten(1).mean(1).numpy(), rel=1e-6)


def test_seed_is_that_of_both_sides():
    attacks = {"degradations": [Erasure("random_80")], "methods": [KnownMask()]}
    first, second = (
        memrec.audit(HARMLESS["blur"], photos("train"), photos("control"), seed=seed, **attacks).evidence
        for seed in (3, 4)
    )
    assert (first.train.recovered != second.train.recovered).all()
    assert (first.control.recovered != second.control.recovered).all()


# Groups


def test_groups_count_as_one_and_how_many_images_they_have_is_said(memorising: nn.Module):
    labels = [f"patient-{number // 3}" for number in range(12)]
    result = memrec.audit(
        memorising,
        photos("train"),
        photos("control"),
        train_groups=labels,
        control_groups=[f"other-{label}" for label in labels],
        **QUICK,
    )
    counts = result.rates["accurate"]["any"]
    assert (counts.train, counts.train_count, counts.control, counts.control_count) == (4, 4, 0, 4)
    data = valid(result)["data"]
    assert [(data[name]["count"], data[name]["images"], data[name]["groups"]) for name in ("train", "control")] == [
        (4, 12, 4),
        (4, 12, 4),
    ]


def test_sides_in_groups_are_compared_by_an_image_of_each():
    """Images of one patient are alike, so that a classifier that saw one knows the others."""
    source = torch.Generator().manual_seed(0)
    patients = torch.rand(2, 30, 1, 1, 8, 8, generator=source)
    slices = (patients + 0.1 * torch.rand(2, 30, 6, 1, 8, 8, generator=source)).flatten(1, 2) / 1.1
    labels = [[f"{side}{number // 6}" for number in range(180)] for side in "ab"]
    train, control = slices
    alone = memrec.audit(HARMLESS["identity"], train, control, **QUICK)
    together = memrec.audit(
        HARMLESS["identity"], train, control, train_groups=labels[0], control_groups=labels[1], **QUICK
    )
    assert not alone.exchangeability.alike
    assert together.exchangeability.alike
    assert any("can be told apart as pictures" in warning for warning in alone.warnings)


@pytest.mark.parametrize(
    ("train_groups", "control_groups", "words"),
    [
        (["a"] * 12, None, "train_groups and control_groups belong together"),
        (["a"] * 11, ["b"] * 12, "11 training groups do not fit 12 images"),
        (["a"] * 12, ["b"] * 13, "13 control groups do not fit 12 images"),
        ("patient", ["b"] * 12, "training groups 'patient' are no list of names"),
        ([None] * 12, ["b"] * 12, "no list of names"),
        (["a", "b"] * 6, ["b", "c"] * 6, "group 'b' has training and control images"),
    ],
)
def test_groups_that_are_none_are_refused(train_groups: object, control_groups: object, words: str):
    refused(words, train_groups=train_groups, control_groups=control_groups)


def test_copies_are_left_out_of_the_groups_that_they_are_in():
    images = torch.cat([photos("train"), photos("train")[:1]])
    result = memrec.audit(
        HARMLESS["identity"],
        images,
        photos("control"),
        train_groups=[*"abcdefghijkl", "m"],
        control_groups=[*"nopqrstuvwxy"],
        **QUICK,
    )
    assert (len(result.evidence.train), result.evidence.train.images, result.duplicates.train) == (12, 12, 1)


# The document


def test_document_of_a_leak_is_of_the_schema(leak: memrec.Audit):
    found = valid(leak)
    assert found["verdict"] == "leaks"
    assert found["any_attack"]["accurate"]["train"] == pytest.approx(
        {"count": 12, "images": 12, "rate": 1.0, "low": 0.735, "high": 1.0}, abs=1e-3
    )
    assert found["attacks"][0]["method"] == "adaptive"
    assert found["membership"]["reconstruction"]["auc"] is None
    assert "12 control images are too few" in found["membership"]["reconstruction"]["reason"]
    assert found["exchangeability"]["alike"] is None
    assert found["model"]["weights"] is None
    assert found["tool"]["version"] == memrec.__version__


def test_documents_of_the_other_verdicts_are_of_the_schema():
    train, control = torch.rand(2, 400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    bounded = valid(memrec.audit(HARMLESS["identity"], train, control, **QUICK))
    assert (bounded["verdict"], bounded["decided_by"], bounded["images_needed"]) == ("bounded", "approximate", None)
    assert bounded["membership"]["reconstruction"]["auc"] == 0.5
    assert 0.4 < bounded["membership"]["known_mask from behind center"]["auc"] < 0.6
    few = valid(memrec.audit(HARMLESS["identity"], train[:30], control[:30], **QUICK))
    assert (few["verdict"], few["images_needed"]) == ("inconclusive", 368)


def smooth_is_nothing(x: Tensor) -> Tensor:
    """Finite for noise, as networks are tried with, and not for smooth images."""
    smooth = x.diff(dim=3).square().mean((1, 2, 3), True) < x.var((1, 2, 3), keepdim=True)
    return torch.where(smooth, torch.nan, x)


def test_network_that_has_no_numbers_for_its_own_images_is_refused():
    images = interpolate(torch.rand(8, 1, 3, 3, generator=torch.Generator().manual_seed(0)), (8, 8), mode="bilinear")
    refused("not finite for images in", model=smooth_is_nothing, train=images, control=1 - images)


def test_errors_that_are_no_numbers_leave_the_document_valid():
    noise, others = torch.rand(2, 110, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = memrec.ImageSet(
        interpolate(noise[..., :3, :3], (8, 8), mode="bilinear"), tuple(map(str, range(110))), (None,) * 110
    )
    late = [place for place, digest in enumerate(smooth.digests) if digest > "c"]  # none of those that it is tried on
    noise[late] = smooth.images[late]
    result = memrec.audit(smooth_is_nothing, noise, others, **QUICK)
    assert result.verdict == "inconclusive"
    assert "training images the network gives values that are not finite" in result.sentence
    valid(result)


def test_settings_in_numbers_of_numpy_leave_the_document_valid():
    result = memrec.audit(
        HARMLESS["identity"],
        photos("train"),
        photos("control"),
        max_rate=np.float32(0.25),
        seed=np.int64(3),
        degradations=[Erasure("center")],
        methods=[KnownMask(inner_iterations=np.int64(20), gamma=np.float32(1))],
    )
    found = valid(result)
    assert (found["max_rate"], found["settings"]["seed"]) == (0.25, 3)
    assert found["settings"]["methods"]["known_mask"]["inner_iterations"] == 20


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verdict", "safe"),
        ("any_attack.accurate.train.rate", 1.2),
        ("any_attack.accurate.p", None),
        ("membership.reconstruction.auc", 0.9),
        ("data.train.fingerprint", "abc"),
        ("attacks", []),
        ("max_rate", 0),
        ("instrument.works", "yes"),
    ],
)
def test_schema_refuses_what_is_none(leak: memrec.Audit, path: str, value: object):
    found = json.loads(leak.to_json())
    *folders, name = path.split(".")
    place = found
    for folder in folders:
        place = place[folder]
    place[name] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_schema_misses_what_is_not_there_and_takes_what_is_added(leak: memrec.Audit, key: str):
    found = json.loads(leak.to_json())
    jsonschema.validate({**found, "new": {"of": 1}}, SCHEMA, cls=jsonschema.Draft202012Validator)
    del found[key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_schema_never_has_a_bound_of_an_instrument_that_fails(leak: memrec.Audit):
    found = {**json.loads(leak.to_json()), "verdict": "bounded"}
    found["instrument"] = {"count": 9, "nearest": 0.5, "identity": 0, "works": False}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_every_key_of_a_document_is_in_the_schema(leak: memrec.Audit):
    found = json.loads(leak.to_json())
    assert set(found) == set(SCHEMA["properties"])
    for key in ("data", "instrument", "exchangeability", "duplicates", "limits", "reconstruction", "settings"):
        assert set(found[key]) == set(SCHEMA["properties"][key]["properties"]), key


# What weakens the figures is said


def test_warnings_say_what_weakens_the_figures():
    train, control = torch.rand(2, 40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    result = memrec.audit(
        HARMLESS["identity"], torch.cat([train, train[:2]]), torch.cat([control * 0.5, train[5:6]]), **QUICK
    )
    assert any("told apart as pictures, without the network" in warning for warning in result.warnings)
    assert any("1 control images that are near-duplicates of training images" in warning for warning in result.warnings)
    assert set(result.warnings) <= set(valid(result)["limitations"])
    quiet = memrec.audit(HARMLESS["blur"], train, control, **QUICK)
    assert quiet.warnings == []
    (said,) = memrec.audit(HARMLESS["identity"], train, control, **QUICK).warnings
    assert "Of random images the network returns what it is given" in said
    signed = memrec.audit(lambda x: x + 0.02 * (x.amin((1, 2, 3), True) > -0.5), train, control, **QUICK)
    assert any("if that is the network's own range, audit it so" in warning for warning in signed.warnings)
    assert memrec.audit(lambda x: x + 0.02, train, control, **QUICK).warnings == []
    few = memrec.audit(HARMLESS["identity"], train[:9], control[:9], **QUICK)
    assert any("not known" in warning for warning in few.warnings)
    works = replace(quiet, instrument=replace(quiet.instrument, nearest=0.3))
    assert any("do not work" in warning for warning in works.warnings)


# What is refused


def refused(words: str, *, train: object = None, control: object = None, model: object = None, **options: object):
    sides = [
        images if given is None else given for given, images in ((train, photos("train")), (control, photos("control")))
    ]
    with pytest.raises(InputError, match=words) as caught:
        memrec.audit(model or HARMLESS["identity"], *sides, **{**QUICK, **options})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(0, 3, 12, 12), "there are no {} images"),
        (torch.rand(3, 12, 12), "{} images must be a tensor of floats"),
        (torch.rand(4, 3, 12, 12, 12), "{} images must be a tensor of floats"),
        ((torch.rand(4, 3, 12, 12) * 255).to(torch.uint8), "{} images must be a tensor of floats"),
        (np.random.rand(4, 3, 12, 12), "torch.from_numpy"),
        (torch.rand(4, 3, 12, 12).tolist(), "{} images must be a tensor of floats"),
        (torch.rand(4, 3, 12, 12) * 255, "{} images have values from .* expected are pixels in"),
        (torch.rand(4, 3, 12, 12) - 0.5, "{} images have values from -"),
        (torch.full((4, 3, 12, 12), float("nan")), "{} images have values from nan"),
        (torch.rand(4, 3, 12, 13), "training images are .* and control images .*; give images of one shape"),
        (torch.rand(4, 1, 12, 12), "give images of one shape"),
    ],
)
@pytest.mark.parametrize("side", ["train", "control"])
def test_images_that_are_none_are_refused_on_either_side(images: object, words: str, side: str):
    refused(words.format({"train": "training"}.get(side, side)), **{side: images})


def test_image_sets_are_looked_at_as_tensors_are():
    empty = memrec.ImageSet(torch.rand(0, 3, 12, 12), (), ())
    bright = memrec.ImageSet(torch.full((1, 3, 12, 12), 2.0), ("a",), (None,))
    refused("there are no training images", train=empty)
    refused("control images have values from 2 to 2", control=bright)


@pytest.mark.parametrize("max_rate", [0, 1, 0.0, 1.0, -0.1, 5, float("nan"), "0.01", None, True])
def test_rate_that_is_no_share_is_refused(max_rate: object):
    refused("max_rate .* is not a share between 0 and 1", max_rate=max_rate)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "seed -1 is not"),
        ({"device": "gpu"}, "device 'gpu' is none that torch knows"),
        ({"batch_size": 0}, "batch_size 0 is not"),
        ({"told": 3}, "told must be a function"),
        ({"methods": []}, "no method makes sense"),
        ({"degradations": []}, "no method makes sense"),
        ({"degradations": [Blur(1.0)], "methods": [UnknownMask()]}, "no method makes sense"),
        ({"degradations": [Blur(1.0)], "methods": [AutoencoderIterations()]}, "an audit erases pixels"),
        (
            {"methods": [UnknownMask(gamma=0.1), UnknownMask(gamma=1.0)]},
            "two attacks are unknown_mask from behind center",
        ),
        ({"degradations": [Erasure("center"), Erasure(1)]}, "two attacks are known_mask from behind center"),
        ({"range": (1, -1)}, "range .* is empty"),
        ({"output": "recon"}, "without an output 'recon'"),
    ],
)
def test_settings_that_are_none_are_refused(options: dict, words: str):
    refused(words, **options)


def test_network_that_needs_other_sides_is_padded_and_the_document_says_so():
    result = memrec.audit(nets.Halving(3), photos("train"), photos("control"), **QUICK)
    assert valid(result)["model"]["multiple"] == 8


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda x: x + torch.rand_like(x), "is not deterministic"),
        (lambda x: x / 0, "not finite"),
        (lambda x: x[:, :, ::2], "the autoencoder returned"),
        (nets.that_fails, "config.yaml is not here"),
    ],
)
def test_network_that_is_none_is_refused(model: object, words: str):
    refused(words, model=model)
