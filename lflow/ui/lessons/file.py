"""The format of a lesson, one Markdown file, and its reader. A malformed file is a ValueError that says why.

    title: Step too large
    question: How large may a step be?
    order: 2
    minutes: 5

    ## Look
    What to look at.

    ## Runs
    - [small](particle-lab?lab_energy=gaussian&lab_h=0.1): a run is a link to the lab, by a name

    ## Predict
    What will happen?
    - [ ] a choice
    - [x] the right one

    ## Answer
    The variance is {small.variance}: a placeholder is {run.fact}, filled in from the run that was seen.

    ## Expect
    - small.variance < 1.2

    ## Try
    - [Half the step](particle-lab?lab_energy=gaussian&lab_h=0.05): what to see there

    ## Read on
    Where it is from.

Runs, links and placeholders are checked by the declarations that check a page's address. Nothing in a file is
evaluated. This module knows neither Streamlit nor what a run looks like.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from lflow.spec import Parameter
from lflow.ui.lessons.facts import FACTS, Facts
from lflow.ui.lessons.runs import check_runs
from lflow.ui.request import Request

HEAD = {
    "title": Parameter("title", "", high=40),
    "question": Parameter("question", "", high=120),
    "order": Parameter("order", 1, 1, 1000),
    "minutes": Parameter("minutes", 5, 1, 120),
}
REQUIRED = ("Look", "Runs", "Predict", "Answer", "Try")
SECTIONS = (*REQUIRED, "Expect", "Read on")
CHOICES = range(2, 6)
_LINK = re.compile(r"- \[([^\]]+)\]\(([^()\s]+)\)(?:: (.+))?")
_CHOICE = re.compile(r"- \[([ x])\] (.+)")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\.([a-z_]+)\}")
_MATHS = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.DOTALL)
_TERM = r"([a-z][a-z_]*)\.([a-z_]+)"
_EXPECTATION = re.compile(rf"- {_TERM} ([<>]) (?:([0-9.e+-]+)|(?:([0-9.]+) \* )?{_TERM})")
_COMPARE: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}

Reader = Callable[[Mapping[str, str]], Any]
"""Makes of an address's settings (keys without the page's prefix) what the page shows; or a ValueError."""


class Page(NamedTuple):
    """A page that a lesson may lead to: the prefix of its keys, and their reader."""

    prefix: str
    read: Reader


class Link(NamedTuple):
    """A way into a page: the address of the page, its query, what the link is called, what to do there."""

    address: str
    query: dict[str, str]
    label: str
    words: str


@dataclass(frozen=True)
class Expectation:
    """What a lesson's words rely on: a fact of a run is below or above a number, or so many of another."""

    run: str
    fact: str
    relation: str
    number: float
    other: tuple[str, str] | None = None
    """The run and the fact that `number` multiplies."""

    def bound(self, facts: Mapping[str, Facts]) -> float:
        """What the fact is compared with."""
        return self.number * _value(facts, *self.other) if self.other else self.number

    def holds(self, facts: Mapping[str, Facts]) -> bool:
        """Whether it came out so; a fact that the run does not have bears out nothing."""
        return _COMPARE[self.relation](_value(facts, self.run, self.fact), self.bound(facts))

    def otherwise(self, facts: Mapping[str, Facts], labels: Mapping[str, str]) -> str:
        """What came out instead, as part of a sentence."""
        words, write = FACTS[self.fact]
        than = {"<": "below", ">": "above"}[self.relation]
        found, bound = write(_value(facts, self.run, self.fact)), write(self.bound(facts))
        times = "" if self.number == 1 else f"{self.number:g} times "
        of = f" ({times}the {FACTS[self.other[1]].words} of {labels[self.other[0]]})" if self.other else ""
        return f"the {words} of {labels[self.run]} is {found}, not {than} {bound}{of}"


@dataclass(frozen=True)
class Lesson:
    """One lesson, as its file says, checked."""

    name: str
    title: str
    question: str
    order: int
    minutes: int
    look: str
    runs: dict[str, Request]
    """By the names that the lesson's words have for them."""
    with_flow: bool
    prompt: str
    choices: tuple[str, ...]
    right: int
    answer: str
    expectations: tuple[Expectation, ...]
    ways: tuple[Link, ...]
    read_on: str

    @property
    def facts_told(self) -> list[str]:
        """The names of the facts that the answer mentions, in their order there."""
        return list(dict.fromkeys(fact for _, fact in _PLACEHOLDER.findall(self.answer)))

    def answer_with(self, facts: Mapping[str, Facts]) -> str:
        """The answer, with the numbers of these runs."""

        def written(found: re.Match[str]) -> str:
            return FACTS[found[2]].write(_value(facts, found[1], found[2]))

        return _PLACEHOLDER.sub(written, self.answer)


def _value(facts: Mapping[str, Facts], run: str, fact: str) -> float:
    return facts[run].get(fact, float("nan"))


def read_folder(folder: Path, pages: Mapping[str, Page]) -> tuple[list[Lesson], list[str]]:
    """The lessons of a folder in their order, and a sentence about each file that is none."""
    lessons, refused = [], []
    for file in sorted(folder.glob("*.md")):
        try:
            lessons.append(read_lesson(file.stem, file.read_text(encoding="utf-8"), pages))
        except ValueError as error:
            refused.append(f"{file.name}: {error}.")
    return sorted(lessons, key=lambda lesson: (lesson.order, lesson.name)), refused


def read_lesson(name: str, text: str, pages: Mapping[str, Page]) -> Lesson:
    """The lesson that a text describes; ValueError says what is wrong with it."""
    head, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = _sections(parts)
    links = {link.label: link for link in _links(sections["Runs"], "Runs", pages)}
    with_flow = any(link.query.get("lab_flow", "").lower() == "true" for link in links.values())
    runs = _runs(links, sections["Runs"], pages)
    check_runs(runs, with_flow)
    prompt, choices, right = _prediction(sections["Predict"])
    _check_placeholders(sections["Answer"], set(runs))
    return Lesson(
        name=name,
        **_head(head),
        look=sections["Look"],
        runs=runs,
        with_flow=with_flow,
        prompt=prompt,
        choices=choices,
        right=right,
        answer=sections["Answer"],
        expectations=_expectations(sections.get("Expect", ""), set(runs)),
        ways=tuple(_links(sections["Try"], "Try", pages)),
        read_on=sections.get("Read on", ""),
    )


def _head(text: str) -> dict[str, Any]:
    values = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key, colon, value = (part.strip() for part in line.partition(":"))
        if key not in HEAD or not colon or key in values:
            raise ValueError(f"its head has the line {line[:40]!r}; known once each are {', '.join(HEAD)}")
        values[key] = HEAD[key].parse(value)
    for key in HEAD:
        if not values.get(key):
            raise ValueError(f"its head has no {key}")
    return values


def _sections(parts: list[str]) -> dict[str, str]:
    sections: dict[str, str] = {}
    for title, text in zip(map(str.strip, parts[::2]), map(str.strip, parts[1::2]), strict=True):
        if title not in SECTIONS:
            raise ValueError(f"it has a section {title[:40]!r}; known are {', '.join(SECTIONS)}")
        if title in sections:
            raise ValueError(f"it has two sections {title!r}")
        sections[title] = text
    for title in REQUIRED:
        if not sections.get(title):
            raise ValueError(f"it has no section {title!r}, or an empty one")
    return sections


def _links(text: str, section: str, pages: Mapping[str, Page]) -> list[Link]:
    links = []
    for line in text.splitlines():
        found = _LINK.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{section} has the line {line[:40]!r}, which is not - [name](page?settings)")
        label, target, words = found.groups()
        address = urlsplit(target)
        page = address.path.strip("/")
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        if page not in pages:
            raise ValueError(f"the link {label!r} leads to {page[:40]!r}, which is not a page")
        try:
            pages[page].read(_without(pages[page].prefix, query))
        except ValueError as error:
            raise ValueError(f"the link {label!r} cannot be followed: {error}") from error
        links.append(Link(page, query, label, words or ""))
    return links


def _without(prefix: str, query: Mapping[str, str]) -> dict[str, str]:
    for key in query:
        if not key.startswith(f"{prefix}_"):
            raise ValueError(f"{key[:40]!r} does not begin with {prefix}_")
    return {key.removeprefix(f"{prefix}_"): value for key, value in query.items()}


def _runs(links: Mapping[str, Link], text: str, pages: Mapping[str, Page]) -> dict[str, Request]:
    if len(links) < len(text.splitlines()):
        raise ValueError("two of its runs have one name")
    runs = {}
    for name, link in links.items():
        if not re.fullmatch("[a-z][a-z_]*", name):
            raise ValueError(f"the run {name[:40]!r} is not named by small letters alone")
        request = pages[link.address].read(_without(pages[link.address].prefix, link.query))
        if not isinstance(request, Request):
            raise ValueError(f"the run {name!r} is not a link to the particle lab")
        runs[name] = request
    return runs


def _prediction(text: str) -> tuple[str, tuple[str, ...], int]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    choices = [found for line in lines if (found := _CHOICE.fullmatch(line))]
    prompt = [line for line in lines if not line.startswith("- ")]
    if not prompt or len(prompt) + len(choices) < len(lines):
        raise ValueError("Predict is not a question and a list of choices, - [ ] and - [x]")
    if len(choices) not in CHOICES:
        raise ValueError(f"Predict has {len(choices)} choices, not {CHOICES[0]} to {CHOICES[-1]}")
    right = [k for k, choice in enumerate(choices) if choice[1] == "x"]
    if len(right) != 1:
        raise ValueError(f"Predict marks {len(right)} choices as right, - [x], and not one")
    texts = tuple(choice[2] for choice in choices)
    if len(set(texts)) < len(texts):
        raise ValueError("Predict has one choice twice")
    return " ".join(prompt), texts, right[0]


def _check_placeholders(text: str, runs: set[str]) -> None:
    for run, fact in _PLACEHOLDER.findall(text):
        _check_name(run, fact, runs)
    rest = re.search(r"[{}][^{}\n]*", _MATHS.sub("", _PLACEHOLDER.sub("", text)))
    if rest:
        raise ValueError(f"Answer has a brace at {rest[0][:40]!r} that is no placeholder {{run.fact}}")


def _check_name(run: str, fact: str, runs: set[str]) -> None:
    if run not in runs:
        raise ValueError(f"it tells of a run {run[:40]!r}; its runs are {', '.join(sorted(runs))}")
    if fact not in FACTS:
        raise ValueError(f"it tells of a fact {fact[:40]!r}; known are {', '.join(FACTS)}")


def _expectations(text: str, runs: set[str]) -> tuple[Expectation, ...]:
    expectations = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _EXPECTATION.fullmatch(line)
        if found is None:
            raise ValueError(
                f"Expect has the line {line[:40]!r}, which is not - run.fact < number or run.fact"
            )
        run, fact, relation, number, times, other_run, other_fact = found.groups()
        _check_name(run, fact, runs)
        if other_run:
            _check_name(other_run, other_fact, runs)
        other = (other_run, other_fact) if other_run else None
        expectations.append(Expectation(run, fact, relation, float(number or times or 1), other))
    return tuple(expectations)
