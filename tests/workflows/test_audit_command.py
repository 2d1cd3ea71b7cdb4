"""memrec audit before any work: what is refused, and in which words; and what an audit's answers are, given its
evidence."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from memrec_core import degradations
from memrec_core.auditing import Audit
from memrec_core.auditing.attacks import damage_of
from memrec_core.auditing.exchangeability import Exchangeability
from memrec_core.auditing.instrument import Instrument
from memrec_core.degradations import Erasure
from memrec_core.errors import InputError
from tests import onnx_files
from tests.audits import made
from tests.conftest import Called
from tests.pictures import write_photos
from workflows.audit import evidence
from workflows.audit.answers import Answers
from workflows.audit.asked import Asked, count_of, numbers, size_of
from workflows.audit.ending import Ending, Outcome, ending
from workflows.audit.experiment import experiment_of
from workflows.audit.folders import look_into, too_few
from workflows.audit.junit import junit
from workflows.audit.tables import print_audit
from workflows.run.audit_set import load_audit_set
from workflows.run.identity import differences

SMALL = "tests.core.outside.nets:Grey"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders of grey pictures of 8 x 8."""
    write_photos(tmp_path / "train", 5)
    write_photos(tmp_path / "control", 4, "control")
    return tmp_path


@pytest.fixture
def refused(memrec: Callable[..., Called], folder: Path) -> Callable[..., str]:
    """What `memrec audit` says as it refuses, in one sentence, before there is a run."""

    def call(*options: object, train: object = folder / "train", control: object = folder / "control") -> str:
        called = memrec("audit", SMALL, "--train", train, "--control", control, "--run", folder / "run", *options)
        assert (called.status, called.out) == (2, ""), called
        assert called.err.count("\n") == 1
        assert not (folder / "run").exists()
        return called.err

    return call


def asked(folder: Path, **options) -> Asked:
    return Asked(model=SMALL, train=str(folder / "train"), control=str(folder / "control"), **options)


def grey(path: Path, size: tuple[int, int], mode: str = "L") -> None:
    Image.new(mode, size, 200).save(path)


@pytest.mark.parametrize(
    ("train", "control", "words"),
    [
        ("train", "train", "--train and --control are one folder"),
        (".", "control", "contains --control"),
        ("train", ".", "contains --train"),
        ("train", "linked", "--train and --control are one folder"),
        (".", "linked", "contains --control"),
        ("nowhere", "control", "--train nowhere is not a folder"),
        ("train", "train/00.png", "--control train/00.png is not a folder"),
        ("train", "", "is not a folder; give a folder of pictures"),
        ("train", "empty", "--control: "),
        ("empty", "control", "holds no images"),
        ("train", "mixed", "1 pictures of --control are files of --train too, by links"),
        ("train", "hard", "1 pictures of --control are files of --train too, by links"),
        ("holding", "control", "4 pictures of --control are files of --train too, by links"),
    ],
)
def test_sides_are_two_folders_of_pictures(refused, folder: Path, monkeypatch, train: str, control: str, words: str):
    (folder / "linked").symlink_to(folder / "train")
    (folder / "empty").mkdir()
    write_photos(folder / "mixed", 2, "control")
    (folder / "mixed" / "zz.png").symlink_to(folder / "train" / "02.png")
    write_photos(folder / "hard", 2, "control")
    os.link(folder / "train" / "02.png", folder / "hard" / "zz.png")
    write_photos(folder / "holding", 2)
    (folder / "holding" / "others").symlink_to(folder / "control")
    monkeypatch.chdir(folder)
    assert words in refused(train=train, control=control)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--range", "-1"], "range"),
        (["--range", "-1,x"], "--range '-1,x' is not numbers such as -1,1"),
        (["--range=1,-1"], "lower bound first"),
        (["--mean", "0.5"], "mean and std belong together"),
        (["--mean", "0.5", "--std", "0"], "std"),
        (["--count", "many"], "--count 'many' is not a number of images from 1 on, or all"),
        (["--count", "0"], "--count '0' is not a number"),
        (["--count", "3,4"], "several numbers"),
        (["--size", "8,8,8"], "--size '8,8,8' is not a height and a width"),
        (["--size", "0"], "--size '0' is not"),
        (["--max-rate", "1.5"], "--max-rate 1.5 is no share between 0 and 1"),
        (["--json", "nowhere/answer.json"], "--json nowhere/answer.json can't be a file"),
        (["--junit", "-"], "--junit - can't be a file"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors can't be read"),
        (["--channels", "3"], "not 3"),
        (["--group", "("], "--group '(' is no pattern"),
        (["--trust-code"], "is for a network that is a file of torch's with its code"),
        (["--group", "folder"], ".png is in no group"),
        (["--group", "^.[1-3]"], ".png is in no group"),
        (["--group", "^."], "group '0' has training and control images"),
        (["--group", "folder", "--hash-names"], "give one of the two"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(refused, options: list[str], words: str):
    assert words in refused(*options)


def test_size_and_channels_are_those_of_the_training_pictures(folder: Path):
    assert look_into(asked(folder)).shape == (1, 8, 8)
    grey(folder / "train" / "colour.png", (8, 8), "RGB")
    assert look_into(asked(folder)).shape == (3, 8, 8)
    assert look_into(asked(folder, channels=1, size=(4, 6))).shape == (1, 4, 6)
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(folder / "train" / "opaque.png")
    assert look_into(asked(folder)).shape == (3, 8, 8)
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(folder / "train" / "clear.png")
    assert look_into(asked(folder)).shape == (4, 8, 8)


def test_pictures_of_several_sizes_need_a_size(refused, folder: Path):
    grey(folder / "train" / "wide.png", (12, 8))
    said = refused()
    assert "are of 2 sizes, 8 x 8 (5), 8 x 12 (1); give the --size H,W" in said
    assert look_into(asked(folder, size=(8, 8))).shape == (1, 8, 8)


def test_control_pictures_that_alone_are_resampled_are_counted(folder: Path):
    wanted = asked(folder)

    def said() -> list[str]:
        data = experiment_of(wanted, look_into(wanted)).data[0]
        return [remark for remark in load_audit_set(data, 42).catalogue.remarks if "resampled" in remark]

    assert said() == []
    write_photos(folder / "control", 2, "control", 16)
    assert said() == [
        "2 of 4 control pictures are not of 8 x 8, as all training pictures are, and were resampled to it: they can be "
        "told apart by that",
        "for a network that was trained elsewhere: 2 of 9 pictures were resampled to 8 x 8; where it has seen them "
        "resized in another way, it hardly gives them back exactly",
    ]


def test_arrays_beside_pictures_are_pictures_and_volumes_are_refused(refused, folder: Path):
    np.save(folder / "train" / "array.npy", np.zeros((8, 8), np.uint8))
    assert look_into(asked(folder)).count == 6
    assert look_into(asked(folder)).shape == (1, 8, 8)
    np.save(folder / "control" / "volume.npy", np.zeros((9, 8, 8), np.uint8))
    assert "a volume or several pictures; save each slice" in refused()
    (folder / "control" / "scan.nii.gz").write_bytes(b"")
    assert "is of a medical format" in refused()


def test_each_side_has_as_many_images_as_were_asked_for_or_as_there_are(folder: Path):
    found = look_into(asked(folder, count=5))
    assert (found.count, found.control_count) == (5, 4)
    assert [*too_few(asked(folder, count=5), found)] == [
        "--control has 4 pictures, fewer than the 5 of --count: all of them are audited"
    ]
    everything = asked(folder, count=None)
    found = look_into(everything)
    assert (found.count, found.control_count) == (5, 4)
    assert [*too_few(everything, found)] == []


def test_options_become_an_experiment_of_a_given_network(folder: Path):
    options = {"range": (-1.0, 1.0), "output": "recon", "pictures": 3, "seed": 7, "count": 2}
    wanted = asked(folder, **options)
    experiment = experiment_of(wanted, look_into(wanted))
    (model,), (data,) = experiment.given_models, experiment.data
    assert (model.network.range, model.network.output, model.gamma) == ((-1.0, 1.0), "recon", 1.0)
    assert (data.count, data.control_count, data.image_shape) == (2, 2, (1, 8, 8))
    assert (experiment.seed, experiment.pictures) == (7, 3)
    assert [degradation.label for degradation in experiment.degradations] == ["center", "bottom", "random_80"]
    assert experiment.method("unknown_mask").max_iterations == 20  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("my model-2", "my.model-2"),
        ("模型", "memrec.core.autoencoders.onnx.file.OnnxProgram"),
        ("generic", "memrec.core.autoencoders.onnx.file.OnnxProgram"),
    ],
)
def test_network_of_a_file_is_called_as_its_file_is(folder: Path, name: str, label: str):
    path = onnx_files.written(folder / f"{name}.onnx", onnx_files.scaling(("n", 1, 8, 8)))
    wanted = Asked(model=str(path), train=str(folder / "train"), control=str(folder / "control"))
    experiment = experiment_of(wanted, look_into(wanted))
    (model,) = experiment.given_models
    assert (model.label, model.weights, model.trusts_code) == (label, str(path), False)
    assert experiment.trusting_code().given_models[0].trusts_code


def test_key_of_names_may_lie_elsewhere_by_now(folder: Path):
    """As the folder of the run that it lies beside may. Names by another key are other names."""
    wanted = asked(folder)
    keys = [tmp / "run.names-key" for tmp in (folder, folder / "train")]
    for key in keys:
        key.write_bytes(bytes(32))
    here, there = (experiment_of(wanted, look_into(wanted), key) for key in keys)
    assert here.data != there.data
    assert [*differences(here, there)] == []
    plain = experiment_of(wanted, look_into(wanted))
    [(where, then, now)] = differences(plain, here)
    assert (where.rpartition(".")[2], then, now) == ("hash_names", "None", "True")


def test_options_are_read_as_people_write_them():
    assert numbers("--range", "-1,1") == (-1.0, 1.0)
    assert numbers("--range", " -1, 1e0 ") == (-1.0, 1.0)
    assert (size_of("28,20"), size_of("28x20"), size_of("28"), size_of(None)) == ((28, 20), (28, 20), (28, 28), None)
    assert (count_of("7"), count_of("all"), count_of(" All ")) == (7, None, None)
    for text in ("nan,1", "", "1,", "inf,2"):
        with pytest.raises(InputError):
            numbers("--range", text)


@pytest.mark.parametrize(
    ("back", "count", "max_rate", "named", "report_only", "status", "outcome"),
    [
        (50, 100, 0.01, False, False, 3, Outcome.FAILED),
        (50, 100, 0.01, False, True, 0, Outcome.FAILED),
        (50, 100, 0.7, True, False, 0, Outcome.PASSED),
        (50, 100, 0.7, False, False, 3, Outcome.FAILED),
        (50, 100, 0.55, True, False, 3, Outcome.FAILED),
        (0, 100, 0.01, False, False, 4, Outcome.SKIPPED),
        (0, 100, 0.01, True, True, 0, Outcome.SKIPPED),
        (0, 1000, 0.01, False, False, 0, Outcome.PASSED),
    ],
)
def test_exit_status_follows_from_the_verdict_and_what_was_named(
    back: int, count: int, max_rate: float, named: bool, report_only: bool, status: int, outcome: Outcome
):
    end = ending(made(back, count, max_rate), named, report_only)
    assert (end.status, end.outcome) == (status, outcome)


def test_leak_under_a_limit_that_was_named_is_a_leak_all_the_same():
    found = made(50, 100, 0.7)
    assert found.verdict == "leaks"
    assert ending(found, True, False).word == (
        "The leak is under the limit of 70 % that was named: the upper end of its interval is 60.2 %. Exit status 0."
    )
    assert ending(found, False, False).word == ""


def with_most_plain(found: Audit) -> Audit:
    damage = found.evidence.train.damage.copy()
    damage[:, 100:] = 1e-6
    return replace(found, evidence=replace(found.evidence, train=replace(found.evidence.train, damage=damage)))


def without_numbers(found: Audit) -> Audit:
    reconstruction = found.evidence.train.reconstruction.copy()
    reconstruction[100:] = np.nan
    train = replace(found.evidence.train, reconstruction=reconstruction)
    return replace(found, evidence=replace(found.evidence, train=train))


def of_a_lossy_network(found: Audit) -> Audit:
    lossy = np.full_like(found.evidence.train.reconstruction, 1e-3)
    return replace(found, evidence=replace(found.evidence, train=replace(found.evidence.train, reconstruction=lossy)))


def by_attacks_that_fail(found: Audit) -> Audit:
    return replace(found, instrument=Instrument(50, 0.1, 0.0))


@pytest.mark.parametrize("weakened", [with_most_plain, without_numbers, of_a_lossy_network, by_attacks_that_fail])
def test_leak_that_no_bound_could_cover_is_under_no_limit(weakened: Callable[[Audit], Audit]):
    found = made(10, 1000, 0.02)
    assert (found.verdict, ending(found, True, False).status) == ("leaks", 0)
    assert ending(weakened(found), True, False) == Ending(3, Outcome.FAILED)


@pytest.mark.parametrize(("back", "count", "failures", "skipped"), [(50, 100, 2, 0), (0, 100, 0, 3), (0, 1000, 0, 0)])
def test_junit_has_a_case_for_each_attack_and_one_for_the_verdict(back: int, count: int, failures: int, skipped: int):
    found = made(back, count)
    suite = ElementTree.fromstring(junit(found, ending(found, False, False))).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", str(failures), str(skipped))
    names = [case.get("name") for case in suite.findall("testcase")]
    assert names == ["known_mask from behind center", "<unknown> & ? 'mask' ]]> from behind bottom", "verdict"]
    assert found.sentence in (suite.findall("testcase/system-out")[-1].text or "")


def test_groups_are_called_groups_wherever_they_are_counted(capsys: pytest.CaptureFixture[str]):
    found = made(3, 6, slices=2)
    end = ending(found, False, False)
    print_audit(found, end)
    assert (
        "groups of images that came back, % (95 % interval), of 6 training and 6 control groups"
        in capsys.readouterr().out
    )
    assert "accurate: 3 of 6 training groups of images" in junit(found, end).decode()


def test_junit_says_what_weakens_a_verdict_and_of_how_many_images_a_bound_is():
    found = made(0, 1000, plain=400)
    said = junit(found, ending(found, False, False)).decode()
    assert (found.verdict, bool(found.warnings)) == ("bounded", True)
    assert "the upper end of the interval of the 600 that could have come back is under the limit of 1 %" in said
    assert all(sentence in said for sentence in found.warnings)


def test_attack_by_which_pictures_of_another_kind_come_back_is_no_failure():
    found = made(12, 12)
    recovered = found.evidence.train.recovered.copy()
    recovered[1] = 1e-4  # approximately
    evidence = replace(found.evidence, train=replace(found.evidence.train, recovered=recovered))
    unknown = replace(found, evidence=evidence, exchangeability=Exchangeability(None, None, None, "too few"))
    for audit, failures in (
        (unknown, ["known_mask from behind center", "verdict"]),
        (replace(found, evidence=evidence), 3),
    ):
        cases = ElementTree.fromstring(junit(audit, ending(audit, False, False))).findall("testsuite/testcase")
        failed = [case.get("name") for case in cases if case.find("failure") is not None]
        assert failures in (failed, len(failed))


@pytest.mark.parametrize("name", ['"/><evil a="', "]]>", "&amp;", "\ud800", "\x1b[31m", "\ufffe"])
def test_junit_holds_names_of_any_kind(name: str):
    found = made(50, model=f"nets:{name}")
    suite = ElementTree.fromstring(junit(found, ending(found, False, False))).find("testsuite")
    assert suite is not None
    properties = {entry.get("name"): entry.get("value") for entry in suite.iter("property")}
    assert str(properties["model.given"]).startswith("nets:")
    assert suite.find("evil") is None
    if name.isprintable():
        assert properties["model.given"] == f"nets:{name}"


def test_answers_go_to_files_and_json_to_standard_output_alone(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = made(50)
    end = ending(found, False, False)
    answers = Answers("answer.json", "answer.xml")
    answers.write(found, end)
    answers.print(found)
    assert capsys.readouterr().out == ""
    assert json.loads(Path("answer.json").read_text())["verdict"] == "leaks"
    assert ElementTree.parse("answer.xml").getroot().tag == "testsuites"
    answers = Answers("-")
    answers.write(found, end)
    answers.print(found)
    assert json.loads(capsys.readouterr().out)["verdict"] == "leaks"


def test_damage_is_computed_again_as_the_run_has_done_it(folder: Path, monkeypatch):
    wanted = asked(folder)
    experiment = experiment_of(wanted, look_into(wanted))
    audit = load_audit_set(experiment.data[0], experiment.seed)
    degradation = Erasure("random_80", fill=degradations.FILLS["noise"](), per_image=True, noise_std=0.02)
    monkeypatch.setattr(evidence, "AT_ONCE", 3)
    for split in ("train", "control"):
        images = evidence.images_of(audit, split)
        ids = [f"{split}/{id_}" for id_ in images.ids]
        kept = degradation.operator(audit.image_shape, ids, 42).theta
        whole = damage_of(degradation.degrade(images.images, ids, 42, images.images), images.images, kept)
        parts = [*evidence.damages(degradation, split, images, 42, audit)]
        assert [len(part) for part in parts] == ([3, 2] if split == "train" else [3, 1])
        assert np.concatenate(parts).tolist() == whole.tolist()
