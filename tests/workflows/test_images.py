"""What a run's images are is kept by their pixels: others are refused, and a picture counts once."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from memrec_core.degradations import Erasure
from memrec_core.degradations.fills import Patch
from memrec_core.errors import InputError
from workflows.experiment import loading as experiments
from workflows.experiment.data import Data
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import checkpoints_there, damaged_checkpoints, set_checkpoint_aside
from workflows.run.images import catalogues_of, check_still_there, check_trained_on, keep_catalogues
from workflows.run.plan import with_checkpoints
from workflows.run.planning import Size, make_plan
from workflows.run.run import Run
from workflows.run.store import Store
from workflows.work.recover import Pictures
from workflows.work.train import StoredState, train_model

FOLDERS = """
name: folders
data: {name: image_folder, root: ROOT, size: 8}
models: [{architecture: fc10, width: 16}]
training: {targets: [0.05]}
degradations: [{mask: center}]
methods: [known_mask]
"""


def noise(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def fill(folder: Path, *seeds: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        Image.fromarray(noise(seed)).save(folder / f"p{seed}.png")
    return folder


def of_folder(root: Path, **data: object) -> Experiment:
    loaded = experiments.parse(FOLDERS.replace("ROOT", str(root)), "folders")
    return replace(loaded, data=(replace(loaded.data[0], **data),))


def begun(experiment: Experiment, folder: Path) -> Store:
    """A run that has noted what its images are."""
    store = Store(str(folder))
    keep_catalogues(store, read(experiment))
    return store


def read(experiment: Experiment):
    return {data.label: load_audit_set(data, experiment.seed).catalogue for data in experiment.data}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=st.integers(0, 7), row=st.integers(0, 7), column=st.integers(0, 7), channel=st.integers(0, 2))
def test_any_pixel_that_was_replaced_is_refused(image, row, column, channel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    pictures = folder / "pictures"
    pictures.mkdir()
    for seed in range(8):
        Image.fromarray(noise(seed, 8)).save(pictures / f"p{seed}.png")
    experiment = of_folder(pictures)
    store = begun(experiment, folder / "run")
    check_still_there(Run(experiment, store))
    pixels = noise(image, 8)
    pixels[row, column, channel] ^= 1
    Image.fromarray(pixels).save(pictures / f"p{image}.png")
    split = ("train", "control")[image % 2]
    expected = rf"of 8, 1 have other pixels \(first: {split}/p{image}.png\)"
    with pytest.raises(InputError, match=expected):
        check_still_there(Run(experiment, store))
    with pytest.raises(InputError, match=expected):
        keep_catalogues(store, read(experiment))


def test_images_that_are_gone_or_new_are_named(tmp_path: Path):
    experiment = of_folder(fill(tmp_path / "pictures", *range(8)))
    store = begun(experiment, tmp_path / "run")
    (tmp_path / "pictures" / "p7.png").rename(tmp_path / "pictures" / "q7.png")
    with pytest.raises(InputError, match=r"1 are gone \(first: control/p7.png\), 1 are new \(first: control/q7.png\)"):
        check_still_there(Run(experiment, store))


def test_pictures_that_moved_are_the_same_pictures(tmp_path: Path):
    store = begun(of_folder(fill(tmp_path / "here", *range(8))), tmp_path / "run")
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = of_folder(tmp_path / "there")
    check_still_there(Run(moved, store))
    keep_catalogues(store, read(moved))


def test_pictures_that_cannot_be_read_any_more_are_said_and_stop_nothing(tmp_path: Path, capsys):
    experiment = of_folder(fill(tmp_path / "pictures", *range(8)))
    store = begun(experiment, tmp_path / "run")
    shutil.rmtree(tmp_path / "pictures")
    check_still_there(Run(experiment, store))
    assert "can't be compared with the images of this run" in capsys.readouterr().out


def test_checkpoint_that_was_trained_on_other_pictures_is_refused(tmp_path: Path):
    store = Store(str(tmp_path / "run"))
    experiment = of_folder(fill(tmp_path / "pictures", *range(8)))
    train_model(Run(experiment, store), experiment.models[0], load_audit_set(experiment.data[0], experiment.seed))
    check_trained_on(Run(experiment, store), read(experiment))
    others = of_folder(fill(tmp_path / "others", *range(100, 108)))
    with pytest.raises(InputError, match=r"0.05.safetensors was trained on other pictures"):
        check_trained_on(Run(others, store), read(others))


def test_checkpoint_of_another_network_or_target_is_none(tmp_path: Path):
    store = Store(str(tmp_path / "run"))
    tree = of_folder(fill(tmp_path / "pictures", *range(8))).tree()
    tree |= {
        "models": [{"architecture": "fc10", "width": 16}, {"architecture": "fc10", "activation": "prelu", "width": 16}]
    }
    tree |= {"training": {"targets": [0.06, 0.05]}}
    experiment = experiments.experiment_from(tree)
    audit = load_audit_set(experiment.data[0], experiment.seed)
    for model in experiment.models:
        train_model(Run(experiment, store), model, audit)
    assert damaged_checkpoints(Run(experiment, store)) == {}
    folder = tmp_path / "run" / "checkpoints"
    for source, place in (("fc10-prelu/0.06", "fc10-leaky_relu/0.06"), ("fc10-prelu/0.06", "fc10-prelu/0.05")):
        for ending in ("json", "safetensors"):
            shutil.copy(folder / f"{source}.{ending}", folder / f"{place}.{ending}")
    with pytest.raises(InputError, match="is the sidecar of another checkpoint"):
        checkpoints_there(Run(experiment, store))
    damaged = damaged_checkpoints(Run(experiment, store))
    assert len(damaged) == 2
    for checkpoint in damaged:
        set_checkpoint_aside(store, *checkpoint)
    assert set(checkpoints_there(Run(experiment, store))) == {("fc10-leaky_relu", 0.05), ("fc10-prelu", 0.06)}


def test_state_of_a_training_on_other_pictures_is_not_gone_on_with(tmp_path: Path):
    store = Store(str(tmp_path / "run"))
    states = []
    for seeds in (range(8), range(100, 108)):
        experiment = of_folder(fill(tmp_path / f"from{seeds[0]}", *seeds))
        known = read(experiment)["image_folder"]
        states.append(StoredState(Run(experiment, store), experiment.models[0], known.fingerprint("train")))
    states[0].write(b"weights")
    assert states[0].read() == b"weights"
    assert states[1].read() is None


def test_state_of_a_training_that_began_elsewhere_is_not_gone_on_with(tmp_path: Path):
    plain, store = of_folder(fill(tmp_path / "pictures", *range(8))), Store(str(tmp_path / "run"))
    [model] = plain.trained_models
    others = [{}, {"start": "mean"}, {"optimiser": "adam"}, {"learning_rate": 0.1}]
    files = [StoredState(Run(plain, store), replace(model, **other), "pixels").file for other in others]
    assert len(set(files)) == 4


def test_run_that_does_not_say_what_its_pictures_are_is_refused(tmp_path: Path):
    experiment = of_folder(fill(tmp_path / "pictures", *range(8)))
    store = Store(str(tmp_path / "run"))
    store.write("plan.parquet", b"")
    with pytest.raises(InputError, match=r"does not say which pictures it is of .* choose another --run"):
        keep_catalogues(store, read(experiment))


def test_pixels_are_part_of_what_a_unit_is(tmp_path: Path):
    names = []
    for seeds in ((0, 1, 2, 3), (0, 1, 2, 3), (9, 1, 2, 3)):
        pictures = tmp_path / str(len(names))
        pictures.mkdir()
        for number, seed in enumerate(seeds):
            Image.fromarray(noise(seed)).save(pictures / f"{number}.png")
        experiment = of_folder(pictures)
        plan = make_plan(experiment, read(experiment), lambda kind: Size(4, 4))
        names.append([unit.name for unit in with_checkpoints(plan, {("fc10-leaky_relu", 0.05): "d"})[0]])
    assert names[0] == names[1] != names[2]


@pytest.fixture
def crossing(tmp_path: Path) -> Experiment:
    """Six training pictures, one of them three times, and a control folder with two copies and three of its own, one of
    them twice."""
    train, control = fill(tmp_path / "train", 0, 1, 2, 3), fill(tmp_path / "control", 10, 11, 12)
    for copy in ("x.png", "y.bmp"):
        Image.fromarray(noise(2)).save(train / copy)
    Image.fromarray(np.rot90(noise(1))).save(control / "turned.png")
    Image.fromarray(noise(3)).resize((64, 64), Image.Resampling.BICUBIC).save(control / "larger.png")
    Image.fromarray(noise(11)).save(control / "again.webp", lossless=True)
    return of_folder(train, control_root=str(control))


def test_copies_of_training_pictures_are_no_control_images_and_each_picture_counts_once(crossing: Experiment):
    audit = load_audit_set(crossing.data[0], crossing.seed)
    known = audit.catalogue
    by_split = {split: [image for image in known.audited if image.split == split] for split in ("train", "control")}
    assert [len(images) for images in by_split.values()] == [4, 3]
    assert sorted(image.id for image in known.left_out()) == ["larger.png", "turned.png"]
    counts = dict(zip((image.name for image in known.audited), known.multiplicities, strict=True))
    assert sorted(counts.values()) == [1, 1, 1, 1, 1, 2, 3]
    assert len(audit.training_images()) == 6  # the networks see every file
    assert len(audit.images(slice(None))) == 7
    for place, image in enumerate(known.audited):
        assert audit.images(slice(place, place + 1)).mul(255).round().byte().numpy()[0].tobytes() in {
            pixels.tobytes() for pixels, other in zip(audit.pixels, known.images, strict=True) if other == image
        }


def test_what_was_doubled_and_what_was_left_out_is_said_and_kept(crossing: Experiment, tmp_path: Path):
    known = read(crossing)
    store = begun(crossing, tmp_path / "run")
    assert catalogues_of(store) == known
    said = "\n".join(known["image_folder"].sentences("mine", elsewhere=False))
    assert "data set mine: 2 of 6 training images are near-duplicates of others, and count once" in said
    assert "data set mine: 1 of 6 control images are near-duplicates of others" in said
    assert "data set mine: 2 of 6 control images are near-duplicates of training images, and are left out" in said
    assert "turned.png of p1.png" in said
    assert "larger.png of p3.png" in said


def test_copies_of_training_pictures_may_be_kept_in_the_control_set(crossing: Experiment):
    known = read(crossing.keeping_duplicates())["image_folder"]
    assert len(known) == 4 + 5
    assert known.left_out() == []
    assert sorted(image.id for image in known.seen()) == ["larger.png", "turned.png"]
    assert any("count as control all the same" in sentence for sentence in known.sentences("mine", elsewhere=False))


def test_control_set_of_nothing_but_copies_is_refused(tmp_path: Path):
    train = fill(tmp_path / "train", 0, 1)
    experiment = of_folder(train, control_root=str(fill(tmp_path / "control", 0, 1)))
    with pytest.raises(InputError, match=r"all its 2 control images are near-duplicates of training images"):
        read(experiment)


def sampled(root: Path, recover_count: int | None, **data: object) -> Data:
    return of_folder(root, recover_count=recover_count, **data).data[0]


def test_images_that_are_recovered_are_drawn_from_all_that_are_trained_on(tmp_path: Path):
    root = fill(tmp_path / "pictures", *range(20))
    whole, some = (load_audit_set(sampled(root, count), 42) for count in (None, 4))
    assert (some.catalogue.count("train"), some.catalogue.not_drawn()) == (4, 6)
    assert some.catalogue.count("control") == whole.catalogue.count("control") == 10
    assert some.catalogue.fingerprint("train") == whole.catalogue.fingerprint("train")
    assert torch.equal(some.training_images(), whole.training_images())
    assert {image.id for image in some.catalogue.audited} <= {image.id for image in whole.catalogue.audited}
    said = "data set mine: 4 of 10 different training images are recovered, drawn at random (recover_count); the rates"
    assert any(words.startswith(said) for words in some.catalogue.sentences("mine", elsewhere=False))
    assert list(whole.catalogue.sentences("mine", elsewhere=False)) == []
    halved, resampled = whole.catalogue.sentences("mine", elsewhere=True)
    assert "control images are every other picture of the folder, which it may have seen" in halved
    assert "20 of 20 pictures were resampled" in resampled
    with pytest.raises(InputError, match=r"recover_count is 11, and there are 10 different training images; set it to"):
        load_audit_set(sampled(root, 11), 42)


def test_draw_prefers_no_place_and_no_image(tmp_path: Path):
    root = fill(tmp_path / "pictures", *range(8))
    places, names = [], []
    for seed in range(200):
        audit = load_audit_set(sampled(root, 2), seed)
        drawn = [image for image in audit.catalogue.audited if image.split == "train"]
        places += audit.places[: len(drawn)].tolist()
        names += [image.id for image in drawn]
    for found in (places, names):  # four training images
        counts = np.unique(found, return_counts=True)[1]
        assert (len(counts), counts.sum()) == (4, 400)
        assert counts.min() > 60


def test_copies_are_left_out_before_images_are_drawn(crossing: Experiment):
    [data] = crossing.data
    known = load_audit_set(replace(data, recover_count=3), crossing.seed).catalogue
    assert (known.count("train"), known.not_drawn(), known.copies("train")) == (3, 1, 2)
    assert sorted(image.id for image in known.left_out()) == ["larger.png", "turned.png"]


def test_run_keeps_what_was_drawn(tmp_path: Path):
    root = fill(tmp_path / "pictures", *range(12))
    drawn, whole = (load_audit_set(sampled(root, count), 42).catalogue for count in (4, None))
    assert load_audit_set(sampled(root, 4), 42, drawn, "run").catalogue == drawn
    assert load_audit_set(sampled(root, 6), 42, whole, "run").catalogue == whole  # which are all
    for kept, now, words in (
        (drawn, None, r"4 of its training images are recovered in run, and recover_count is left out now; restore it"),
        (drawn, 5, r"4 of its training images are recovered in run, and recover_count is 5 now; restore it"),
        (whole, 5, r"6 of its training images are recovered in run, which are all, and recover_count is 5 now"),
    ):
        with pytest.raises(InputError, match=words):
            load_audit_set(sampled(root, now), 42, kept, "run")


def test_image_is_degraded_alike_whether_all_are_recovered_or_some(tmp_path: Path):
    root = fill(tmp_path / "pictures", *range(20))
    patched, found = Erasure("center", fill=Patch()), []
    for count in (None, 4):
        audit = load_audit_set(sampled(root, count, control_count=0), 42)
        images = audit.images(slice(None))
        ids = [image.name for image in audit.catalogue.audited]
        degraded = patched.degrade(images, ids, 42, Pictures(audit))
        found.append(dict(zip(ids, degraded.unbind(), strict=True)))
    assert len(found[1]) == 4
    assert all(torch.equal(found[0][name], own) for name, own in found[1].items())
