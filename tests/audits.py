"""Audits with the evidence that a test asks for."""

import numpy as np

from memrec_core.auditing import Attack, Audit, Evidence, Side
from memrec_core.auditing.audit import Subject
from memrec_core.auditing.distinct import Duplicates
from memrec_core.auditing.exchangeability import Exchangeability
from memrec_core.auditing.instrument import Instrument
from memrec_core.auditing.verdict import verdict

ATTACKS = (Attack("known_mask", "center"), Attack("<unknown> & \x00 'mask' ]]>", "bottom"))


def made(
    back: int,
    count: int = 100,
    max_rate: float = 0.01,
    model: str = "nets:build",
    others: int = 0,
    plain: int = 0,
    slices: int | None = None,
) -> Audit:
    """The audit of a network that gave back so many of its training images, by the first of two attacks. The last so
    many are `plain`; each counts for so many `slices`."""

    def side(found: int) -> Side:
        recovered = np.full((2, count), 1.0)
        recovered[0, :found] = 1e-9
        damage = np.full((2, count), 0.1)
        damage[:, count - plain :] = 1e-5
        sizes = None if slices is None else np.full(count, slices)
        return Side(recovered, recovered, damage, np.full(count, 1e-9), sizes)

    evidence = Evidence(ATTACKS, side(back), side(others))
    instrument = Instrument(50, 1.0, 0.0)
    found = verdict(evidence, max_rate, instrument)
    alike = Exchangeability(True, 0.5, (0.4, 0.6))
    subject = Subject({"given": model, "weights": None}, "one", "other")
    return Audit(subject, evidence, found, max_rate, instrument, alike, Duplicates(0, 0, 0), {"seed": 42})
