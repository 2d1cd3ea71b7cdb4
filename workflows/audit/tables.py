"""An audit on the terminal: the sentence first, then a row an attack."""

from collections.abc import Callable

from rich.table import Table

from memrec_core.auditing import Audit, Comparison
from memrec_core.auditing.membership import Membership
from memrec_core.auditing.verdict import units_of
from workflows.audit.ending import Ending
from workflows.terminal import print_whole, say
from workflows.words import whole, with_bounds

NARROWEST = 78


def print_audit(audit: Audit, end: Ending) -> None:
    """Print the verdict, what weakens it, and the figures that it rests on."""
    counts, units = audit.rates[audit.found.kind]["any"], units_of(audit.evidence)
    say(
        f"\n{units} that came back, % (95 % interval), of {counts.train_count:,} training and {counts.control_count:,} "
        f"control {units}"
    )
    print_whole(_rates(audit), NARROWEST)
    _print_membership(audit)
    say(f"\n{audit.sentence}")
    for sentence in filter(None, [*audit.warnings, end.word]):
        say(sentence)


def _rates(audit: Audit) -> Table:
    table = _table("attack", "exactly\ntrain", "\ncontrol", "approximately\ntrain", "\ncontrol")
    exactly, nearly = audit.rates["accurate"], audit.rates["approximate"]
    for attack in (*audit.evidence.attacks, "any"):
        name = "any of them" if isinstance(attack, str) else f"{attack.method}, {attack.degradation}"
        table.add_row(name, *_sides(exactly[attack]), *_sides(nearly[attack]))
    return table


def _sides(counts: Comparison) -> tuple[str, str]:
    low, high = counts.interval
    return with_bounds(counts.rate, low, high), whole(counts.control_rate)


def _print_membership(audit: Audit) -> None:
    found = audit.membership
    if (reason := next(iter(found.values())).reason) is not None:  # all of them are of the same images
        say(f"\nmembership, from the error alone: not known, since {reason}")
        return
    table = _table("error of", "AUC", "true positives\nat 1 % false, %")
    for name, own in found.items():
        table.add_row("its reconstruction" if name == "reconstruction" else name, *_figures(own))
    say("\nmembership, from the error alone (95 % interval)")
    print_whole(table, NARROWEST)


def _figures(found: Membership) -> tuple[str, str]:
    return (
        _with_interval(found.auc, found.auc_interval, "{:.2f}".format),
        _with_interval(found.true_positives, found.true_positives_interval, whole),
    )


def _with_interval(value: float | None, bounds: tuple[float, float] | None, in_words: Callable[[float], str]) -> str:
    if value is None or bounds is None:
        return "-"
    shown = [in_words(number) for number in (value, *bounds)]
    return f"{shown[0]} ({shown[1]}-{shown[2]})"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column(first, overflow="fold")
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table
