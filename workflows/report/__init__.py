"""One HTML page of a run: the verdict, the rates, the pictures and the numbers. Opens without a network."""

from collections.abc import Sequence
from dataclasses import replace

from workflows.report.facts import Facts, facts_of
from workflows.report.image_table import CSV, as_csv
from workflows.report.page import Part, page
from workflows.report.picture_pages import kept_pictures, linked, write_pictures
from workflows.report.section import Section
from workflows.report.sections import SECTIONS
from workflows.report.sections import gallery as pictures
from workflows.run.run import Run
from workflows.run.store import REPORT


def write_report(run: Run, pictured: bool = False) -> list[str]:
    """Write report/index.html from the run's rates and results, and report/images.csv beside it.

    Args:
        run: whose page it is.
        pictured: whether all pictures that the results keep are written too, to report/pictures. Those that are there
            stay, and are linked, as long as the results are the same.

    Returns the names of the files. Raises InputError where there are no rates yet, and ResultsError where rows can't be
    read; their files are set aside.
    """
    facts = facts_of(run)
    written = write_pictures(facts) if pictured else []
    facts = replace(facts, pages=linked(written or kept_pictures(facts)))
    run.store.write(REPORT, page(facts, parts(facts), pictures.style(facts.gallery), run.experiment.name))
    run.store.write(CSV, as_csv(facts.images))
    return [REPORT, CSV, *written]


def parts(facts: Facts, sections: Sequence[Section] = SECTIONS) -> list[Part]:
    """Of the sections, those that have something to say, with what they say."""
    said = ((section, section.body(facts)) for section in sections)
    return [Part(section.name, section.title, html) for section, html in said if html is not None]
