"""The page as one file: what its sections say, its style and its script, and a policy that lets nothing else in."""

import base64
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup

from memrec_core import __version__
from workflows.report.facts import Facts
from workflows.report.templates import FOLDER, environment

PAGE, STYLE, SCRIPT = "page.html.j2", "page.css", "page.js"


class Part(NamedTuple):
    """A section with what it says."""

    name: str
    title: str
    html: Markup


def page(facts: Facts, parts: Iterable[Part], sheets: str, title: str) -> bytes:
    """The HTML of a page with these sections; `sheets` is the style that holds its pictures."""
    css, js = ((FOLDER / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    styles = [css, sheets] if sheets else [css]
    html = (
        environment()
        .get_template(PAGE)
        .render(
            policy=Markup(_policy(styles, js)),
            version=__version__,
            title=title,
            description=facts.experiment.description,
            incomplete=facts.incomplete,
            sections=list(parts),
            css=Markup(css),
            sheets=Markup(sheets),
            js=Markup(js),
            time=f"{facts.time:%Y-%m-%d %H:%M}",
        )
    )
    return html.encode(errors="replace")


def _policy(styles: Iterable[str], script: str) -> str:
    """Of the page's Content-Security-Policy: no network, and only these styles and this script."""
    allowed = " ".join(map(_hash, styles))
    return (
        f"default-src 'none'; img-src data:; style-src {allowed}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
