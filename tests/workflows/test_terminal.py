"""What is printed: names as they are, in any encoding and width, and without ending the work once nobody reads it."""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import make_run
from workflows import cli
from workflows.experiment import loading as experiment
from workflows.job.display import Display
from workflows.job.training_state import TrainingStanding, TrainingState
from workflows.report.tables import print_rates
from workflows.run.planning import Size
from workflows.terminal import complain, console, say

REDIRECTIONS = ["| head -c 1", "<&- >&- 2>&-"]
REDIRECTIONS += [pytest.param(words, marks=pytest.mark.long) for words in (">&-", "2>&-", "2>&1 | head -c 1")]
ODD = "[bold]a[/b] [x] :smile: é"
LONG = "random_80-per_image-noise_0.0"


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory, small_file: Path) -> Path:
    """A run whose units are all done, and that has no rates and no page yet; its folder has an odd name."""
    run = tmp_path_factory.mktemp("runs") / ODD
    make_run(experiment.load(str(small_file)), run, lambda kind: Size(24, 24))
    return run


@pytest.fixture
def run(recovered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recovered, tmp_path / ODD))


def arguments(run: Path, small_file: Path) -> list[str]:
    return ["memrec", "run", str(small_file), "--run", str(run)]


def call(monkeypatch: pytest.MonkeyPatch, out: io.TextIOWrapper | None, words: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_names_with_brackets_are_printed_as_they_are(memrec, run: Path, small_file: Path):
    called = memrec(*arguments(run, small_file)[1:])
    assert called.status == 0
    assert f"\npage:    {run}/report/index.html\n" in called.out
    assert f"\nrates:   {run}/rates.parquet\n" in called.out
    assert memrec("status", run).out.startswith(f"small: {run}\n")
    assert f"error: {run}/none is not a run" in memrec("status", run / "none").err


def test_letters_that_the_output_does_not_have_are_replaced(
    monkeypatch: pytest.MonkeyPatch, run: Path, small_file: Path
):
    buffer = io.BytesIO()
    out = io.TextIOWrapper(buffer, encoding="ascii")
    assert call(monkeypatch, out, arguments(run, small_file)) == 0
    out.flush()
    assert f"page:    {run}".replace("é", "?").encode() in buffer.getvalue()
    assert (run / "report" / "index.html").is_file()


def test_closed_pipe_ends_no_work_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], run: Path, small_file: Path
):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        assert call(monkeypatch, out, arguments(run, small_file)) == 0
    assert (run / "report" / "index.html").is_file()
    assert capfd.readouterr().err == "standard output can't be written any more (Broken pipe); the work goes on\n"


def test_full_disk_behind_the_output_ends_no_work(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], run: Path, small_file: Path
):
    with open("/dev/full", "w") as out:
        assert call(monkeypatch, out, arguments(run, small_file)) == 0
    assert (run / "report" / "index.html").is_file()
    assert capfd.readouterr().err.count("No space left") == 1


@pytest.mark.parametrize("redirections", REDIRECTIONS)
def test_shell_that_closes_what_it_likes_gets_the_whole_work_all_the_same(
    run: Path, small_file: Path, tmp_path: Path, redirections: str
):
    script = f'set -o pipefail; "$0" -m workflows run "$1" --run "$2" {redirections}'
    called = subprocess.run(
        ["bash", "-c", script, sys.executable, small_file, run], capture_output=True, text=True, check=False
    )
    assert called.returncode == 0, called
    assert "Traceback" not in called.stderr
    assert (run / "report" / "index.html").is_file()


@pytest.fixture
def old_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """For processes that start now: one that is ASCII, and a Python that does not make UTF-8 of it."""
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("old_locale")
def test_locale_without_utf_8_leaves_the_page_in_utf_8(run: Path, tmp_path: Path, small_file: Path):
    plain = Path(shutil.copytree(run, tmp_path / "plain"))
    mine = tmp_path / "mine.yaml"
    mine.write_text(small_file.read_text(encoding="utf-8") + "description: Äpfel\n", encoding="utf-8")
    words = [sys.executable, "-m", "workflows", "run", mine, "--run", plain]
    called = subprocess.run(words, capture_output=True, text=True, check=False)
    assert called.returncode == 0, called
    assert "Äpfel" in (plain / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.usefixtures("old_locale")
def test_folder_whose_name_the_locale_can_not_hold_is_refused_before_the_work(run: Path):
    words = [sys.executable, "-m", "workflows", "report", run]
    called = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (called.returncode, called.stderr.count("\n")) == (2, 1)
    assert "PYTHONUTF8=1" in called.stderr


def test_error_is_one_line_whatever_is_in_it(capfd: pytest.CaptureFixture[str]):
    complain("a\nb\x1b[31m\r")
    assert capfd.readouterr().err == "a b\\x1b[31m\n"


def test_bars_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("workflows.job.display.LINE_EVERY_S", -1.0)
    with Display() as display:
        display.training("fc10 [/x]", TrainingState(TrainingStanding(10, 1e-3)), 1e-8, 200)
        assert display.bars is None
    assert capfd.readouterr().out == "training fc10 [/x]: 38 %, step 10, loss 1.0e-03\n"


@pytest.mark.parametrize(
    ("power", "said"),
    [
        (4, "step 1000, loss 1.0e-05; 1e-08 is expected at about step 5,600"),
        (1, "step 1000, loss 1.0e-02; as it falls now, 1e-08 is not reached within max_steps, 20000"),
    ],
)
def test_training_that_will_not_be_there_in_time_is_said_early(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], power: int, said: str
):
    monkeypatch.setattr("workflows.job.display.LINE_EVERY_S", -1.0)
    training = TrainingState()
    for step in range(100, 1001, 100):
        training.note(TrainingStanding(step, 0.1 * (step / 100) ** -power))
    with Display() as display:
        display.training("fc10", training, 1e-8, 20000)
    assert said in capfd.readouterr().out


@pytest.mark.parametrize(("term", "bars"), [("xterm", True), ("dumb", False)])
def test_terminal_has_bars_unless_it_is_a_dumb_one(monkeypatch: pytest.MonkeyPatch, term: str, bars: bool):
    reader, screen = os.openpty()
    monkeypatch.setenv("TERM", term)
    with os.fdopen(screen, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with Display() as display:
            display.training("fc10 [/x]", TrainingState(TrainingStanding(10, 1e-3)), 1e-8, 200)
            assert (display.bars is not None) == bars
        shown = b""
        while bars and b"training fc10 [/x]" not in shown:
            shown += os.read(reader, 65536)
    os.close(reader)


def rates(model: str = "fc10-leaky_relu") -> pd.DataFrame:
    """Rates of two checkpoints and of masks whose names differ in their last letter."""
    return pd.DataFrame(
        {
            "data_set": "photos",
            "model": model,
            "target_loss": loss,
            "degradation": degradation,
            "method": method,
            "split": split,
            "accurate_rate": 1.0,
            "accurate_low": 0.93,
            "accurate_high": 1.0,
        }
        for loss in (1e-4, 1e-8)
        for degradation in ("center", f"{LONG}2", f"{LONG}3")
        for method in ("unknown_mask", "known_mask", "autoencoder_iterations")
        for split in ("train", "control")
    )


TITLES = {"unknown_mask": "unknown mask", "known_mask": "known mask", "autoencoder_iterations": "AE iterations"}


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_rows_of_the_rates_can_be_told_apart_at_any_width(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], width: int
):
    monkeypatch.setattr(console, "width", width)
    print_rates(rates(), TITLES)
    out = capfd.readouterr().out
    assert "…" not in out
    tables = 1 if width == 200 else 3  # a table for each method where the terminal is narrow
    names = re.sub(r"[^a-z0-9_.-]", "", re.sub(r"(1e-0\d|100 \(93-100\)|100\b)", "", out))  # those that are folded too
    for last in "23":
        assert names.count(f"{LONG}{last}") == 2 * tables
    assert out.count("100 (93-100)") == 2 * 3 * 3
    longest = max(len(line.rstrip()) for line in out.splitlines() if "recovery, %" not in line)
    assert longest <= max(width, 40)


def test_wide_terminal_has_one_table_a_model(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setattr(console, "width", 200)
    print_rates(pd.concat([rates(), rates("fc20-prelu")]), TITLES)
    out = capfd.readouterr().out
    assert out.count("unknown mask") == 2
    assert out.index("fc10-leaky_relu: accurate") < out.index("fc20-prelu: accurate")


def test_emoji_and_markup_in_a_line_are_left_alone(capfd: pytest.CaptureFixture[str]):
    say("s3://b/[red]x[/red]/:smile:/" + "long" * 100)
    assert capfd.readouterr().out == "s3://b/[red]x[/red]/:smile:/" + "long" * 100 + "\n"


def test_help_is_whole_in_a_narrow_terminal_without_letters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "30")
    buffer = io.BytesIO()
    out = io.TextIOWrapper(buffer, encoding="ascii")
    assert call(monkeypatch, out, ["memrec", "run", "--help"]) == 0
    out.flush()
    text = buffer.getvalue().decode()
    assert "?" not in text
    for option in ("EXPERIMENT", "--gpus-per-actor", "--retry-failed"):
        assert option in text
