"""The pictures: originals, degraded, recovered by each method, estimated masks and errors, to be filtered."""

from typing import Any

from markupsafe import Markup

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.report.facts import Facts
from workflows.report.gallery import FIGURES, Card, Gallery
from workflows.report.section import Section
from workflows.report.sheets import Grid
from workflows.report.tabular import json_text
from workflows.report.templates import filled
from workflows.words import SPLITS, power

STATIC = 48
"""So many cards are there without scripts."""
OUTCOMES = {"accurate": "✓ exact", "approximate": "≈ near", "failed": "✗ no"}
BEST = "Order and “Came back” go by the best of the methods that are shown."
TEMPLATE = """
<p class="note">{{ stated }} A frame tells the outcome: <span class="key accurate">✓</span> exact (MSE under 10⁻⁷),
<span class="key approximate">≈</span> near (under 5·10⁻⁴), <span class="key failed">✗</span> no.
{% if pages %}{{ lead }}
{% for link, words in pages %}<a href="{{ link }}">{{ words }}</a>{{ ", " if not loop.last else "." }}{% endfor %}
{% endif %}</p>
<form class="filters js" id="filters">
{% for name, label, choices in filters %}
<fieldset class="switch"><legend>{{ label }}</legend>
{% for value, text in choices %}
<label><input type="radio" name="{{ name }}" value="{{ value }}"><span>{{ text }}</span></label>
{% endfor %}
</fieldset>
{% endfor %}
{% if best %}<p class="note">{{ best }}</p>{% endif %}
<label class="find">Find
<input type="search" name="find" placeholder="id, label, mask or method" autocomplete="off"></label>
</form>
<p class="js"><span id="count" role="status"></span> <button type="button" id="widen" hidden>Show them</button></p>
<div class="grid" id="grid">
{% macro tile(card, place, words, outcome="") %}
<span{% if outcome %} class="{{ outcome }}"{% endif %}><i class="tile s{{ card.sheet }} p{{ place }}"></i>
{% for line in words %}<small>{{ line }}</small>{% endfor %}</span>
{% endmacro %}
{% for card in cards %}
<article class="card"><div class="strip">
{{ tile(card, 0, ["original"]) }}{{ tile(card, card.degraded, [card.degradation]) }}
{% for result in card.results %}{{ tile(card, result.tile, [result.title, result.words], result.outcome) }}{% endfor %}
</div>
<p class="name">{{ card.id }} <small>{{ card.about }}</small></p></article>
{% endfor %}
</div>
<noscript><p>With JavaScript the other pictures, those at other training losses, and each one large can be seen
too.</p></noscript>
<p class="js"><button type="button" id="more">Show more</button></p>
<dialog id="viewer" aria-labelledby="viewer-title"><div class="buttons"><h3 id="viewer-title"></h3>
<button type="button" data-step="-1" aria-label="Previous image">←</button>
<button type="button" data-step="1" aria-label="Next image">→</button>
<button type="button" data-close aria-label="Close">✕</button></div><div id="viewer-body"></div></dialog>
<script type="application/json" id="gallery-data">{{ data }}</script>
"""


def _body(facts: Facts) -> Markup | None:
    if facts.gallery is None:
        return None
    stated = _stated(facts.gallery, bool(facts.pages))
    return shown(facts, facts.gallery, stated, "All pictures, page", facts.pages)


SECTION = Section("gallery", "Pictures", _body)


def shown(facts: Facts, gallery: Gallery, stated: str, lead: str, pages: list[tuple[str, str]]) -> Markup:
    """The gallery's markup; its sheets are in the page's style. `stated` says which pictures are here, `lead` what the
    links to the other `pages` lead to."""
    lists = _lists(facts, gallery)
    return filled(
        TEMPLATE,
        stated=stated,
        lead=lead,
        pages=pages,
        filters=_filters(gallery, lists),
        best=BEST if len(lists["methods"]) > 1 else "",
        cards=[_static(facts, gallery, card) for card in _first(gallery)],
        data=Markup(json_text(_data(gallery, lists))),
    )


def style(gallery: Gallery | None) -> str:
    """The sheets, and the places of tiles on them, as the page's second style sheet."""
    if gallery is None or not gallery.images:
        return ""
    most = max(len(image.sheet.tiles) for image in gallery.images)
    grid = Grid.of(most)
    lines = [f":root{{--columns:{100 * grid.columns}%;--rows:{100 * grid.rows}%}}"]
    for number, image in enumerate(gallery.images):
        drawn = image.sheet.drawn(grid)
        lines.append(f".s{number}{{--sheet:url({drawn.uri});--ratio:{drawn.width}/{drawn.height};--w:{drawn.width}}}")
    lines += [f".p{tile}{{--at:{grid.position(tile)}}}" for tile in range(most)]
    return "\n".join(lines)


def _stated(gallery: Gallery, others: bool) -> str:
    """Which of the pictures are here, and how to have the others where they are not there."""
    inside, kept = len(gallery.images), gallery.kept
    images = f"all {kept:,} images" if inside == kept else f"{inside:,} of {kept:,} images"
    chosen = ", in turn those that came back worst and best of training and of control images" * (inside < kept)
    losses = f", at {gallery.levels} of {gallery.ladder} training losses" if gallery.levels < gallery.ladder else ""
    left = not others and (inside < kept or gallery.levels < gallery.ladder)
    more = " memrec report RUN --all-pictures writes the others beside this page." if left else ""
    return f"Here are {images} of which the run kept pictures{chosen}{losses}.{more}"


def _lists(facts: Facts, gallery: Gallery) -> dict[str, list[Any]]:
    """What cards name by numbers."""
    cards = gallery.cards
    used = {result.method for card in cards for result in card.results}
    return {
        "models": list(dict.fromkeys(card.model for card in cards)),
        "losses": sorted({card.loss for card in cards}, key=lambda loss: loss or 0.0),
        "masks": [label for label in facts.degradations if label in {card.degradation for card in cards}],
        "methods": [(method, title) for method, title in facts.titles.items() if method in used],
    }


def _filters(gallery: Gallery, lists: dict[str, list[Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The chips: of each row its name in the address, its label, and its choices."""
    every = [("", "all")]
    splits = [split for split in SPLITS if split in {image.key.split for image in gallery.images}]
    rows = [
        ("model", "Network", [(model, model) for model in lists["models"]]),
        ("loss", "Training loss", [(_loss(loss), power(loss)) for loss in lists["losses"] if loss is not None]),
        ("mask", "Degradation", [*every, *((mask, mask) for mask in lists["masks"])]),
        ("method", "Method", [*every, *lists["methods"]]),
        ("split", "Images", [*every, *((split, SPLITS[split]) for split in splits)]),
        ("outcome", "Came back", [*every, *OUTCOMES.items()]),
        ("order", "Order", [("best", "best first"), ("worst", "worst first")]),
    ]
    return [(name, label, choices) for name, label, choices in rows if len(choices) > 1 or name == "order"]


def _loss(loss: float | None) -> str:
    return "" if loss is None else f"{loss:g}"


def _data(gallery: Gallery, lists: dict[str, list[Any]]) -> dict[str, Any]:
    """All that the script needs, in lists that are short where there are many."""
    methods = [method for method, *_ in lists["methods"]]
    return {
        **lists,
        "losses": [[_loss(loss), power(loss) if loss is not None else ""] for loss in lists["losses"]],
        "whole": len(gallery.images) == gallery.kept,
        "accurate": ACCURATE,
        "approximate": APPROXIMATE,
        "images": [[*image.key, image.label] for image in gallery.images],
        "figures": FIGURES,
        "cards": [
            [
                card.image,
                lists["models"].index(card.model),
                lists["losses"].index(card.loss),
                lists["masks"].index(card.degradation),
                card.degraded,
                [
                    [
                        methods.index(result.method),
                        result.tile,
                        result.mask,
                        *(_plain(result.figures[name], exact=name == "mse") for name in FIGURES),
                    ]
                    for result in card.results
                ],
            ]
            for card in gallery.cards
        ],
    }


def _plain(value: Any, exact: bool = False) -> Any:
    """A figure as JSON has it, of three digits; all of them where it is held against a threshold."""
    if value is None or isinstance(value, str):
        return value
    if value != value or abs(value) == float("inf"):
        return None
    if isinstance(value, bool):
        return value
    if exact:
        return float(value)
    return float(f"{value:.3g}") if value % 1 else int(value)


def _first(gallery: Gallery) -> list[Card]:
    """What is there without scripts: at the lowest training loss, training images first, the best first."""
    lowest: dict[str, float | None] = {}
    for card in gallery.cards:
        known = lowest.setdefault(card.model, card.loss)
        lowest[card.model] = card.loss if known is None or card.loss is None else min(known, card.loss)
    cards = [card for card in gallery.cards if card.loss == lowest[card.model]]
    cards.sort(key=lambda card: (gallery.images[card.image].key.split != "train", card.best))
    return cards[:STATIC]


def _static(facts: Facts, gallery: Gallery, card: Card) -> dict[str, Any]:
    image = gallery.images[card.image]
    results = []
    for result in card.results:
        mse = result.figures["mse"]
        outcome = "accurate" if mse < ACCURATE else "approximate" if mse < APPROXIMATE else "failed"
        words = f"{OUTCOMES[outcome][0]} {power(float(f'{mse:.1g}'))}"
        results.append({"tile": result.tile, "title": facts.titles[result.method], "outcome": outcome, "words": words})
    about = [
        f"{SPLITS[image.key.split]} image",
        image.label,
        f"loss {power(card.loss)}" if card.loss is not None else None,
    ]
    return {
        "sheet": card.image,
        "degraded": card.degraded,
        "degradation": card.degradation,
        "results": results,
        "id": image.key.id,
        "about": ", ".join(part for part in about if part),
    }
