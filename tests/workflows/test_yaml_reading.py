"""YAML as it is read: by version 1.2's core schema, and refused, shortly and with the line, where it could mislead."""

import time
from pathlib import Path
from typing import Any

import pytest

from memrec_core.errors import InputError
from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.experiment.yaml_reading import decode, read, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("no", "off", "yes", "on", "y", "N", "1:30", "2026-01-01", "1_000", "0b11", "-x", "=")
        ),
        *(("010", 10), ("0o10", 8), ("0x1F", 31), ("+7", 7), ("-0", 0), ("1e-8", 1e-8), ("1.0e-8", 1e-8), (".5", 0.5)),
        *(("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("-.inf", float("-inf"))),
        *(("'010'", "010"), ('"no"', "no"), ("!!str 010", "010"), ("!!int 010", 10), ("! 3", "3"), ("<<", "<<")),
        *((r'"\ud83d\ude00"', "😀"), ("tRUE", "tRUE"), ("nULL", "nULL"), ("1e", "1e"), (".", "."), ("0o8", "0o8")),
    ],
)
def test_words_and_numbers_are_those_of_yaml_1_2(text: str, value: Any):
    found = read(f"key: {text}", "exp.yaml")["key"]
    assert (found, type(found)) == (value, type(value))


def test_anchors_aliases_and_merge_keys_work():
    text = "a: &a {width: 1, gamma: 2}\nb: {<<: *a, width: 3}\nc: {<<: [{x: 1}, {x: 2, y: 2}]}\nd: *a\n"
    found = read(text, "exp.yaml")
    assert found["b"] == {"width": 3, "gamma": 2}
    assert found["c"] == {"x": 1, "y": 2}
    assert found["d"] == found["a"]


def test_an_override_changes_its_own_entry_and_not_the_one_that_an_alias_shares_with_it():
    text = SMALL.replace(
        "[{architecture: fc10, width: 48}]",
        "[&first {architecture: fc10, width: 48}, {<<: *first, label: other}, *first]",
    )
    changed = experiment.parse(text, "exp.yaml", ["models.2.width=7", "models.2.label=third"])
    assert [model.options["width"] for model in changed.models] == [48, 48, 7]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{own}: &{own} [{', '.join([f'*{other}'] * 9)}]\n" for other, own in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{own}: &{own} {{<<: [{', '.join([f'*{other}'] * 9)}]}}\n"
    for other, own in zip("abcdefgh", "bcdefghi", strict=True)
)


CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(3000))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CHAIN, "more than 40 levels deep"),
        ("- x\n" * 200_000, "more than 20000 entries"),
        ("seed: 1\nname: a\nseed: 2\n", "'seed' is there twice, on lines 1 and 3"),
        ("data: {count: 1, count: 2}", "'count' is there twice, on line 1"),
        ("a:\n\tb: 1", "line 2 has a tab"),
        ("a:\t1", "line 1 has a tab"),
        ("a: [1,\n\t2]", "line 2 has a tab"),
        ("a: 1\n---\nb: 2", "line 2 begins another document"),
        ("a: 1\n--- b\n...\n", "line 2 begins another document"),
        ("a: !!python/object/apply:os.system [ls]", "line 1 has the tag 'python/object/apply:os.system'"),
        ("a: 1\nb: !!timestamp 2026-01-01", "line 2 has the tag 'timestamp'"),
        ("a: !!int many", "line 1 has 'many' with the tag 'int'"),
        ("a: !mine 3", "line 1 has the tag '!mine'"),
        ("a: 1\n\nb: x\0y", "line 3 has the character U+0000"),
        ("a: x\x1b[31m", "line 1 has the character U+001B"),
        ("a: x\u2028b: 3", "line 1 has the character U+2028"),
        (r'a: "\ud800"', "line 1 has an escape that is half a letter"),
        ("a: &x [1, *x]", "line 1 has an alias of what it is a part of"),
        ("a: *nowhere", "undefined alias 'nowhere'"),
        ("a: &x 1\nb: &x 2", "line 2 defines an anchor"),
        (BOMB, "more than 20000 entries, its aliases written out"),
        (MERGE_BOMB, "more than 20000 entries, its aliases written out"),
        ("[" * 100_000, "more than 40 levels deep"),
        ("- " * 100_000, "more than 40 levels deep"),
        ("{a: " * 100_000, "more than 40 levels deep"),
        ("1: a", "line 1 has a key '1', which is no word"),
        ("true: a", "line 1 has a key 'true', which is no word"),
        ("[a]: b", "line 1 has a key that is a list or a mapping"),
        ("a: " + "9" * 100_000, "line 1 has a number of 100000 characters"),
        ("a: 1e999", "line 1 has 1e999, a number too large"),
        ("a: b: c", "line 1 has a colon where no key can be"),
        ("a: 1\n  b: 2", "line 2 has a colon where no key can be"),
        ("<<: 3", "line 1 merges (<<) what is no mapping"),
        ("%YAML 3.0\n---\na: 1", "incompatible YAML document"),
    ],
)
def test_what_could_mislead_is_refused_shortly_and_with_its_line(text: str, words: str):
    began = time.monotonic()
    with pytest.raises(InputError) as error:
        read(text, "exp.yaml")
    said = str(error.value)
    assert said.startswith("exp.yaml can't be read as YAML: ")
    assert words in said
    assert said.isprintable()
    assert len(said) < 300
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_file_is_text_in_utf_8_or_16_with_or_without_a_mark(tmp_path: Path, encoding: str):
    (tmp_path / "exp.yaml").write_bytes((SMALL + "description: Äpfel 😀\n").replace("\n", "\r\n").encode(encoding))
    assert experiment.load(str(tmp_path / "exp.yaml")).description == "Äpfel 😀"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("a: 1\nb: Äpfel\n".encode("latin-1"), "line 2 has bytes that are not UTF-8"),
        ("a: 1".encode("utf-32"), "U+0000"),
        (bytes(range(256)), "not UTF-8"),
        (b"x" * 2**21, "larger than 1 MB"),
        (b"", "not an experiment"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
    ],
)
def test_file_that_is_something_else_is_refused(tmp_path: Path, data: bytes, words: str):
    path = tmp_path / "exp.yaml"
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        experiment.load(str(path))
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_folder_in_the_place_of_a_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="is a folder"):
        experiment.load(str(tmp_path))


def test_run_whose_experiment_was_damaged_says_so(memrec, tmp_path: Path):
    (tmp_path / "experiment.yaml").write_bytes(b"name: \xff\n")
    called = memrec("status", tmp_path)
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "line 1 has bytes that are not UTF-8" in called.err


@pytest.mark.parametrize(
    "text", ["no", "010", "a: b", "# x", "\x85", " x ", "x\ny\n", "\u2028", "\x1b", "😀" * 99, "\t", "'\"", ""]
)
def test_what_is_written_is_read_as_itself(text: str):
    tree = {"a": {"b": [text, 1, 1e-8, 1e300, True, None, [], {}]}}
    assert read(decode(write(tree).encode(), "exp.yaml"), "exp.yaml") == tree
