"""Templates of the page: sections are written in Jinja, and what they are given is text unless it says otherwise."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from workflows import words

FOLDER = Path(__file__).parent
_MACROS = '{% import "macros.html.j2" as ui %}'


@cache
def environment() -> jinja2.Environment:
    """The page's own, with the words for figures as filters."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": words.percent, "power": words.power}
    return made


def filled(template: str, **values: Any) -> Markup:
    """A template's text with the values; the macros are `ui` in it."""
    return Markup(environment().from_string(_MACROS + template).render(**values).strip())
