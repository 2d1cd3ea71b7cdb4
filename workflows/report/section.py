"""What a section of the page is."""

from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup

from workflows.report.facts import Facts


class Section(NamedTuple):
    """A part of the page: its id, its heading, and what makes it of a run's facts, None where it has nothing to say."""

    name: str
    title: str
    body: Callable[[Facts], Markup | None]
