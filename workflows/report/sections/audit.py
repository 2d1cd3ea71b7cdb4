"""What an audit found beside its verdict: each attack, membership, and what weakens it."""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from workflows.report.facts import Facts, damaged_audit
from workflows.report.section import Section
from workflows.report.tabular import Cell, Table
from workflows.report.templates import filled
from workflows.words import EXACTLY, SPLITS, difference, percent, share

Document = Mapping[str, Any]
TEMPLATE = """
<h3>What weakens it, and what was not tested</h3>
<ul class="limitations">
{% for sentence in limitations %}<li>{{ sentence }}</li>
{% endfor %}
</ul>
<dl class="facts">
{% for name, words in facts %}<div><dt>{{ name }}</dt><dd>{{ words }}</dd></div>
{% endfor %}
</dl>
<h3>Each attack</h3>
{{ ui.table(attacks) }}
<h3>Membership, from the error alone</h3>
{% if membership.rows %}{{ ui.table(membership) }}{% else %}<p>Not known: {{ reason }}.</p>{% endif %}
"""


def _body(facts: Facts) -> Markup | None:
    if facts.audit is None:
        return None
    try:
        return _filled(facts.audit)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise damaged_audit(facts.store) from error


SECTION = Section("audit", "The audit in detail", _body)


def _filled(found: Document) -> Markup:
    reasons = [score["reason"] for score in found["membership"].values() if score["reason"] is not None]
    return filled(
        TEMPLATE,
        limitations=[*map(str, found["limitations"])],
        facts=[*_facts(found)],
        attacks=_attacks(found),
        membership=_membership(found),
        reason=next(iter(reasons), ""),
    )


def _attacks(found: Document) -> Table:
    rows = [_attack(attack, f"{attack['method']}, {attack['degradation']}") for attack in found["attacks"]]
    rows.append(_attack(found["any_attack"], "any of them"))
    columns = [f"{how}: {what}" for how in EXACTLY.values() for what in ("train", "control", "difference", "p")]
    what = "Images" if found["data"]["train"].get("groups") is None else "Groups of images"
    return Table(f"{what} that came back, by attack", ["attack", *columns], rows, name="attacks")


def _membership(found: Document) -> Table:
    known = {name: score for name, score in found["membership"].items() if score["reason"] is None}
    columns = ["error of", "AUC (95 %)", "true positives at 1 % false ones (95 %)"]
    return Table("Membership", columns, [_member(name, score) for name, score in known.items()], name="membership")


def _facts(found: Document) -> Iterator[tuple[str, str]]:
    model, data = found["model"], found["data"]
    yield "Network", ", ".join(f"{key} {value}" for key, value in model.items() if value is not None)
    yield "Images", ", ".join(_images(data[split], title) for split, title in SPLITS.items())
    yield "Limit", f"{percent(found['max_rate'])} % of the training images"
    yield "Instrument", _instrument(found["instrument"])
    yield "Exchangeability", _exchangeability(found["exchangeability"])
    left_out = found["duplicates"]
    yield (
        "Left out",
        f"{left_out['crossing']} control images that are near-duplicates of training images; copies: "
        f"{left_out['train']} training and {left_out['control']} control images",
    )
    floor = found["reconstruction"]
    yield (
        "Reconstruction",
        f"median MSE of the network's output for an undamaged training image {_number(floor['train_median_mse'])}, "
        f"for a control image {_number(floor['control_median_mse'])}",
    )


def _images(side: Document, title: str) -> str:
    """How many there are, in how many groups if any; an earlier version's document says only what counts as one."""
    groups = side.get("groups")
    together = "" if groups is None else f" in {groups:,} groups"
    return f"{side.get('images', side['count']):,} {title} images{together} ({side['fingerprint']})"


def _instrument(found: Document) -> str:
    return (
        f"{'works' if found['works'] else 'does not work'}: of {found['count']} training images, "
        f"{percent(found['nearest'])} % came back exactly from a network that returns the nearest training image, "
        f"{percent(found['identity'])} % from one that returns its input"
    )


def _exchangeability(found: Document) -> str:
    if found["alike"] is None:
        return f"not known: {found['reason']}"
    low, high = found["interval"]
    told = "can't be told apart" if found["alike"] else "can be told apart"
    return f"the two sides {told} as pictures, without the network (AUC {found['auc']:.2f}, {low:.2f} to {high:.2f})"


def _attack(found: Document, title: str) -> list[str | Cell]:
    cells: list[str | Cell] = [title]
    for kind in EXACTLY:
        counts, excess = found[kind], found[kind]["excess"]
        cells += [_rate(counts["train"]), _rate(counts["control"])]
        cells += [difference(excess["value"], excess["low"], excess["high"])]
        cells += [Cell(f"{counts['p']:.1g}", float(counts["p"]))]
    return cells


def _rate(found: Document) -> Cell:
    words = share(found["rate"], found["low"], found["high"])
    return Cell(f"{found['count']}/{found['images']}: {words}", found["rate"])


def _member(name: str, found: Document) -> list[str | Cell]:
    low, high = found["auc_interval"]
    positives = share(found["true_positives"], *found["true_positives_interval"])
    return [name, f"{found['auc']:.3f} ({low:.3f} to {high:.3f})", positives]


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"
