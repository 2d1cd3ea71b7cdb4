"""The evidence of an audit, from the rows of its run."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from memrec_core.auditing import Attack, Evidence, Side
from memrec_core.auditing.attacks import attacks_of, damage_of, known
from memrec_core.datasets import ImageSet
from memrec_core.degradations import Degradation, degraded_by
from memrec_core.network import Network
from memrec_core.reconstruction import reconstruction_error
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import AuditSet
from workflows.run.opened import OpenRun
from workflows.work.recover import Pictures

AT_ONCE = 256
"""Images that are degraded side by side."""
REPRODUCED_AT_ONCE = 16
"""Images that are given to the network so: it may be a large one, and has the driver's memory alone."""
COLUMNS = ["split", "image_id", "method", "degradation", "mse", "mse_missing", "status"]


def evidence_of(run: OpenRun, audit: AuditSet, network: Network) -> Evidence:
    """What a run that is done has measured, and beside it what the rows do not have: how far each degraded image is
    from its original, and how far the network's output for the original itself."""
    experiment = run.experiment
    attacks = attacks_of(experiment.degradations, [entry.method for entry in experiment.methods])
    rows = run.results(COLUMNS)
    sides = [
        _side(
            rows[rows["split"] == split].set_index("image_id"),
            split,
            images_of(audit, split),
            attacks,
            experiment,
            audit,
            network,
        )
        for split in ("train", "control")
    ]
    return Evidence(attacks, *sides)


def images_of(audit: AuditSet, split: str) -> ImageSet:
    """The audited images of a split, each picture once, in the order in which the run has them."""
    known = audit.catalogue.audited
    places = np.array([place for place, image in enumerate(known) if image.split == split], dtype=int)
    own = [known[place] for place in places]
    return ImageSet(audit.images(places), tuple(image.id for image in own), tuple(image.label for image in own))


def _side(
    rows: pd.DataFrame,
    split: str,
    images: ImageSet,
    attacks: tuple[Attack, ...],
    experiment: Experiment,
    audit: AuditSet,
    network: Network,
) -> Side:
    found = {attack: own for attack, own in rows.groupby(["method", "degradation"], sort=False)}
    ordered = [found[attack].loc[[*images.ids]] for attack in attacks]
    damage = {
        degradation.label: np.concatenate([*damages(degradation, split, images, experiment.seed, audit)])
        for degradation in experiment.degradations
    }
    return Side(
        np.stack([known(own["mse"].to_numpy(), own["status"].to_numpy()) for own in ordered]),
        np.stack([own["mse_missing"].to_numpy() for own in ordered]),
        np.stack([damage[attack.degradation] for attack in attacks]),
        reconstruction_error(network, images.images, REPRODUCED_AT_ONCE).numpy(),
    )


def damages(degradation: Degradation, split: str, images: ImageSet, seed: int, audit: AuditSet) -> Iterator[np.ndarray]:
    """What of each image is had without the network, in parts; see `attacks.damage_of`."""
    for start in range(0, len(images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        originals, ids = images.images[part], [f"{split}/{id_}" for id_ in images.ids[part]]
        operator = degradation.operator(audit.image_shape, ids, seed)
        assert operator.kept is not None  # an audit erases pixels
        degraded = degraded_by(degradation, operator, originals, ids, seed, Pictures(audit))
        yield damage_of(degraded, originals, operator.kept).numpy()
