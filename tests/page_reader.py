"""Reads a page as a browser would: its numbers, its links, its tags."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "path", "rect", "circle", "polygon", "polyline", "link", "img", "hr"}


@dataclass
class Number:
    fact: str
    key: str
    value: float | None
    trials: str
    source: str
    text: str = ""


@dataclass
class Page(HTMLParser):
    """The tags in order, what they say, and every number that carries data."""

    numbers: list[Number] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    shape: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)  # text outside of any number
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)  # of trials, by the id of their element

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, str]] = []
        self._number: Number | None = None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)
        told = dict(attrs)
        if tag not in VOID:
            self._open.append((tag, told.get("class") or ""))
        if "data-fact" in told:
            value = told.get("data-value")
            self._number = Number(
                told["data-fact"] or "", told.get("data-key") or "",
                None if value is None else float(value),
                told.get("data-trials") or "", told.get("data-source") or "",
            )  # fmt: skip
            self.numbers.append(self._number)

    def _seen(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
                if "data-list" in dict(attrs):
                    self.lists[value or ""] = dict(attrs)["data-list"] or ""
            if name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._number = None
        if tag in VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            self.problems.append(f"</{tag}> in {self._open[-3:]}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._number is not None:
            self._number.text += data
        elif self.is_prose:
            self.loose.append(data)

    @property
    def is_prose(self) -> bool:
        """Whether what is read here is the page's own sentence, neither code nor a quotation."""
        tags = {tag for tag, _ in self._open}
        classes = {name for _, classes in self._open for name in classes.split()}
        hidden = {"style", "script", "code", "pre", "svg", "title"}
        quoted = {"doubts", "doubt", "next", "trials", "plot", "lineage", "quote", "quoted"}
        return not (tags & hidden or classes & quoted)

    @property
    def is_whole(self) -> bool:
        return not self._open


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page
