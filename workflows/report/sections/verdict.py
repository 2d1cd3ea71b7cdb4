"""The verdict: in a sentence with its intervals, how much came back. An audit's is that of audit.json."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from workflows.experiment.models import GENERIC
from workflows.report.facts import Facts, damaged_audit
from workflows.report.section import Section
from workflows.report.templates import filled
from workflows.report.terms import described, hidden
from workflows.words import EXACTLY, SPLITS, Row, between, count, power, rate

THRESHOLDS = {
    "accurate": "a mean squared error under 10⁻⁷ (pixels in [0, 1]): no difference that an eye could see",
    "approximate": "a mean squared error under 5·10⁻⁴ (pixels in [0, 1]): hardly a difference that one could see",
}
TEMPLATE = """
{% if verdict.word %}<p class="word {{ verdict.word }}">{{ verdict.word }}</p>{% endif %}
<p class="sentence">{{ verdict.sentence }}</p>
<div class="bars">
{% for name, row in verdict.bars %}
<div><span class="of">{{ name }}</span>{{ ui.bar(row, verdict.kind, "c0" if loop.first else "c5", not loop.first) }}
<span>{{ verdict.counts[loop.index0] }}</span></div>
{% endfor %}
</div>
{% for words in verdict.notes %}<p class="note">{{ words }}</p>
{% endfor %}
"""


class Verdict(NamedTuple):
    """What the top of the page says: an audit's word, the sentence, and of each split a rate of a `kind` as a bar."""

    word: str
    sentence: str
    kind: str
    bars: list[tuple[str, Row]]
    notes: list[str]

    @property
    def counts(self) -> list[str]:
        """What stands beside the bars."""
        return [f"{count(row, self.kind)}: {rate(row, self.kind)}" for _, row in self.bars]


def _body(facts: Facts) -> Markup:
    return filled(TEMPLATE, verdict=of_run(facts) if facts.audit is None else of_audit(facts))


SECTION = Section("verdict", "Verdict", _body)


def of_audit(facts: Facts) -> Verdict:
    """What audit.json says. Raises InputError where it is damaged."""
    try:
        return _of_audit(facts.audit or {})
    except (LookupError, TypeError, AttributeError) as error:
        raise damaged_audit(facts.store) from error


def _of_audit(found: Mapping[str, Any]) -> Verdict:
    kind = found["decided_by"] if found["decided_by"] in EXACTLY else "accurate"
    sides = found["any_attack"][kind]
    units = "images" if found["data"]["train"].get("groups") is None else "groups of images"
    bars = [(f"{title} {units}", _row(sides[split], kind)) for split, title in SPLITS.items()]
    notes = [
        f"By any of {len(found['attacks'])} attacks, with {THRESHOLDS[kind]}. Intervals are of 95 %.",
        *_assumed(found),
    ]
    return Verdict(str(found["verdict"]), str(found["sentence"]), kind, bars, notes)


def _assumed(found: Mapping[str, Any]) -> list[str]:
    return [f"Threat model: {found['threat_model']}"]


def _row(side: Mapping[str, Any], kind: str) -> Row:
    return {
        "images": side["images"],
        f"{kind}_count": side["count"],
        **{f"{kind}_{part}": side[part] for part in ("rate", "low", "high")},
    }


def of_run(facts: Facts) -> Verdict:
    """The most that came back of training images by one method that uses a network, under one degradation, at one
    training loss: exactly, or where nothing did, approximately."""
    asked = facts.experiment.models and facts.experiment.networked
    rates = facts.rates[facts.rates["model"] != GENERIC] if asked else facts.rates
    if rates.empty and len(facts.rates):
        sentence = "No network has been asked yet; what is there is of methods that use none."
        return Verdict("", sentence, "accurate", [], [])
    trained, control = rates[rates["split"] == "train"], rates[rates["split"] == "control"]
    if trained.empty:
        return Verdict("", "No training image has been tried yet.", "accurate", [], [])
    kind = "accurate" if trained["accurate_count"].any() or not trained["approximate_count"].any() else "approximate"
    worst = trained.sort_values([f"{kind}_rate", "target_loss"], ascending=[False, True], kind="stable").iloc[0]
    beside = _beside(worst, control)
    bars: list[tuple[str, Row]] = [("training images", dict(worst))]
    bars += [] if beside is None else [("control images", beside)]
    return Verdict("", _sentence(facts, worst, beside, kind), kind, bars, _notes(facts, worst, kind, len(trained)))


def _beside(worst: pd.Series, control: pd.DataFrame) -> Row | None:
    """The rates of the control images under the same attack."""
    for name in ("model", "degradation", "method", "data_set"):
        control = control[control[name] == worst[name]]
    loss = worst["target_loss"]
    control = control[control["target_loss"].isna() if pd.isna(loss) else control["target_loss"] == loss]
    return None if control.empty else dict(control.iloc[0])


def _sentence(facts: Facts, worst: pd.Series, beside: Row | None, kind: str) -> str:
    row, degradation = dict(worst), facts.experiment.degradation(worst["degradation"])
    none = "" if kind == "accurate" else "No training image came back exactly. "
    said = (
        f"{none}{count(row, kind)} training images came back {EXACTLY[kind]} from {hidden(degradation)} "
        f"(95\u00a0% interval {between(row[f'{kind}_low'], row[f'{kind}_high'])})"
    )
    if beside is None:
        return f"{said}; {_without_control(facts, worst['data_set'])}."
    others = between(beside[f"{kind}_low"], beside[f"{kind}_high"])
    return f"{said}, and {count(beside, kind)} others ({others})."


def _without_control(facts: Facts, data_set: str) -> str:
    """Why no control images stand beside them."""
    there = facts.catalogues[data_set].count("control") if data_set in facts.catalogues else 0
    if not there:
        return "there are no control images to compare with"
    return f"none of its {there:,} control images has been tried by this attack, so there is nothing to compare with"


def _notes(facts: Facts, worst: pd.Series, kind: str, tried: int) -> list[str]:
    degradation = facts.experiment.degradation(worst["degradation"])
    loss = "" if pd.isna(worst["target_loss"]) else f" at a training loss of {power(worst['target_loss'])}"
    chosen = f"the most of {tried} combinations of network, training loss, degradation and method" if tried > 1 else ""
    return [
        f"By the method “{facts.titles[worst['method']]}”, from {worst['model']}{loss}"
        f"{f': {chosen}' if chosen else ''}. “{degradation.label}”: {described(degradation)}.",
        f"“{EXACTLY[kind].capitalize()}” means {THRESHOLDS[kind]}. Each interval is that of its rate alone"
        f"{', and does not allow for the choice of the most' if chosen else ''}.",
        *_of_control(facts),
        *_of_sample(facts, worst["data_set"]),
    ]


def _of_sample(facts: Facts, data_set: str) -> list[str]:
    """Whether its training images are a sample of those that the networks were trained on."""
    drawn = facts.catalogues[data_set].drawn() if data_set in facts.catalogues else ""
    return [f"Of {data_set}, {drawn}."] if drawn else []


def _of_control(facts: Facts) -> list[str]:
    if not facts.has_control:
        return []
    if facts.rates["seen"].any():
        return ["Some control images are near-duplicates of training images, and count all the same."]
    if facts.experiment.given_models:
        return ["That control images were not trained on is what the experiment says of the given networks."]
    return ["Control images were never trained on. A picture that is there several times counts once."]
