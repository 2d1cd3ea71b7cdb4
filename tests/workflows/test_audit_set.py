"""The images of an experiment, and what to change in it where there are too few."""

import pickle

import pytest

from memrec_core import datasets
from memrec_core.errors import InputError
from workflows.experiment.data import Data
from workflows.run.audit_set import load_split


@pytest.mark.parametrize(
    ("settings", "split", "advice"),
    [
        ({"count": 9999}, "train", r"set its count to \d+ or fewer$"),
        (
            {"count": 9999},
            "control",
            r"set its control_count to \d+ or fewer, which is as many as its count where it is",
        ),
        ({"count": 2, "control_count": 9999}, "control", r"set its control_count to \d+ or fewer$"),
    ],
)
def test_too_few_images_are_said_in_the_experiments_words(settings: dict, split: str, advice: str):
    with pytest.raises(
        InputError, match=rf"data set mine: photos at size 32 has \d+ images .*9999 are asked for; {advice}"
    ):
        load_split(Data(name="photos", label="mine", **settings), 42, split)


def test_error_of_a_count_survives_the_way_from_a_worker():
    with pytest.raises(datasets.ImageCountError) as caught:
        datasets.load("photos", count=9999)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.available, again.split) == (str(caught.value), caught.value.available, "train")
