"""What the masks and methods are, in a line each."""

from markupsafe import Markup

from workflows.experiment.resolved import Experiment
from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.templates import filled
from workflows.report.terms import described

TEMPLATE = """
<h3>What is done to the images</h3>
<dl class="terms">
{% for name, words in degradations %}<div><dt>{{ name }}</dt><dd>{{ words }}.</dd></div>
{% endfor %}
</dl>
<h3>How they are recovered</h3>
<dl class="terms">
{% for name, words in methods %}<div><dt>{{ name }}</dt><dd>{{ words }}.</dd></div>
{% endfor %}
</dl>
{% if left_out %}<ul>{% for words in left_out %}<li>{{ words }}</li>{% endfor %}</ul>{% endif %}
{% if prior %}<p class="note">{{ prior }}</p>{% endif %}
"""


def _body(facts: Facts) -> Markup:
    experiment = facts.experiment
    return filled(
        TEMPLATE,
        degradations=[(degradation.label, described(degradation)) for degradation in experiment.degradations],
        methods=[(facts.titles[entry.label], entry.method.does) for entry in experiment.methods],
        left_out=experiment.left_out(),
        prior=prior_words(experiment),
    )


SECTION = Section("terms", "Masks and methods", _body)


def prior_words(experiment: Experiment) -> str:
    """Which generic priors were used, and whether they may have seen the images; empty where there are none."""
    return " ".join(
        f"{entry.title}'s diffusion prior: {entry.prior}. May it have seen the audited images? "
        f"{getattr(entry.method, 'may_have_seen', 'not stated')}."
        for entry in experiment.methods
        if entry.prior
    )
