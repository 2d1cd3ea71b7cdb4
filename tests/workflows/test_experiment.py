import re
from dataclasses import replace
from pathlib import Path

import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.experiment.methods import source_of
from workflows.experiment.models import GivenModel, TrainedModel


def test_resolved_experiment_reads_back_as_itself():
    resolved = experiment.parse(SMALL, "small")
    assert experiment.parse(resolved.to_yaml(), "again") == resolved


def test_numbers_in_yaml_without_a_dot_are_numbers():
    assert experiment.parse(SMALL, "small").training.targets == (1e-2, 1e-3)


def test_mask_number_is_the_papers():
    small = experiment.parse(SMALL.replace("mask: center", "mask: 4"), "small")
    assert small.degradations[0].mask == "border"


def model_of(entry: str) -> TrainedModel:
    """The network that an entry of an experiment for images of 16 x 16 describes."""
    return experiment.parse(SMALL.replace("architecture: fc10, width: 48", entry), "exp.yaml").trained_models[0]


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
    assert model_of(f"architecture: {architecture}, activation: {activation}").gamma == gamma
    assert model_of(f"architecture: {architecture}, activation: {activation}, gamma: 0.3").gamma == 0.3


def test_activation_is_the_architectures_own_unless_given():
    names = ("fc10", "unet", "tied")
    own = {name: model_of(f"architecture: {name}").options["activation"] for name in names}
    assert own == {"fc10": "leaky_relu", "unet": "prelu", "tied": "softplus"}
    assert model_of("architecture: unet, activation: softplus").options["activation"] == "softplus"


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("seed=7", lambda e: e.seed == 7),
        ("data.count=9", lambda e: e.data[0].count == 9),
        ("models.0.width=13", lambda e: e.models[0].options["width"] == 13),
        ("training.targets=[1e-1]", lambda e: e.training.targets == (0.1,)),
        (
            "recovery.inner_iterations=3",
            lambda e: e.methods[0].method.inner_iterations == 3,
        ),
    ],
)
def test_override_changes_its_entry(override, change):
    changed = experiment.parse(SMALL, "small", [override])
    assert change(changed)
    assert not change(experiment.parse(SMALL, "small"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMALL.replace("pictures:", "picture:"), ["picture", "did you mean 'pictures'"]),
        (SMALL.replace("count: 6", "cuont: 6"), ["cuont", "did you mean 'count'"]),
        (SMALL.replace("width: 48", "widht: 48"), ["models.0.widht", "did you mean 'width'"]),
        (SMALL.replace("count: 6", "count: many"), ["data.count", "integer", "many"]),
        (SMALL.replace("width: 48", "width: 0"), ["models.0", "width 0"]),
        (SMALL.replace("name: small\n", ""), ["name", "required"]),
        (re.sub("degradations:.*", "", SMALL), ["degradations", "required"]),
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


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("architecture: fc10", "architecture: fc11", ["models.0.architecture", "did you mean 'fc10'", "fc10, fc20"]),
        ("width: 48", "activation: relu", ["models.0: unknown activation", "did you mean 'prelu'", "softplus"]),
        ("mask: random_80", "mask: randm_80", ["degradations.1: unknown mask", "did you mean 'random_80"]),
        ("mask: center", "mask: 7", ["degradations.0: unknown mask", "7", "checkerboard"]),
        ("name: photos", "name: Photos", ["data.name", "did you mean 'photos'", "image_folder"]),
        ("max_iterations: 5", "first_mask: zeroes", ["recovery.first_mask", "did you mean 'zeros'"]),
        ("training: {", "training: {optimiser: adm, ", ["training.optimiser", "did you mean 'adam'", "soap"]),
        ("pictures: 2", "methods: [known-mask]", ["methods.0", "did you mean 'known_mask'"]),
        ("width: 48", "data: photo", ["models.0.data", "did you mean 'photos'"]),
        ("width: 48", "channels: [8]", ["models.0.channels: unknown key", "activation", "width"]),
        ("size: 16", "root: x", ["data", "photos takes no root"]),
        ("size: 16", "options: {a: 1}", ["data.options: unknown key"]),
        ("pictures: 2", "methods: [ddnm]\nddnm: {prior: ~nobody-here/x}", ["methods.0: ~nobody-here/x", "nobody"]),
        ("name: small", "nmae: small", ["nmae", "did you mean 'name'"]),
        ("name: small", "NAME: small", ["NAME", "did you mean 'name'"]),
        ("models: [{architecture: fc10, ", "models: [{archtecture: fc10, ", ["models.0.archtecture", "'architecture'"]),
    ],
)
def test_wrong_name_is_refused_at_its_place_with_the_nearest_and_the_valid_ones(old: str, new: str, words: list[str]):
    with pytest.raises(InputError) as error:
        experiment.parse(SMALL.replace(old, new), "exp.yaml")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count: 6", "count: true", ["data.count", "not true"]),
        ("count: 6", "count: '6'", ["data.count", "without quotes"]),
        ("count: 6", "count: 1_000", ["data.count", "'1_000'"]),
        ("count: 6", "count: 6.5", ["data.count", "6.5"]),
        ("count: 6", "count: 1e300", ["data.count"]),
        ("noise_std: 0.02", "noise_std: true", ["degradations.1.noise_std"]),
        ("noise_std: 0.02", "per_image: yes", ["degradations.1.per_image", "true or false"]),
        ("noise_std: 0.02", "per_image: off", ["degradations.1.per_image", "'off'; give true or false"]),
        ("size: 16", "keep_duplicates: no", ["data.keep_duplicates", "'no'; give true or false"]),
        ("noise_std: 0.02", "per_image: 1", ["degradations.1.per_image", "true or false"]),
        ("mask: center", "mask: true", ["degradations.0.mask"]),
        ("name: small", "name: 2024", ["name", "put it in quotes"]),
        ("pictures: 2", "pictures:", ["pictures", "null"]),
        ("models: [{architecture: fc10, width: 48}]", "models: {architecture: fc10}", ["models", "list"]),
    ],
)
def test_value_of_another_kind_is_not_turned_into_what_was_meant(old: str, new: str, words: list[str]):
    with pytest.raises(InputError) as error:
        experiment.parse(SMALL.replace(old, new), "exp.yaml")
    for word in words:
        assert word in str(error.value)


def test_words_that_an_older_yaml_takes_for_truth_values_are_names():
    words = "models: [{architecture: fc10, width: 48, label: off}]"
    found = experiment.parse(
        SMALL.replace("name: small", "name: no").replace("models: [{architecture: fc10, width: 48}]", words), "exp.yaml"
    )
    assert (found.name, found.models[0].label) == ("no", "off")


def test_whole_number_may_be_written_with_an_exponent():
    assert experiment.parse(SMALL, "exp.yaml", ["training.max_steps=2e5"]).training.max_steps == 200_000


def test_readme_may_say_no_of_a_prior_without_quotes():
    text = SMALL + "methods: [ddnm]\nddnm: {prior: cifar10-32}"
    assert experiment.parse(text, "exp.yaml", ["ddnm.may_have_seen=no"]).methods[0].method.may_have_seen == "no"


@pytest.mark.parametrize(
    "changes", ["{data: {cuont: 3}}", "{data: {count: 0}}", "{models: []}", "{methods: [magic]}", "3"]
)
def test_mistake_in_a_variant_does_not_wait_until_the_variant_is_asked_for(changes: str):
    with pytest.raises(InputError, match=r"exp\.yaml.* variant.*tiny"):
        experiment.parse(f"{SMALL}variants: {{tiny: {changes}}}", "exp.yaml")


@pytest.mark.parametrize(
    "text",
    [
        SMALL.replace("name: small", "name: " + "x" * 10**6),
        SMALL.replace("pictures", "x" * 10**5),
        SMALL.replace("count: 6", "count: " + "[" * 30 + "x" * 10**5 + "]" * 30),
        SMALL + "methods: [" + ", ".join(f"m{number}" for number in range(9999)) + "]",
        SMALL.replace("[{architecture: fc10, width: 48}]", "[" + "{architecture: fc10}, " * 9999 + "]"),
    ],
)
def test_however_long_an_experiment_is_what_is_wrong_with_it_is_said_shortly(text: str):
    with pytest.raises(InputError) as error:
        experiment.parse(text, "exp.yaml")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "override",
    ["models.-1.width=3", "models.1.width=3", "models.=3", "images_per_unit.x=1", "seed=[", "seed={a: 1, a: 2}"],
)
def test_override_that_names_nothing_is_refused_by_its_name(override: str):
    with pytest.raises(InputError, match=f"^--set .?{override.partition('=')[0].partition('.')[0]}"):
        experiment.parse(SMALL, "exp.yaml", [override])


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
        ("models.0.data=larg", ["models.0.data", "larg", "did you mean 'large'"]),
        ("models=[{architecture: fc20}, {architecture: fc10, width: 0}]", ["models.1: ", "width 0"]),
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


@pytest.mark.parametrize("entry", ["description: 3", "name: 3"])
def test_variant_makes_no_text_of_what_is_none(entry: str):
    text = SMALL.replace("name: small", "name: small\n" + entry if "description" in entry else entry)
    with pytest.raises(InputError, match="valid string, not 3"):
        experiment.parse(f"{text}variants: {{tiny: }}", "exp.yaml", variant="tiny")


def test_prior_in_a_folder_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "prior").mkdir()
    monkeypatch.chdir(tmp_path)
    text = SMALL + "methods: [ddnm]\nddnm: {prior: "
    assert source_of(experiment.parse(text + "./prior}", "exp.yaml").methods[0].method.prior) == str(tmp_path / "prior")
    assert source_of(experiment.parse(text + "someone/prior}", "exp.yaml").methods[0].method.prior) == "someone/prior"
    assert experiment.parse(text + "cifar10-32}", "exp.yaml").methods[0].method.prior == "cifar10-32"


def test_path_in_a_file_starts_from_the_file_and_one_on_the_command_line_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "there" / "prior").mkdir(parents=True)
    (tmp_path / "here" / "prior").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "there" / "exp.yaml"
    images = "name: image_folder, root: pictures/all, control_root: ~/others"
    file.write_text(
        SMALL.replace("name: photos", images)
        + "methods: [ddnm]\nddnm: {prior: prior}\nvariants: {v: {data: {root: small}, ddnm: {prior: ./elsewhere}}}"
    )
    for source in (str(file), "../there/exp.yaml"):
        own = experiment.load(source)
        assert own.data[0].root == str(tmp_path / "there" / "pictures" / "all")
        assert own.data[0].control_root == str(tmp_path / "home" / "others")
        assert own.methods[0].method.prior == str(tmp_path / "there" / "prior")
    variant = experiment.load(str(file), variant="v")
    assert variant.data[0].root == str(tmp_path / "there" / "small")
    assert variant.methods[0].method.prior == str(tmp_path / "there" / "elsewhere")
    changed = experiment.load(str(file), ["data.root=x", "ddnm.prior=prior", "data.control_root=~/y"])
    assert changed.data[0].root == str(tmp_path / "here" / "x")
    assert changed.methods[0].method.prior == str(tmp_path / "here" / "prior")
    assert changed.data[0].control_root == str(tmp_path / "home" / "y")
    whole = experiment.load(str(file), ["data={name: image_folder, root: z}", "ddnm={prior: ./w}"])
    assert (whole.data[0].root, whole.methods[0].method.prior) == (
        str(tmp_path / "here" / "z"),
        str(tmp_path / "here" / "w"),
    )


def test_prior_of_the_hub_stays_what_it_is_wherever_the_run_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = experiment.parse(SMALL + "methods: [ddnm]\nddnm: {prior: google/ddpm}", "exp.yaml")
    (tmp_path / "google" / "ddpm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert experiment.resolved(first.to_yaml(), "again") == first


OWN_PICTURES = ["data.name=image_folder", "data.root=/pictures", "data.count=20"]


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("runs/mine", "mine"),
        ("s3://bucket/deep/mine/", "mine"),
        ("runs/My run [1]", "My-run-1"),
        ("runs/é", "demo-changed"),
        (None, "demo-changed"),
    ],
)
def test_shipped_experiment_on_other_pictures_goes_by_the_name_of_its_run(run: str | None, name: str):
    mine = experiment.load("demo", OWN_PICTURES, run=run)
    assert mine.name == name
    assert mine.description == "demo with data.name=image_folder, data.root=/pictures, data.count=20."
    again = experiment.load("demo", OWN_PICTURES, run="elsewhere/copy")
    assert replace(again, name=mine.name) == mine, "a run that was copied or renamed is the same run"


@pytest.mark.parametrize(
    ("overrides", "name", "description"),
    [
        (["seed=7"], "mine", "demo with seed=7."),
        (["seed=7", "name=other", "description=my own"], "other", "my own"),
        (["seed=42", "data.count=48"], "demo", experiment.load("demo").description),
        (["name=other"], "other", experiment.load("demo").description),
        ([], "demo", experiment.load("demo").description),
    ],
)
def test_name_and_description_change_where_the_experiment_does(overrides: list[str], name: str, description: str):
    changed = experiment.load("demo", overrides, run="runs/mine")
    assert (changed.name, changed.description) == (name, description)


def test_where_a_publishers_data_lies_changes_no_name(tmp_path: Path):
    changed = experiment.load("tiny-imagenet-100", [f"data.root={tmp_path}"], run="runs/mine")
    assert changed.name == "tiny-imagenet-100"
    assert changed.description.startswith("fc10 on 100 images")


def test_own_file_keeps_its_name_and_says_what_was_changed(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(SMALL + "description: Six pictures.\n")
    own = experiment.load(str(tmp_path / "own.yaml"), ["data.count=3"], run="runs/mine")
    assert (own.name, own.description) == ("small", "small with data.count=3.")


def test_unknown_experiment_gets_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'demo'"):
        experiment.load("demmo")
    with pytest.raises(InputError, match=r"missing\.yaml does not exist"):
        experiment.load("missing.yaml")


# Networks from outside

GIVEN = "tests.core.outside.nets:with_an_argument"


def given_model(entries: str) -> GivenModel:
    [model] = experiment.parse(
        SMALL.replace("architecture: fc10, width: 48", f"given: '{GIVEN}', {entries}"), "exp.yaml"
    ).models
    assert isinstance(model, GivenModel)
    return model


def test_network_from_outside_may_have_options_and_a_multiple():
    text = SMALL.replace(
        "architecture: fc10, width: 48",
        f"given: '{GIVEN}', options: {{channels: 3, bias: null, a: [1, 2]}}, multiple: 8",
    )
    mine = experiment.parse(text, "exp.yaml")
    assert experiment.resolved(mine.to_yaml(), "again") == mine
    [model] = mine.models
    assert model.tree()["options"] == {"channels": 3, "bias": None, "a": [1, 2]}
    assert model.tree()["multiple"] == 8
    given_model("options: {channels: 3}, multiple: 5").check_network((3, 32, 32))


def test_network_from_outside_is_written_as_before_where_it_has_neither():
    assert not {"options", "multiple"} & set(given_model("range: [-1, 1]").tree())


@pytest.mark.parametrize(
    ("entries", "words"),
    [("multiple: 0", "multiple 0 is not"), ("options: 3", "options"), ("options: {channels: .nan}", "options")],
)
def test_option_of_a_network_from_outside_that_is_none_is_named(entries: str, words: str):
    with pytest.raises(InputError, match=words):
        given_model(entries)
