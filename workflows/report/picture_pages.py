"""The pages of all pictures, beside the run's page: report/pictures. They stay as long as the results do."""

from collections.abc import Sequence

from workflows.report.facts import Facts
from workflows.report.gallery import Sources, all_pictures
from workflows.report.page import Part, page
from workflows.report.sections import gallery as pictures
from workflows.run.store import Store
from workflows.run.unit import digest_of
from workflows.terminal import say

PICTURES = "report/pictures"
UNITS = f"{PICTURES}/units.txt"
"""Of which units the pages are, by their digest. It is written last."""


def write_pictures(facts: Facts) -> list[str]:
    """Write all pictures, in place of those of before. Returns the pages' names."""
    store, names = facts.store, []
    store.remove(UNITS)
    for gallery in all_pictures(Sources(facts.run, facts.done, dict(facts.catalogues), facts.rows)):
        name, title = f"{PICTURES}/{len(names) + 1:04}.html", f"{facts.experiment.name}, pictures {len(names) + 1}"
        stated = f"Page {len(names) + 1} of all pictures: {len(gallery.images):,} of {gallery.kept:,} images."
        html = pictures.shown(facts, gallery, stated, "Back to", [("../index.html", "the run's page")])
        section = Part(pictures.SECTION.name, pictures.SECTION.title, html)
        store.write(name, page(facts, [section], pictures.style(gallery), title))
        names.append(name)
    store.remove_all(set(_pages(store)) - set(names))
    if names:
        store.write(UNITS, digest_of(facts.done).encode())
    return names


def kept_pictures(facts: Facts) -> list[str]:
    """The pages that are there, if they are of the run's results; others are removed, and that is said."""
    store, names = facts.store, _pages(facts.store)
    if not names or (store.exists(UNITS) and store.read(UNITS).decode(errors="replace") == digest_of(facts.done)):
        return names
    store.remove_all([UNITS, *names])
    say(
        f"{store.show(PICTURES)} was of other results, or of an earlier revision, and is removed; "
        "memrec report RUN --all-pictures makes it anew"
    )
    return []


def linked(names: Sequence[str]) -> list[tuple[str, str]]:
    """Where the pages are for one in report/, and what they are called there."""
    return [(name.removeprefix("report/"), str(number)) for number, name in enumerate(names, 1)]


def _pages(store: Store) -> list[str]:
    return store.names(PICTURES, ".html")
