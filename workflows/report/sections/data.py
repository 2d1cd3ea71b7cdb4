"""What the images are, and what was passed over, doubled or left out."""

from markupsafe import Markup

from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.tabular import Table
from workflows.report.templates import filled
from workflows.words import SPLITS

TEMPLATE = """
{{ ui.table(table) }}
{% if remarks %}
<ul id="remarks">
{% for sentence in remarks %}<li>{{ sentence }}</li>
{% endfor %}
</ul>
{% else %}<p>Nothing was passed over, doubled or left out.</p>{% endif %}
"""


def _body(facts: Facts) -> Markup:
    rows = []
    for data in facts.experiment.data:
        catalogue = facts.catalogues.get(data.label)
        for split, words in SPLITS.items():
            if catalogue is not None and (images := [image for image in catalogue.images if image.split == split]):
                crossed = len(catalogue.left_out()) if split == "control" else 0
                counts = (len(images), catalogue.count(split), catalogue.copies(split), crossed)
                rows.append([data.label, words, *(f"{count:,}" for count in counts), catalogue.fingerprint(split)])
    columns = ["data set", "split", "read", "audited", "copies of others", "left out, trained on", "fingerprint"]
    return filled(TEMPLATE, table=Table("Images of the run", columns, rows, heads=2), remarks=facts.remarks)


SECTION = Section("data", "The data", _body)
