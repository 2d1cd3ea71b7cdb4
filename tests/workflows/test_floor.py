"""A target that a width does not allow is refused before anything is trained, by the plan as by the run."""

from pathlib import Path

import pytest

from memrec_core.errors import InputError
from workflows import forecast
from workflows.experiment import loading as experiments
from workflows.job.preparation import read_images
from workflows.run.opened import OpenRun
from workflows.run.store import Store

TEXT = """
name: narrow
data: {name: photos, count: 12, control_count: 2, size: 8}
models: [{architecture: fc10, width: WIDTH}]
training: {targets: [0.05, TARGET]}
degradations: [{mask: center}]
"""


def narrow(width: int, target: float) -> str:
    return TEXT.replace("WIDTH", str(width)).replace("TARGET", str(target))


def test_plan_and_job_refuse_a_target_below_the_floor_with_the_width_that_will_do(tmp_path: Path):
    experiment = experiments.parse(narrow(3, 1e-6), "narrow")
    said = "model fc10-leaky_relu: a network whose last layer is linear and 3 wide .* width of 11 or more"
    with pytest.raises(InputError, match=said):
        forecast.print_forecast(OpenRun(experiment, Store(str(tmp_path / "run"))))
    with pytest.raises(InputError, match=said):
        read_images(experiment, "photos", None, "run")
    assert not (tmp_path / "run").exists()


def test_floor_is_of_all_images_that_are_trained_on_not_of_those_that_are_recovered(tmp_path: Path):
    few = narrow(3, 1e-6).replace("control_count: 2", "control_count: 2, recover_count: 2")
    with pytest.raises(InputError, match="principal components of its 12 training images"):
        forecast.print_forecast(OpenRun(experiments.parse(few, "few"), Store(str(tmp_path / "run"))))


def test_plan_says_what_a_width_allows(tmp_path: Path, capsys: pytest.CaptureFixture):
    experiment = experiments.parse(narrow(9, 0.01), "narrow")
    forecast.print_forecast(OpenRun(experiment, Store(str(tmp_path / "run"))))
    assert "where its width allows no less than" in " ".join(capsys.readouterr().out.split())
    forecast.print_forecast(OpenRun(experiments.parse(narrow(11, 0.01), "wide"), Store(str(tmp_path / "other"))))
    assert "allows no less" not in capsys.readouterr().out
