from pathlib import Path

import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows import experiment


def test_resolved_experiment_reads_back_as_itself():
    resolved = experiment.parse(SMALL, "small")
    assert experiment.parse(resolved.to_yaml(), "again") == resolved
    assert experiment.parse(resolved.to_yaml(), "again").digest == resolved.digest


def test_numbers_in_yaml_without_a_dot_are_numbers():
    assert experiment.parse(SMALL, "small").training.targets == [1e-2, 1e-3]


def test_mask_number_is_the_papers():
    small = experiment.parse(SMALL.replace("mask: center", "mask: 4"), "small")
    assert small.degradations[0].mask == "border"


@pytest.mark.parametrize(
    ("architecture", "activation", "gamma"),
    [
        ("fc10", "leaky_relu", 0.5),
        ("fc10", "prelu", 0.1),
        ("fc20", "leaky_relu", 0.1),
        ("fc20", "prelu", 0.1),
        ("unet", "leaky_relu", 1.0),
        ("unet", "softplus", 1.0),
    ],
)
def test_gamma_is_the_papers_unless_given(architecture: str, activation: str, gamma: float):
    model = {"architecture": architecture, "activation": activation}
    assert experiment.Model(**model).gamma == gamma
    assert experiment.Model(**model, gamma=0.3).gamma == 0.3


def test_activation_is_the_architectures_own_unless_given():
    own = {name: experiment.Model(architecture=name).activation for name in ("fc10", "unet", "tied")}
    assert own == {"fc10": "leaky_relu", "unet": "prelu", "tied": "softplus"}
    assert experiment.Model(architecture="unet", activation="softplus").activation == "softplus"


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("seed=7", lambda e: e.seed == 7),
        ("data.count=9", lambda e: e.data[0].count == 9),
        ("models.0.width=13", lambda e: e.models[0].width == 13),
        ("training.targets=[1e-1]", lambda e: e.training.targets == [0.1]),
        ("recovery.inner_iterations=3", lambda e: e.recovery.inner_iterations == 3),
    ],
)
def test_override_changes_its_entry_and_the_digest(override, change):
    changed = experiment.parse(SMALL, "small", [override])
    assert change(changed)
    assert changed.digest != experiment.parse(SMALL, "small").digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMALL.replace("pictures:", "picture:"), ["picture", "did you mean 'pictures'"]),
        (SMALL.replace("count: 6", "cuont: 6"), ["cuont", "did you mean 'count'"]),
        (SMALL.replace("width: 48", "widht: 48"), ["models.0.widht", "did you mean 'width'"]),
        (SMALL.replace("count: 6", "count: many"), ["data.count", "integer", "many"]),
        (SMALL.replace("width: 48", "width: 0"), ["models.0.width", "0"]),
        (SMALL.replace("name: small\n", ""), ["name", "required"]),
        (SMALL + "seed: 99999999999999999999", ["seed", "99999999999999999999"]),
        (SMALL + "seed: -1", ["seed", "-1"]),
        (SMALL.replace("name: small", "name: ../up"), ["name", "../up"]),
        (SMALL + "methods: [unknown_mask, magic]", ["methods.1", "magic", "known_mask"]),
        (SMALL + "methods: [known_mask, known_mask]", ["methods", "twice"]),
        (SMALL + "variants: [cpu]", ["variants", "mapping"]),
        (SMALL + "date: 2020-99-99", ["date", "did you mean 'data'"]),
        (SMALL.replace("count: 6", "count: 6, root: ~nobody-here/x"), ["data.root: ~nobody-here/x"]),
        ("[" * 3000, ["YAML"]),
        ("just words", ["mapping"]),
        ("a: [", ["YAML"]),
    ],
)
def test_wrong_experiment_gets_one_sentence_that_names_the_entry(text: str, words: list[str]):
    with pytest.raises(InputError) as error:
        experiment.parse(text, "exp.yaml")
    message = str(error.value)
    assert "exp.yaml" in message
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("override", ["no-equals", "=1", "data.count.deep=1", "models.7.width=1", "models.x.width=1"])
def test_wrong_override_is_named(override: str):
    with pytest.raises(InputError, match=r"--set|exp"):
        experiment.parse(SMALL, "exp.yaml", [override])


TWO = SMALL.replace(
    "data: {name: photos, count: 6, size: 16}",
    "data: [{name: photos, count: 6, size: 16}, {name: photos, label: large, count: 4, size: 24}]",
)


def test_each_model_is_trained_on_each_data_set_unless_it_names_one():
    both = experiment.parse(TWO, "exp.yaml")
    assert [(model.label, model.data) for model in both.models] == [
        ("fc10-leaky_relu-photos", "photos"),
        ("fc10-leaky_relu-large", "large"),
    ]
    one = experiment.parse(TWO, "exp.yaml", ["models.0.data=large", "models.0.label=mine"])
    assert [(model.label, model.data) for model in one.models] == [("mine", "large")]
    for parsed in (both, one):
        assert experiment.parse(parsed.to_yaml(), "again") == parsed


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("models.0.data=larg", ["larg", "did you mean 'large'"]),
        ("data.1.label=photos", ["data", "twice"]),
        ("data.1.size=0", ["data.1.size", "0"]),
        ("data=[]", ["data", "at least 1"]),
    ],
)
def test_wrong_list_of_data_sets_gets_one_sentence(override: str, words: list[str]):
    with pytest.raises(InputError) as error:
        experiment.parse(TWO, "exp.yaml", [override])
    assert all(word in str(error.value) for word in words)


def test_the_same_mask_with_and_without_noise_are_two_degradations():
    text = SMALL.replace("{mask: center}, {mask: random_80", "{mask: 1}, {mask: 1")
    assert [entry.label for entry in experiment.parse(text, "exp.yaml").degradations] == ["center", "center-noise_0.02"]


def test_words_about_an_experiment_are_no_part_of_its_digest():
    assert experiment.parse(SMALL, "a").digest == experiment.parse(SMALL + "description: mine", "b").digest


@pytest.mark.parametrize(
    ("variant", "words"), [("", None), ("3", "not a mapping"), ("0", "not a mapping"), ("[a]", "not a mapping")]
)
def test_variant_is_a_mapping_or_nothing(variant: str, words: str | None):
    text = f"{SMALL}variants: {{tiny: {variant}}}"
    if words is None:
        assert experiment.parse(text, "exp.yaml", variant="tiny").data == experiment.parse(SMALL, "small").data
    else:
        with pytest.raises(InputError, match=words):
            experiment.parse(text, "exp.yaml", variant="tiny")


def test_prior_in_a_folder_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "prior").mkdir()
    monkeypatch.chdir(tmp_path)
    text = SMALL + "methods: [ddnm]\nddnm: {prior: "
    assert experiment.parse(text + "./prior}", "exp.yaml").ddnm.source == str(tmp_path / "prior")
    assert experiment.parse(text + "someone/prior}", "exp.yaml").ddnm.source == "someone/prior"
    assert experiment.parse(text + "cifar10-32}", "exp.yaml").ddnm.prior == "cifar10-32"


def test_unknown_experiment_gets_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'demo'"):
        experiment.load("demmo")
    with pytest.raises(InputError, match=r"missing\.yaml does not exist"):
        experiment.load("missing.yaml")
