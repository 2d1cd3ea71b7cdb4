"""How much a network of one's own gives away: attacks on its training images beside others, and what follows.

audit.py goes all the way; attacks.py makes the measurements, evidence.py what they are; verdict.py and membership.py
what follows from them; instrument.py, exchangeability.py and distinct.py whether they can be trusted.
"""

from memrec_core.auditing.audit import Audit, audit
from memrec_core.auditing.evidence import Attack, Comparison, Evidence, Side

__all__ = ["Attack", "Audit", "Comparison", "Evidence", "Side", "audit"]
