"""A comparison on the terminal: a table for each other run, what changed sides, and what does not match."""

from itertools import islice

from rich.table import Table

from workflows.comparison.compared import INTERVALS, Comparison
from workflows.comparison.words import (
    difference_words,
    groups_of,
    named,
    networks_of,
    quiet_words,
    rate_words,
    summary_of,
    worth_a_line,
)
from workflows.terminal import plain, print_whole, say
from workflows.words import loss_words

NARROWEST, GROUPS, KIND = 118, 12, "accurate"


def print_comparison(comparison: Comparison) -> None:
    for name, folder in comparison.runs.items():
        say(f"{name}: {folder}")
    for sentence in (*comparison.remarks, *comparison.missing):
        say(sentence)
    for name in [*comparison.runs][1:]:
        _print_differences(comparison, name)
    _print_changed(comparison)
    for interval in comparison.differences["interval"].unique():
        say(f"\n{'' if interval == 'paired' else '* '}{interval}: {INTERVALS[interval]}")


def _print_differences(comparison: Comparison, name: str) -> None:
    rows = comparison.differences
    rows = rows[(rows["run"] == name) & (rows["kind"] == KIND)]
    if (rows["split"] == "train").any():
        say(f"\n{summary_of(comparison, rows)}")
    for network, of_network in rows.groupby(networks_of(comparison, rows), sort=False):
        say(f"\n{network}: {KIND} recovery, % of the images (95 % interval)")
        table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
        for title in ("train\nloss", "\ndegradation", "\nmethod", "\nsplit"):
            table.add_column(title, overflow="fold")
        for title in ("\nA", f"\n{name}", f"{name} - A\npoints", f"only\nin {name}", "only\nin A"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in worth_a_line(of_network).to_dict("records"):
            table.add_row(
                loss_words(row["target_loss"]),
                plain(row["degradation"]),
                plain(comparison.titles[row["method"]]),
                row["split"],
                rate_words(row),
                rate_words(row, "_other"),
                difference_words(row),
                *((str(row["came"]), str(row["went"])) if row["common"] else ("-", "-")),
            )
        print_whole(table, NARROWEST)
        if quiet := quiet_words(of_network):
            say(quiet)


def _print_changed(comparison: Comparison) -> None:
    """The first groups of images that changed sides."""
    groups = groups_of(comparison, KIND)
    for number, group in enumerate(islice(groups, GROUPS)):
        if number == 0:
            say(f"\nimages that changed sides ({KIND}):")
        for where, ids, count in (
            (group.run, group.came, group.came_count),
            ("A", group.went, group.went_count),
        ):
            if count:
                say(f"  {group.title}: back only in {where}: {named(ids, count)}")
    if left := sum(1 for _ in groups):
        say(f"  ... and in {left} more groups; --changed FILE.csv and --json FILE have all of them")
