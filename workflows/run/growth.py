"""How a run's plan grows: what of it stays, what it leaves open, and what is no longer asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from workflows.experiment.resolved import Experiment
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import Checkpoint, other_checkpoints
from workflows.run.compacted import drop_compacted
from workflows.run.images import check_images
from workflows.run.plan import Plan, planned_once, replace_plan, save_plan, with_checkpoints
from workflows.run.planning import Size, Sizes, asked_for, by_place, left_open, make_plan, split_up, with_pictures
from workflows.run.retired import bring_back, retire, split, waiting_place
from workflows.run.run import Run
from workflows.run.store import PLAN, RECOVERY
from workflows.run.unit import Kind, Unit


class PlanGrewError(Exception):
    """Another driver has kept a plan since this one's growth was worked out."""


@dataclass(frozen=True)
class Growth:
    """Of all that was planned once: the units that `stay`; those that are `retired`; those that are `parted`, since
    some of their degradations alone are asked for, with their parts; and those that are `replaced` by one that stays,
    which keeps pictures of more images. `since` is all that was planned, as it lies in the run's folder."""

    stay: tuple[Unit, ...]
    retired: tuple[Unit, ...]
    parted: Mapping[Unit, list[Unit]]
    replaced: tuple[Unit, ...] = ()
    since: tuple[Unit, ...] = ()

    def open(self, experiment: Experiment) -> list[Kind]:
        """The kinds of units that the experiment asks for beside."""
        found = left_open(experiment, by_place(self.stay))
        return list(dict.fromkeys((*place[:2], entry.label) for place, entry, labels in found if labels))

    def sizes(self) -> dict[Kind, Size]:
        """Those of the units that stay, by their kinds."""
        return {unit.kind: Size(len(unit), unit.batch_size) for unit in sorted(self.stay, key=len)}


def growth_of(run: Run, then: Experiment, catalogues: Mapping[str, Catalogue]) -> Growth:
    """What becomes of the run's plan, whose experiment was another one `then`. Raises InputError where the plan is of
    other images."""
    planned = planned_once(run.store)
    check_images(planned, catalogues, run.store)
    since = tuple(planned)
    planned = [replace(unit, pictures=then.pictures) if unit.pictures is None else unit for unit in planned]
    asked, others = asked_for(run.experiment, planned)
    parted = split_up(then, others)
    asked_parts, other_parts = asked_for(run.experiment, [part for parts in parted.values() for part in parts])
    now = {
        unit: with_pictures(unit, run.experiment.pictures, catalogues[unit.data_set])
        for unit in dict.fromkeys([*asked, *asked_parts])
    }
    retired = dict.fromkeys([*(unit for unit in others if unit not in parted), *other_parts])
    replaced = tuple(unit for unit, successor in now.items() if unit != successor)
    return Growth(tuple(now.values()), tuple(retired), parted, replaced, since)


def keep_grown(
    run: Run,
    growth: Growth,
    catalogues: Mapping[str, Catalogue],
    sizes: Sizes,
    priors: Mapping[str, str],
    digests: Mapping[Checkpoint, str],
) -> Plan:
    """Keep the run's plan with all that its experiment asks for, and part the files of units that are parted.

    The files come first, so that a run that breaks off between has the rows twice at the most, and does this again.
    Raises PlanGrewError where another driver has kept a plan meanwhile.
    """
    units = make_plan(run.experiment, catalogues, sizes, priors, growth.stay)
    plan = Plan(tuple(units), growth.retired)
    if not run.store.exists(PLAN):
        return save_plan(run, plan)
    if plan == Plan(growth.stay, growth.retired) and growth.since == (*plan.units, *plan.retired):
        return plan
    known = _with_others(run, digests, growth.parted)
    parts = {
        whole: with_checkpoints(singles, known)[0]
        for unit, singles in growth.parted.items()
        for whole in with_checkpoints([unit], known)[0]
    }
    asked = set(with_checkpoints(plan.units, digests)[0])
    split(run.store, parts, asked)
    if tuple(planned_once(run.store)) != growth.since:
        raise PlanGrewError
    replace_plan(run, plan)
    drop_compacted(run.store, [whole.file for whole in parts])
    # whose rows are all in its parts
    run.store.remove_all([place for whole in parts for place in (whole.file, waiting_place(whole.file))])
    return plan


def settle(run: Run, growth: Growth, plan: Plan, digests: Mapping[Checkpoint, str]) -> tuple[list[Unit], list[Unit]]:
    """Move the files of units that are not asked for out of the way of readers; returns these units, and those that
    waited, and are back now."""
    present = set(run.store.names(RECOVERY, ".parquet"))
    gone = [unit for unit in not_asked(run, growth, plan, digests) if unit.file in present]
    retire(run.store, [unit.file for unit in gone])
    return gone, bring_back(run.store, with_checkpoints(plan.units, digests)[0], present)


def not_asked(run: Run, growth: Growth, plan: Plan, digests: Mapping[Checkpoint, str]) -> list[Unit]:
    """The units that the run had, and that are not asked for as they were."""
    units = [*plan.retired, *growth.replaced, *growth.parted]
    return with_checkpoints(units, _with_others(run, digests, units))[0]


def _with_others(run: Run, digests: Mapping[Checkpoint, str], units: Iterable[Unit]) -> dict[Checkpoint, str]:
    """The digests, and those of the checkpoints that units have whose network or target is not asked for now."""
    return {**digests, **other_checkpoints(run, [unit.place[1:] for unit in units])}
