"""What the driver finds wrong before it starts."""

from pathlib import Path

import pytest

from memrec_core.errors import InputError
from workflows.experiment.written import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.catalogue import Catalogue
from workflows.run.images import check_images
from workflows.run.planning import Size, make_plan
from workflows.run.store import Store
from workflows.run.unit import Unit


@pytest.fixture
def photos(small: Experiment) -> Catalogue:
    return load_audit_set(small.data[0], small.seed).catalogue


@pytest.fixture
def units(small: Experiment, photos: Catalogue) -> list[Unit]:
    return make_plan(small, {"photos": photos}, lambda kind: Size(4, 512))


def test_images_of_the_plan_may_stand_beside_a_data_set_that_no_model_uses(units, photos, tmp_path: Path):
    check_images(units, {"photos": photos, "unused": photos}, Store(str(tmp_path)))


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images[:-1],
        lambda images: (*images[:-1], images[-1]._replace(id="another")),
        lambda images: (*images[:-1], images[-1]._replace(digest="0" * 16)),
        lambda images: images * 2,
    ],
    ids=["fewer", "another", "other pixels", "more"],
)
def test_other_images_than_those_of_the_plan_are_refused(units, photos, tmp_path: Path, change):
    with pytest.raises(InputError, match="restore the data, or choose another --run"):
        check_images(units, {"photos": Catalogue(change(photos.images))}, Store(str(tmp_path)))
