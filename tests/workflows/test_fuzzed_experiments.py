"""Experiments with one thing broken: each is refused in a sentence that names the place, or read as YAML 1.2 has it."""

import json
import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memrec_core.errors import InputError
from workflows.experiment import loading as experiment
from workflows.experiment.resolved import Experiment
from workflows.experiment.yaml_reading import decode

Tree = dict[str, Any]
Place = tuple[str | int, ...]
LONGEST = 600


@dataclass(frozen=True)
class Case:
    """What is read, and the tree that it must be read as; where that is None, it must be refused, with these words."""

    text: str | bytes
    tree: Tree | None = None
    words: tuple[str, ...] = ()
    overrides: list[str] = field(default_factory=list)
    variant: str | None = None


def outcome(case: Case) -> Experiment | str:
    """The experiment, or the sentence that refuses it."""
    try:
        text = case.text if isinstance(case.text, str) else decode(case.text, "exp.yaml")
        return experiment.parse(text, "exp.yaml", case.overrides, case.variant)
    except InputError as error:
        said = str(error)
        assert said.isprintable(), "one line, without control characters"
        assert len(said) < LONGEST
        assert "exp.yaml" in said or said.startswith("--set ")
        return said


def check(case: Case) -> None:
    found = outcome(case)
    if case.tree is None:
        assert isinstance(found, str), f"passed: {case}"
        for word in case.words:
            assert word in found
    else:
        assert found == experiment.experiment_from(case.tree)


# A writer and a reader of the tests' own, which share nothing with memrec's but PyYAML's grammar.


def block(value: Any, indent: int = 0) -> str:
    """A tree in block style; texts are quoted as JSON does it, which YAML 1.2 reads as they are."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{key}:{below(entry, indent)}" for key, entry in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{below(entry, indent)}" for entry in value)
    return pad + scalar(value) + "\n"


def below(value: Any, indent: int) -> str:
    return ("\n" if isinstance(value, dict | list) and value else " ") + (
        block(value, indent + 1) if isinstance(value, dict | list) and value else scalar(value) + "\n"
    )


class Plain(str):
    """A scalar that is written as it is, without quotes."""


def scalar(value: Any) -> str:
    return str(value) if isinstance(value, Plain) else json.dumps(value)


def tree_of(text: str) -> Any:
    """The text's tree by the core schema of YAML 1.2; raises where a key is there twice or is no text."""

    def value(node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [value(entry) for entry in node.value]
        if isinstance(node, yaml.MappingNode):
            keys = [value(key) for key, _ in node.value]
            assert all(isinstance(key, str) for key in keys)
            assert len(set(keys)) == len(keys)
            return dict(zip(keys, (value(entry) for _, entry in node.value), strict=True))
        text = node.value.encode("utf-16", "surrogatepass").decode("utf-16")  # JSON escapes large letters in two halves
        return text if node.style else core(text)

    node = yaml.compose(text, Loader=yaml.BaseLoader)
    return None if node is None else value(node)


def core(text: str) -> Any:
    words = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
    words |= {word: word[0] in "tT" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
    if text in words:
        return words[text]
    if re.fullmatch("[-+]?[0-9]+", text):
        return int(text)
    if match := re.fullmatch("0(o[0-7]+|x[0-9a-fA-F]+)", text):
        return int(match[1][1:], 8 if match[1][0] == "o" else 16)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return float(text.replace(".", "").lower())
    return text


# Valid experiments.


counts, rates = st.integers(1, 10**6), st.floats(1e-9, 1e3, allow_subnormal=False)
sides = st.integers(1, 512).map(lambda eighth: 8 * eighth)  # which a U-Net can halve three times
labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
words = st.text(st.characters(codec="utf-8"), max_size=30)
masks = st.sampled_from(["center", "bottom", "border", "stripes", "checkerboard", "disc", "random_80", "random_5"])


def mapping(required: dict[str, st.SearchStrategy], optional: dict[str, st.SearchStrategy]) -> st.SearchStrategy[Tree]:
    return st.fixed_dictionaries(required, optional=optional)


data_sets = st.one_of(
    mapping(
        {"name": st.just("photos")},
        {
            "count": counts,
            "size": st.one_of(sides, st.lists(sides, min_size=2, max_size=2)),
            "channels": st.integers(1, 4),
            "control_count": st.integers(0, 99),
        },
    ),
    mapping({"name": st.just("image_folder"), "root": st.just("/pictures")}, {"count": counts, "label": labels}),
)
models = st.one_of(
    mapping(
        {"architecture": st.sampled_from(["fc10", "fc20", "tied"])},
        {"activation": st.sampled_from(["leaky_relu", "prelu", "softplus"]), "width": counts, "gamma": rates},
    ),
    mapping({"architecture": st.just("unet")}, {"channels": st.lists(counts, min_size=1, max_size=4)}),
)
trees = mapping(
    {
        "name": labels,
        "data": data_sets,
        "models": st.lists(models, min_size=1, max_size=3, unique_by=lambda model: model["architecture"]),
        "degradations": st.lists(
            mapping({"mask": masks}, {"noise_std": st.floats(0, 1)}),
            min_size=1,
            max_size=3,
            unique_by=lambda d: d["mask"],
        ),
    },
    {
        "description": words,
        "seed": st.integers(0, 2**63 - 1),
        "training": mapping(
            {},
            {
                "targets": st.just([1e-2, 1e-8]),
                "optimiser": st.sampled_from(["adam", "soap"]),
                "learning_rate": rates,
                "batch_size": counts,
                "max_steps": counts,
            },
        ),
        "methods": st.permutations(["unknown_mask", "known_mask", "biharmonic"]),
        "recovery": mapping({}, {"max_iterations": counts, "first_mask": st.sampled_from(["zeros", "coin_flips"])}),
        "ddnm": mapping({"prior": st.just("cifar10-32")}, {"may_have_seen": words, "eta": st.floats(0, 1)}),
        "images_per_unit": counts,
        "pictures": st.integers(0, 100),
    },
)


def leaves(tree: Any, place: Place = ()) -> list[Place]:
    """The places of a tree's scalars."""
    if isinstance(tree, dict):
        return [leaf for key, entry in tree.items() for leaf in leaves(entry, (*place, key))]
    if isinstance(tree, list):
        return [leaf for number, entry in enumerate(tree) for leaf in leaves(entry, (*place, number))]
    return [place]


def at(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part]
    return tree


def replaced(tree: Tree, place: Place, value: Any) -> Tree:
    tree = deepcopy(tree)
    at(tree, place[:-1])[place[-1]] = value
    return tree


def dotted(place: Place) -> str:
    return ".".join(map(str, place))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# What is broken. Each draws a valid tree, and makes a case of it.


@st.composite
def misspelt_key(draw: st.DrawFn) -> Case:
    tree = draw(trees)
    place = draw(st.sampled_from(leaves(tree)))
    depth = draw(st.sampled_from([i for i, part in enumerate(place) if isinstance(part, str)]))
    place, at_letter = place[: depth + 1], draw(st.integers(0, len(place[depth]) - 1))
    key = place[-1]
    wrong = draw(
        st.sampled_from(
            [key[:at_letter] + key[at_letter + 1 :] + "_", key[:at_letter] + "q" + key[at_letter:], key.upper()]
        )
    )
    section = at(tree, place[:-1])
    broken = {wrong if name == key else name: value for name, value in section.items()}
    tree = replaced(tree, place[:-1], broken) if place[:-1] else broken
    return Case(block(tree), words=("unknown key", wrong, dotted((*place[:-1], wrong))))


@st.composite
def wrong_kind(draw: st.DrawFn) -> Case:
    """A word for a number, a truth value, a list or a mapping in the place of a scalar."""
    tree = draw(trees)
    place = draw(st.sampled_from(leaves(tree)))
    number = is_number(at(tree, place))
    wrong = [True, False, [], {}, [1], {"a": 1}]
    wrong += ["12", "many", "", "1e3", Plain("1_000"), Plain("1:30"), Plain("yes"), 0.5j] if number else [12, 1.5]
    value = draw(st.sampled_from([entry for entry in wrong if entry != 0.5j]))
    if place[-1] == "mask" and value == 12:
        return Case(block(replaced(tree, place, value)), words=("mask",))
    told_at = place[:-1] if place[-2:-1] == ("size",) or place[-1] == 0 else place  # a size is judged as a whole
    return Case(block(replaced(tree, place, value)), words=(dotted(told_at),))


@st.composite
def out_of_range(draw: st.DrawFn) -> Case:
    tree = draw(trees)
    numbers = [place for place in leaves(tree) if is_number(at(tree, place))]
    tree, place = (tree, draw(st.sampled_from(numbers))) if numbers else (tree | {"seed": 1}, ("seed",))
    value = draw(
        st.sampled_from([-1, -0.5, Plain(".nan"), Plain("-.inf"), Plain("9" * 60), Plain("9" * 5000), Plain("1e999")])
    )
    return Case(block(replaced(tree, place, value)))


@st.composite
def empty(draw: st.DrawFn) -> Case:
    """Nothing where something must be."""
    tree = draw(trees)
    key = draw(st.sampled_from(["name", "data", "models", "degradations"]))
    value = draw(st.sampled_from([None, [], {}, "", Plain("~")]))
    return Case(block(tree | {key: value}), words=(key,))


@st.composite
def left_out(draw: st.DrawFn) -> Case:
    tree = draw(trees)
    key = draw(st.sampled_from(["name", "data", "models", "degradations"]))
    return Case(block({name: value for name, value in tree.items() if name != key}), words=(f"{key}: field required",))


@st.composite
def double_key(draw: st.DrawFn) -> Case:
    lines = block(draw(trees)).splitlines(keepends=True)
    number = draw(st.sampled_from([i for i, line in enumerate(lines) if re.match(r" *[a-z_]+: [^\n]", line)]))
    return Case(
        "".join([*lines[: number + 1], lines[number], *lines[number + 1 :]]), words=("twice", f"{number + 1} and")
    )


@st.composite
def tab(draw: st.DrawFn) -> Case:
    lines = block(draw(trees)).splitlines(keepends=True)
    number = draw(st.sampled_from([i for i, line in enumerate(lines) if line.startswith(" ")]))
    lines[number] = "\t" + lines[number].lstrip(" ")
    return Case("".join(lines), words=("tab", f"line {number + 1}"))


@st.composite
def word_of_another_yaml(draw: st.DrawFn) -> Case:
    """What YAML 1.1 reads as truth values, dates, sixtieths or octal numbers."""
    tree = draw(trees)
    text = draw(
        st.sampled_from(
            ["no", "off", "yes", "on", "y", "N", "1:30", "2026-01-01", "1_000", "0b11", "190:20:30", "=", "1e", "+.e1"]
        )
    )
    return Case(block(tree | {"description": Plain(text)}), tree | {"description": text})


@st.composite
def number_of_another_yaml(draw: st.DrawFn) -> Case:
    tree, (text, value) = (
        draw(trees),
        draw(
            st.sampled_from(
                [("010", 10), ("0o10", 8), ("0x1F", 31), ("1e3", 1000), ("+7", 7), ("08", 8), ("2.", 2), ("1.5e1", 15)]
            )
        ),
    )
    return Case(block(tree | {"seed": Plain(text)}), tree | {"seed": value})


@st.composite
def small_number(draw: st.DrawFn) -> Case:
    tree, text = draw(trees), draw(st.sampled_from(["1e-8", "1.0e-8", ".5", "1E-3", "+.5e0", "1e-08"]))
    return Case(
        block(tree | {"training": {"learning_rate": Plain(text)}}), tree | {"training": {"learning_rate": float(text)}}
    )


@st.composite
def odd_text(draw: st.DrawFn) -> Case:
    """Any text at all, quoted as JSON does it."""
    tree, text = draw(trees), draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
    return Case(block(tree | {"description": text}), tree | {"description": text})


@st.composite
def control_character(draw: st.DrawFn) -> Case:
    lines = block(draw(trees)).splitlines(keepends=True)
    number = draw(st.integers(0, len(lines) - 1))
    odd = draw(st.sampled_from(["\0", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ud800", "\ufffe"]))
    lines[number] = lines[number][:-1] + odd + "\n"
    return Case("".join(lines), words=(f"line {number + 1}",))


@st.composite
def unknown_name(draw: st.DrawFn) -> Case:
    tree = draw(trees)
    tree = tree | {"training": {"optimiser": "adam"}, "recovery": {"first_mask": "zeros"}, "methods": ["known_mask"]}
    named = [
        place
        for place in leaves(tree)
        if place[-1] in ("mask", "architecture", "activation", "optimiser", "first_mask")
    ]
    place = draw(st.sampled_from([*named, ("data", "name"), ("methods", 0)]))
    value = at(tree, place) + draw(st.sampled_from(["x", "_", "s"]))
    checked_by_its_object = place[-1] in ("mask", "activation")
    said = f"{dotted(place[:-1])}: unknown {place[-1]}" if checked_by_its_object else f"{dotted(place)}: unknown"
    return Case(block(replaced(tree, place, value)), words=(said, "did you mean", "choose one of"))


@st.composite
def variant(draw: st.DrawFn) -> Case:
    tree, wrong = draw(trees), draw(st.sampled_from([3, [1], "x", {"seed": "x"}, {"sede": 3}, {"data": {"count": 0}}]))
    asked = draw(st.sampled_from(["cpu", "gpu", None]))
    return Case(block(tree | {"variants": {"cpu": wrong}}), words=("cpu",) if asked != "gpu" else (), variant=asked)


@st.composite
def override(draw: st.DrawFn) -> Case:
    tree = draw(trees)
    text, words = draw(
        st.sampled_from(
            [
                ("sede=3", ("sede", "did you mean 'seed'")),
                ("seed=yes", ("seed", "yes")),
                ("seed", ("key=value",)),
                ("=3", ("key=value",)),
                ("data..count=3", ("key=value",)),
                ("models.9.width=3", ("models.9.width",)),
                ("models.-1.width=3", ("models.-1.width",)),
                ("seed.deep=3", ("seed.deep",)),
                ("description=a: b: c", ("--set description", "quotes")),
                ("description=[", ("--set description",)),
                ("name=a\tb", ("name",)),
                ("seed={a: 1, a: 2}", ("twice",)),
                ("models.0=", ("models.0",)),
                ("x" * 9999 + "=1", ("unknown key",)),
                ("seed=" + "[" * 999, ("--set seed",)),
            ]
        )
    )
    tree = tree | {"seed": 3}
    return Case(block(tree), words=words, overrides=[text])


@st.composite
def cut_short(draw: st.DrawFn) -> Case:
    text = block(draw(trees))
    return judged(text[: draw(st.integers(0, len(text) - 1))].encode())


@st.composite
def flipped(draw: st.DrawFn) -> Case:
    """Some bits of the file's bytes are others."""
    data = bytearray(block(draw(trees.filter(lambda tree: "root" not in tree["data"]))).encode())
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=3)):
        data[place] ^= 1 << draw(st.integers(0, 7))
    return judged(bytes(data))


def judged(data: bytes) -> Case:
    """Whatever is in the data: where it is an experiment by YAML 1.2, it must be read as that one, or be refused."""
    case = Case(data)
    try:
        found = experiment.parse(decode(data, "exp.yaml"), "exp.yaml")
    except InputError:
        return case  # `check` looks at the sentence
    tree = tree_of(data.decode())
    tree.pop("variants", None)
    expected = experiment.experiment_from(tree)
    assert found == expected
    return Case(data, found.tree())


BROKEN = st.one_of(
    *(misspelt_key(), wrong_kind(), out_of_range(), empty(), left_out(), double_key(), tab(), word_of_another_yaml()),
    *(number_of_another_yaml(), small_number(), odd_text(), control_character(), unknown_name(), variant(), override()),
    *(cut_short(), flipped()),
)
FEW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@FEW
@given(BROKEN)
def test_experiment_with_one_thing_broken_is_refused_in_a_sentence_or_read_as_it_is(case: Case):
    check(case)


@pytest.mark.long
@settings(FEW, max_examples=2000)  # others than above: they follow from the name of the test
@given(BROKEN)
def test_thousands_of_experiments_with_one_thing_broken(case: Case):
    check(case)


@FEW
@given(trees)
def test_valid_experiment_is_read_as_it_is_and_what_a_run_keeps_of_it_reads_back_as_itself(tree: Tree):
    read = experiment.parse(block(tree), "exp.yaml")
    assert read == experiment.experiment_from(tree)
    kept = experiment.resolved(read.to_yaml(), "again")
    assert kept == read == experiment.parse(read.to_yaml(), "again")
    assert experiment.experiment_from(json.loads(json.dumps(read.tree()))) == read


@FEW
@given(
    st.sampled_from(["no", "010", "1e-8", "0o10", "null", "~", "2026-01-01", "1:30", "1_000", ".inf", "<<", "=", "- a"])
)
def test_text_that_looks_like_something_else_is_kept_in_quotes(text: str):
    tree = {"name": "n", "description": text, "data": {"name": "photos"}, "models": [{"architecture": "fc10"}]}
    kept = experiment.experiment_from(tree | {"degradations": [{"mask": "center"}]})
    [line] = [line for line in kept.to_yaml().splitlines() if line.startswith("description")]
    assert line == f"description: '{text}'"
    assert yaml.safe_load(kept.to_yaml())["description"] == text  # by the YAML of 2005 too
