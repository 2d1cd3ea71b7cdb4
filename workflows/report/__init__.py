"""One HTML page of a run: the verdict, the rates, the pictures and the numbers. Opens without a network."""

from collections.abc import Sequence
from dataclasses import replace

from workflows.report.facts import Facts, facts_of
from workflows.report.gallery import Sources, all_pictures
from workflows.report.image_table import CSV, as_csv
from workflows.report.page import Part, page
from workflows.report.section import Section
from workflows.report.sections import SECTIONS
from workflows.report.sections import gallery as pictures
from workflows.run.run import Run
from workflows.run.store import REPORT

PICTURES = "report/pictures"


def write_report(run: Run, pictured: bool = False) -> list[str]:
    """Write report/index.html from the run's rates and results, and report/images.csv beside it.

    Args:
        run: whose page it is.
        pictured: whether all pictures that the results keep are written too, to report/pictures.

    Returns the names of the files. Raises InputError where there are no rates yet, and ResultsError where rows can't be
    read; their files are set aside.
    """
    facts, written = facts_of(run), []
    if pictured:
        written = _write_pictures(facts)
        links = [(name.removeprefix("report/"), str(number)) for number, name in enumerate(written, 1)]
        facts = replace(facts, pages=links)
    run.store.write(REPORT, page(facts, parts(facts), pictures.style(facts.gallery), run.experiment.name))
    run.store.write(CSV, as_csv(facts.images))
    return [REPORT, CSV, *written]


def parts(facts: Facts, sections: Sequence[Section] = SECTIONS) -> list[Part]:
    """Of the sections, those that have something to say, with what they say."""
    said = ((section, section.body(facts)) for section in sections)
    return [Part(section.name, section.title, html) for section, html in said if html is not None]


def _write_pictures(facts: Facts) -> list[str]:
    """All pictures, on pages of their own; those of before are replaced."""
    names = []
    for gallery in all_pictures(Sources(facts.run, facts.done, dict(facts.catalogues), facts.rows)):
        name, title = f"{PICTURES}/{len(names) + 1:04}.html", f"{facts.experiment.name}, pictures {len(names) + 1}"
        stated = f"Page {len(names) + 1} of all pictures: {len(gallery.images):,} of {gallery.kept:,} images."
        html = pictures.shown(facts, gallery, stated, "Back to", [("../index.html", "the run's page")])
        section = Part(pictures.SECTION.name, pictures.SECTION.title, html)
        facts.store.write(name, page(facts, [section], pictures.style(gallery), title))
        names.append(name)
    facts.store.remove_all(set(facts.store.names(PICTURES, ".html")) - set(names))
    return names
