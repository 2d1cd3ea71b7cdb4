"""Which pictures of an audit count as one: those of a subfolder, or those in whose names a pattern finds the same."""

import re

from memrec_core.auditing.groups import check_apart, with_groups
from memrec_core.datasets import ImageSet
from memrec_core.errors import InputError, in_a_line, shown, shown_name
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_split

FOLDER = "folder"


def pattern_of(group: str) -> re.Pattern[str] | None:
    """The pattern that --group is; None for the subfolder. Raises InputError where it is neither."""
    if group == FOLDER:
        return None
    try:
        return re.compile(group)
    except re.error as error:
        raise InputError(
            f"--group {shown(group)} is no pattern ({in_a_line(error)}); give {FOLDER}, for a group a subfolder, or a "
            "regular expression such as '^patient[0-9]+'"
        ) from error


def with_groups_of(images: ImageSet, group: str) -> ImageSet:
    """The images with their groups as labels: the first part of the pattern that is in brackets, or all that it finds.
    Raises InputError for a picture that is in none."""
    pattern, names = pattern_of(group), []
    for id_, label in zip(images.ids, images.labels, strict=True):
        found = None if pattern is None else pattern.search(id_)
        name = label if pattern is None else found and (found[1] if pattern.groups else found[0])
        if name is None:
            raise InputError(
                f"--group {shown(group)}: picture {shown_name(id_)} is in no group; give a pattern that finds one in "
                f"each name, or {FOLDER} where each side has a subfolder a group"
            )
        names.append(name)
    return with_groups(images, names, "picture")


def check_groups(experiment: Experiment, group: str) -> None:
    """Raise InputError where a picture is in no group, or a group on both sides."""
    (data,) = experiment.data
    train, control = (with_groups_of(load_split(data, experiment.seed, split), group) for split in ("train", "control"))
    check_apart(train, control)
