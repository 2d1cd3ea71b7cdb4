"""Figures as text: what tables say of a few images among many, and of all but a few."""

import pandas as pd
import pytest

from memrec_core.metrics import clopper_pearson
from tests.audits import made
from tests.conftest import SMALL
from workflows.audit.ending import ending
from workflows.audit.tables import print_audit
from workflows.comparison.words import difference_words, rate_words
from workflows.experiment import loading as experiments
from workflows.live.look import Look
from workflows.live.rates_so_far import Counted, Row
from workflows.live.words import rates_table
from workflows.report.tables import print_rates
from workflows.terminal import console
from workflows.words import loss_words


def rates(**counts: int) -> pd.DataFrame:
    """By the split how many of 1,000 images came back."""
    rows = []
    for split, count in counts.items():
        low, high = map(float, clopper_pearson(count, 1000))
        rows.append({"split": split, "accurate_rate": count / 1000, "accurate_low": low, "accurate_high": high})
    group = {"data_set": "photos", "model": "fc10", "target_loss": 1e-8, "degradation": "center", "method": "copy"}
    return pd.DataFrame(rows).assign(**group)


def test_terminal_tells_few_from_none_and_nearly_all_from_all(capfd: pytest.CaptureFixture[str]):
    print_rates(rates(train=997, control=4), {"copy": "copy"})
    assert capfd.readouterr().out.splitlines()[-1].split()[2:] == ["99.7", "(99-99.94)", "0.4"]
    print_rates(rates(train=1000, control=0), {"copy": "copy"})
    assert capfd.readouterr().out.splitlines()[-1].split()[2:] == ["100", "(99.6-100)", "0"]


def test_audit_tells_few_from_none_and_nearly_all_from_all(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(console, "width", 120)
    found = made(997, 1000, others=4)
    print_audit(found, ending(found, False, False))
    out = capfd.readouterr().out
    assert "any of them" in out
    assert out.count("99.7 (99-99.94)     0.4") == 4  # the attack and any, exactly and approximately


def test_watch_tells_few_from_none_and_nearly_all_from_all():
    experiment = experiments.parse(SMALL, "small")
    row = Row("photos", "fc10-leaky_relu", 1.5e-4, "known_mask", "center", "train")
    counted = {row: Counted(1000, 997), row._replace(split="control"): Counted(1000, 4)}
    table = rates_table(Look(experiment, None, {}, 1, 1, counted), 5)
    assert [[*column.cells] for column in table.columns] == [["1.5e-04"], ["center"], ["99.7 (1000)"], ["0.4 (1000)"]]


def test_watch_has_of_control_images_what_one_method_recovers():
    """Not what all of them do on average, which each further one would dilute."""
    experiment = experiments.parse(SMALL, "small")
    row = Row("photos", "fc10-leaky_relu", 1e-3, "known_mask", "center", "control")
    counted = {row: Counted(100, 30), row._replace(method="unknown_mask"): Counted(100, 0)}
    table = rates_table(Look(experiment, None, {}, 1, 1, counted), 5)
    assert (str(table.columns[-1].header), [*table.columns[-1].cells]) == ("control, most", ["30 (100)"])


def test_comparison_tells_a_small_rate_and_difference_from_none():
    row = {"count": 4, "images": 1000, "rate": 0.004, "low": 0.00109, "high": 0.01021, "interval": "paired"}
    assert rate_words(row) == "4/1000: 0.4 (0.11-1)"
    row |= {"difference": -0.004, "difference_low": -0.01, "difference_high": 0.0}
    assert difference_words(row) == "-0.4 (-1 to +0)"
    row |= {"difference": -0.997, "difference_low": -0.9994, "difference_high": -0.99}
    assert difference_words(row) == "-99.7 (-99.94 to -99)"


def test_losses_that_differ_are_told_apart():
    assert [*map(loss_words, (1e-8, 1.5e-4, 1.4e-4, 2.5e-5, None))] == ["1e-08", "1.5e-04", "1.4e-04", "2.5e-05", "-"]
