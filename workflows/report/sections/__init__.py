"""The sections of a run's page, an audit's run or any other: one a file, and a line here, in the page's order."""

from workflows.report.section import Section
from workflows.report.sections import (
    audit,
    claims,
    data,
    fills,
    fitted,
    gallery,
    images,
    labels,
    losses,
    lowest,
    making,
    noise,
    numbers,
    terms,
    thresholds,
    verdict,
)

SECTIONS: tuple[Section, ...] = (
    verdict.SECTION,
    lowest.SECTION,
    audit.SECTION,
    losses.SECTION,
    gallery.SECTION,
    thresholds.SECTION,
    fitted.SECTION,
    noise.SECTION,
    fills.SECTION,
    images.SECTION,
    labels.SECTION,
    claims.SECTION,
    terms.SECTION,
    data.SECTION,
    numbers.SECTION,
    making.SECTION,
)
