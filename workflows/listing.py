"""What memrec has to choose from, each with a line from where it is defined."""

import re

from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import DEGRADATIONS, FILLS, MASKS, descriptions
from memrec_core.recovery import METHODS
from workflows.experiment import file as experiment_file
from workflows.terminal import say


def print_list() -> None:
    """Print the experiments with their variants, the networks, masks, fills, degradations, methods and data sets."""
    numbers = {name: f" (the paper's {number})" for number, name in MASKS.items()}
    for title, entries in (
        ("experiments", {name: _experiment(name) for name in experiment_file.shipped()}),
        ("networks", {name: kind.summary for name, kind in ARCHITECTURES.items()}),
        ("masks", {name: _first_sentence(words) + numbers.get(name, "") for name, words in descriptions().items()}),
        ("fills of erased pixels", {name: _first_sentence(kind.__doc__) for name, kind in FILLS.items()}),
        ("degradations", {name: _first_sentence(kind.__doc__) for name, kind in DEGRADATIONS.items()}),
        ("methods", {name: method.does for name, method in METHODS.items()}),
        ("data sets", {name: _first_sentence(data_set.summary) for name, data_set in DATA_SETS.items()}),
    ):
        say(f"{title}:")
        width = max(map(len, entries))
        for name, words in entries.items():
            say(f"  {name:{width}}  {words}")


def _experiment(name: str) -> str:
    found = experiment_file.find(name)
    written = experiment_file.read(found.text, found.origin, found.folder)
    variants = f" (variants: {', '.join(written.variants)})" if written.variants else ""
    return _first_sentence(written.tree["description"]) + variants


def _first_sentence(words: str | None) -> str:
    """The first sentence of a text, or of a docstring, up to its first semicolon, without its full stop."""
    return re.split(r"[.;](?:\s|$)", " ".join((words or "").split()), maxsplit=1)[0]
