"""A page as a test sees it: its texts, its addresses, its elements."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "source", "br"}


@dataclass
class Element:
    """A start tag with what stands inside."""

    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())


class Document(HTMLParser):
    """Reads HTML as a browser does, and fails where tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {[e.tag for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.pieces.append(data)

    @property
    def text(self) -> str:
        """All that is read."""
        [body] = self.all("body")
        return body.text

    def all(self, tag: str, css_class: str = "", **attributes: str) -> list[Element]:
        """Return the elements of a tag, with a class and attributes."""
        return [
            e
            for e in self.elements
            if e.tag == tag
            and (not css_class or css_class in e.attributes.get("class", "").split())
            and attributes.items() <= e.attributes.items()
        ]

    def texts(self, tag: str, css_class: str = "") -> list[str]:
        return [e.text for e in self.all(tag, css_class)]

    def addresses(self) -> list[str]:
        """Return every address that the page links to or loads."""
        names = ("href", "src", "srcset", "action")
        return [e.attributes[n] for e in self.elements for n in names if n in e.attributes]

    def fact(self, name: str) -> str:
        """Return the first value of a definition list under a name."""
        terms, values = self.all("dt"), self.all("dd")
        return next(v.text for t, v in zip(terms, values, strict=True) if t.text == name)


def external(html: str) -> list[str]:
    """Return addresses with a host; the names of XML namespaces are none."""
    found = re.findall(r"(?:https?:)?//[^\s\"'<>)]+", html)
    return [a for a in found if not a.startswith(("http://www.w3.org/", "https://www.w3.org/"))]
