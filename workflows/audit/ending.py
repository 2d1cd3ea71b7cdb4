"""What an audit ends with: an exit status, and a word on it where that differs from the verdict's own."""

from dataclasses import dataclass
from enum import Enum

from memrec_core.auditing import Audit
from memrec_core.auditing.evidence import per_cent
from memrec_core.auditing.verdict import ERROR, INCONCLUSIVE, LEAKS, upper_end


class Outcome(Enum):
    """Of a check in a report for machines."""

    PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Ending:
    """The exit `status`, the `outcome` of the verdict, and the `word` for people; empty where the verdict says it."""

    status: int
    outcome: Outcome
    word: str = ""


def ending(audit: Audit, limit_named: bool, report_only: bool) -> Ending:
    """How an audit ends. A leak under a limit that the user named is one that the user accepts; what is only to be
    reported ends well, whatever it is."""
    status, outcome, word = audit.exit_status, Outcome.PASSED, ""
    if audit.verdict == LEAKS and limit_named and is_under_limit(audit):
        status = 0
        word = (
            f"The leak is under the limit of {per_cent(audit.max_rate)} that was named: the upper end of its "
            f"interval is {per_cent(_upper_end(audit))}. Exit status 0."
        )
    elif audit.verdict == LEAKS:
        outcome = Outcome.FAILED
    elif audit.verdict == INCONCLUSIVE:
        outcome = Outcome.SKIPPED
    if report_only and status:
        status, word = 0, f"Exit status 0, since the audit is only to report; else {status}."
    return Ending(status, outcome, word)


def is_under_limit(audit: Audit) -> bool:
    """Whether the upper ends of the intervals of all kinds of recovery that leak are under the limit, and the evidence
    allows a bound."""
    return _upper_end(audit) < audit.max_rate


def _upper_end(audit: Audit) -> float:
    """The largest of those; 1 where nothing leaks."""
    leaks = [found["any"] for found in audit.rates.values() if found["any"].p < ERROR]
    return max((upper_end(counts, audit.evidence, audit.instrument) for counts in leaks), default=1.0)
