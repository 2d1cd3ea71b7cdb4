"""An audit as JUnit XML, which continuous integration shows: a test case for each attack, and one for the verdict."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import memrec_core
from memrec_core.auditing import Attack, Audit, Comparison
from memrec_core.auditing.evidence import per_cent
from memrec_core.auditing.verdict import ERROR, LEAKS, units_of
from workflows.audit.ending import Ending, Outcome

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SUITE = "memrec audit"


def junit(audit: Audit, end: Ending) -> bytes:
    """The document. What leaks is a failure, and what is inconclusive is skipped."""
    suite = Element("testsuite", name=SUITE)
    properties = SubElement(suite, "properties")
    for name, value in _properties(audit):
        SubElement(properties, "property", name=name, value=_clean(value))
    for attack in audit.evidence.attacks:
        _add(suite, str(attack), _outcome(audit, attack, end), _in_words(audit, attack))
    _add(suite, "verdict", end.outcome, " ".join(filter(None, [audit.sentence, end.word, *audit.warnings])))
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("errors", "0")
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    root = Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _properties(audit: Audit) -> Iterator[tuple[str, object]]:
    yield "tool", f"memrec {memrec_core.__version__}"
    yield "verdict", audit.verdict
    yield "max_rate", audit.max_rate
    for name, value in audit.subject.model.items():
        yield f"model.{name}", "" if value is None else value


def _outcome(audit: Audit, attack: Attack, end: Ending) -> Outcome:
    """Of one attack. It fails where it is one of those that the verdict rests on, which approximate recoveries are not
    where the sides are not known to be alike."""
    telling = audit.rates if audit.exchangeability.alike else {"accurate": audit.rates["accurate"]}
    found = any(of_kind[attack].p < ERROR for of_kind in telling.values())
    if audit.verdict == LEAKS:
        return end.outcome if found else Outcome.PASSED
    return end.outcome


def _in_words(audit: Audit, attack: Attack) -> str:
    units = units_of(audit.evidence)
    return "; ".join(f"{kind}: {_counts(found[attack], units)}" for kind, found in audit.rates.items())


def _counts(counts: Comparison, units: str) -> str:
    low, high = counts.interval
    return (
        f"{counts.train} of {counts.train_count} training {units} ({per_cent(low)} to {per_cent(high)}), "
        f"{counts.control} of {counts.control_count} control {units}"
    )


def _add(suite: Element, name: str, outcome: Outcome, words: str) -> None:
    case = SubElement(suite, "testcase", name=_clean(name), classname=SUITE.replace(" ", "."), time="0")
    if outcome is Outcome.FAILED:
        SubElement(case, "failure", message=_clean(words), type=LEAKS).text = _clean(words)
    elif outcome is Outcome.SKIPPED:
        SubElement(case, "skipped", message=_clean(words))
    SubElement(case, "system-out").text = _clean(words)


def _clean(value: object) -> str:
    """As XML can hold it."""
    return _NOT_XML.sub("?", str(value))
