"""Reading and writing YAML 1.2 by its core schema: `no` and `1:30` are words, `010` is ten, `0o10` eight.

PyYAML parses; its own reading of words and numbers is YAML 1.1's. Beside the core schema there are merge keys (`<<`).
What could mean two things is refused: a double key, several documents, a key that is no word, a tag.
"""

import codecs
import math
import re
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from memrec_core.errors import InputError, in_a_line, shown

LARGEST_FILE = 2**20
DEEPEST, MOST_ENTRIES = 40, 20_000
"""How deep a document may be nested, and how many entries it may have, its aliases written out."""
TOO_DEEP = f"is nested more than {DEEPEST} levels deep"
TOO_MANY = f"has more than {MOST_ENTRIES} entries, its aliases written out"
LONGEST_NUMBER = 40

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
    "merge": r"<<",
}
"""The plain scalars that are no strings: the core schema's (YAML 1.2.2, section 10.3.2), and the merge key."""
_PATTERNS = {f"{_TAG}{kind}": re.compile(rf"(?:{pattern})\Z") for kind, pattern in _SCALARS.items()}
_KINDS = {*_PATTERNS, f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow, and three characters that 1.1 takes for the end of a line and 1.2 does not."""


class _Unreadable(yaml.YAMLError):
    """Something that is YAML, perhaps, but not of the kind that is read here."""


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """From text to PyYAML's nodes, neither too many nor too deep."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = self.nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.depth > DEEPEST:
            _refuse(self.peek_event(), TOO_DEEP)
        self.nodes += 1
        if self.nodes > MOST_ENTRIES:
            _refuse(self.peek_event(), TOO_MANY)
        if getattr(self.peek_event(), "tag", None) == "!":
            self.peek_event().implicit = (False, True)  # by 1.2 a ! makes a string of it
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern in _PATTERNS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, None)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something else than a string."""

    def ignore_aliases(self, data: object) -> bool:
        return True


for _tag, _pattern in _PATTERNS.items():
    _Dumper.add_implicit_resolver(_tag, _pattern, None)
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(f"{_TAG}str", text, style=None if text.isprintable() else '"'),
)


def write(tree: Any) -> str:
    """YAML that `read` reads as the same tree of mappings, lists, strings, numbers, truth values and nulls."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def decode(data: bytes, origin: str) -> str:
    """The text in the bytes of a file: UTF-8, or UTF-16 that begins with its mark. Raises InputError for any other."""
    if len(data) > LARGEST_FILE:
        raise InputError(f"{origin} is larger than {LARGEST_FILE >> 20} MB, so it is no experiment; give a YAML file")
    try:
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{origin} can't be read as YAML: line {line} has bytes that are not UTF-8; save the file as UTF-8"
        ) from error


def read(text: str, origin: str) -> Any:
    """The one document in `text`, as mappings with strings as keys, lists, strings, numbers, truth values and None.

    An alias becomes a copy of its own. Raises InputError, a short sentence that begins with `origin` and has the line.
    """
    try:
        if found := _FORBIDDEN.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise _Unreadable(
                f"line {line} has the character U+{ord(found[0]):04X}, which YAML does not allow as it is"
            )
        root = _Loader(text).get_single_node()
        return None if root is None else _Construction().value(root)
    except yaml.YAMLError as error:
        raise InputError(f"{origin} can't be read as YAML: {_said(error)}") from error


class _Construction:
    """From nodes to values. `entries` counts what was made, so that aliases of aliases end early."""

    def __init__(self) -> None:
        self.entries = 0
        self.open: list[Node] = []

    def value(self, node: Node) -> Any:
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            _refuse(node, TOO_MANY)
        if node in self.open:
            _refuse(node, "has an alias of what it is a part of")
        if len(self.open) > DEEPEST:
            _refuse(node, TOO_DEEP)
        if node.tag not in _KINDS:
            _refuse(node, f"has the tag {shown(node.tag.removeprefix(_TAG))}, which is not read here; leave it out")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        assert isinstance(node, SequenceNode | MappingNode)  # there is no other kind
        self.open.append(node)
        made = self._list(node) if isinstance(node, SequenceNode) else self._mapping(node)
        self.open.pop()
        return made

    def _list(self, node: SequenceNode) -> list[Any]:
        if node.tag != f"{_TAG}seq":
            _refuse(node, "has a list with the tag of something else; leave the tag out")
        return [self.value(entry) for entry in node.value]

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        """The node's own entries, and what they leave of the mappings that it merges in."""
        if node.tag != f"{_TAG}map":
            _refuse(node, "has a mapping with the tag of something else; leave the tag out")
        lines: dict[str, int] = {}
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            line = _line(key_node)
            if key in lines:
                place = f"on line {line}" if lines[key] == line else f"on lines {lines[key]} and {line}"
                raise _Unreadable(f"the key {shown(key)} is there twice, {place}; keep one")
            lines[key] = line
            if key_node.tag == f"{_TAG}merge":
                merged = self._merged(value_node)
            else:
                own[key] = self.value(value_node)
        return {**merged, **own}

    def _merged(self, node: Node) -> dict[str, Any]:
        """What a merge key adds: of several mappings the first that has a key counts."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        made: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, MappingNode):
                _refuse(source, "merges (<<) what is no mapping")
            made = {**self.value(source), **made}
        return made


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode) or node.tag not in (f"{_TAG}str", f"{_TAG}merge"):
        said = shown(node.value) if isinstance(node, ScalarNode) else "that is a list or a mapping"
        _refuse(node, f"has a key {said}, which is no word; put it in quotes if it is meant as one")
    return _text(node)


def _text(node: ScalarNode) -> str:
    """What is written; JSON's two escapes for a letter beyond 16 bits are that letter."""
    try:
        return node.value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        _refuse(node, "has an escape that is half a letter (\\uD800 to \\uDFFF)")


def _scalar(node: ScalarNode) -> Any:
    kind, text = node.tag.removeprefix(_TAG), _text(node)
    if kind in ("str", "merge"):  # << is a key of its own kind, and as a value a string
        return text
    if kind not in _SCALARS or not _PATTERNS[node.tag].match(text):
        _refuse(node, f"has {shown(text)} with the tag {shown(kind)}, which it is not; leave the tag out")
    if len(text) > LONGEST_NUMBER:
        _refuse(node, f"has a number of {len(text)} characters")
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if math.isinf(number) and "inf" not in text.lower():
        _refuse(node, f"has {text}, a number too large")
    return number


def _line(place: Any) -> int:
    return place.start_mark.line + 1


def _refuse(place: Any, what: str) -> NoReturn:
    """Raise the error for a node or an event."""
    raise _Unreadable(f"line {_line(place)} {what}")


def _said(error: yaml.YAMLError) -> str:
    """PyYAML's complaint in a line, or ours."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return in_a_line(error)
    line, text = mark.line + 1, " ".join(problem.split())
    if r"'\t'" in text:
        return f"line {line} has a tab where YAML wants spaces"
    if "another document" in text:
        return f"line {line} begins another document (---); keep one in a file"
    if "mapping values are not allowed" in text:
        return f"line {line} has a colon where no key can be; put a text that has one in quotes"
    if "duplicate anchor" in (getattr(error, "context", None) or ""):
        return f"line {line} defines an anchor (&) for the second time; give each a name of its own"
    return f"line {line}: {text[:300]}; check the indentation, brackets and quotes before it"
