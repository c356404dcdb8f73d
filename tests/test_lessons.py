"""Lessons: every way to be malformed is named; what the shipped ones say is borne out by their runs."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lflow.ui.lessons import page
from lflow.ui.lessons.facts import FACTS, count, share
from lflow.ui.lessons.file import Lesson, read_folder, read_lesson
from lflow.ui.lessons.runs import Seen, labels_of, moments_of, see, with_seed
from lflow.ui.packing import pack
from lflow.ui.store import Store

LESSONS, REFUSED = read_folder(page.FOLDER, page.PAGES)
BY_NAME = {lesson.name: lesson for lesson in LESSONS}

GOOD = """
title: Small and large
question: How large may a step be?
order: 3
minutes: 4

## Look
At the width.

## Runs
- [small](particle-lab?lab_energy=gaussian&lab_h=0.1&lab_num_steps=40&lab_num_chains=200)
- [large](particle-lab?lab_energy=gaussian&lab_h=2.5&lab_num_steps=40&lab_num_chains=200)

## Predict
Which one?
- [ ] Both.
- [x] The small one.

## Answer
The variance is {small.variance}, at $\\frac{1.5}{2}$ of $x_{k}$; lost are {large.lost_share}.

## Expect
- small.variance < 3
- small.variance < 1.5 * large.variance

## Try
- [Halve it](particle-lab?lab_energy=gaussian&lab_h=0.05&lab_hide=energy): look again.
"""


def read(text: str) -> Lesson:
    return read_lesson("test", text, page.PAGES)


_SEEN = Store(20)


def seen(lesson: Lesson, seed: int = 0) -> Seen:
    return _SEEN.get(f"{lesson.name} {seed}", lambda: compute(lesson, seed))


def compute(lesson: Lesson, seed: int = 0) -> Seen:
    return see(with_seed(lesson.runs, seed), False, lambda share, said: None)


def test_reads_what_a_file_says() -> None:
    lesson = read(GOOD)
    assert (lesson.title, lesson.order, lesson.minutes) == ("Small and large", 3, 4)
    assert list(lesson.runs) == ["small", "large"]
    assert lesson.choices[lesson.right] == "The small one."
    assert lesson.facts_told == ["variance", "lost_share"]
    (way,) = lesson.ways
    assert (way.address, way.label, way.words) == ("particle-lab", "Halve it", "look again.")
    told = lesson.answer_with({"small": {"variance": 1.05}, "large": {"lost_share": 0.5}})
    assert told == "The variance is 1.05, at $\\frac{1.5}{2}$ of $x_{k}$; lost are 50%."


MALFORMED = {
    "an unknown line in the head": ("minutes: 4", "minutes: 4\ncolour: red", "its head has the line"),
    "a missing title": ("title: Small and large\n", "", "has no title"),
    "an order that is no number": ("order: 3", "order: soon", "order must be a number"),
    "an unknown section": ("## Look", "## Lok", "a section 'Lok'"),
    "a section twice": ("## Predict", "## Look\nagain\n\n## Predict", "two sections 'Look'"),
    "a missing section": ("## Look\nAt the width.\n", "", "no section 'Look'"),
    "a run that is no link": ("- [small](", "- small(", "Runs has the line"),
    "a run on no page": ("[small](particle-lab?", "[small](elsewhere?", "'elsewhere', which is not a page"),
    "a run with an unknown key": ("&lab_h=0.1&", "&lab_hh=0.1&", "cannot set 'hh'"),
    "a run out of bounds": ("&lab_h=0.1&", "&lab_h=-1&", "h must be between"),
    "another page's key": ("&lab_h=0.1&", "&race_seed=1&", "does not begin with lab_"),
    "a run without a proper name": ("- [small](", "- [Small 1](", "small letters"),
    "two runs of one name": ("- [large](", "- [small](", "two of its runs have one name"),
    "runs on two energies": ("[large](particle-lab?lab_energy=gaussian", "[large](particle-lab?", "energies"),
    "runs that end apart": ("h=2.5&lab_num_steps=40", "h=2.5&lab_num_steps=80", "end at different numbers"),
    "a race for a run": ("[small](particle-lab?", "[small](race?", "does not begin with race_"),
    "a run over the budget": (
        "lab_num_steps=40&lab_num_chains=200",
        "lab_num_steps=20000&lab_num_chains=50000",
        "times what a page may compute",
    ),
    "the flow over two runs": ("&lab_h=0.1&", "&lab_h=0.1&lab_flow=true&", "drawn over one run"),
    "no right choice": ("- [x]", "- [ ]", "marks 0 choices as right"),
    "two right choices": ("- [ ]", "- [x]", "marks 2 choices as right"),
    "a single choice": ("- [ ] Both.\n", "", "has 1 choices"),
    "no question to predict": ("Which one?\n", "", "is not a question and a list"),
    "an unknown fact": ("{small.variance}", "{small.colour}", "a fact 'colour'"),
    "an unknown run": ("{small.variance}", "{medium.variance}", "a run 'medium'"),
    "a path of attributes": ("{small.variance}", "{small.__class__}", "a fact '__class__'"),
    "a longer path": ("{small.variance}", "{small.variance.real}", "no placeholder"),
    "a stray brace": ("The variance is {", "The { variance is {", "no placeholder"),
    "an expectation that compares nothing": ("variance < 3", "variance is 3", "Expect has the line"),
    "an expectation of an unknown fact": ("- small.variance < 3", "- small.width < 3", "a fact 'width'"),
    "a way to nowhere": ("[Halve it](particle-lab?", "[Halve it](https://example.org/?", "is not a page"),
    "a way that sets something unknown": ("lab_hide=energy", "lab_hidden=energy", "cannot set 'hidden'"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_names_what_is_malformed(kind: str) -> None:
    old, new, said = MALFORMED[kind]
    assert old in GOOD
    with pytest.raises(ValueError, match=re.escape(said)):
        read(GOOD.replace(old, new))


def test_a_malformed_file_does_not_take_the_others_along(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text(GOOD)
    (tmp_path / "bad.md").write_text(GOOD.replace("- [x]", "- [ ]"))
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe\x00")
    lessons, refused = read_folder(tmp_path, page.PAGES)
    assert [lesson.name for lesson in lessons] == ["good"]
    assert [sentence.split(":")[0] for sentence in refused] == ["bad.md", "bytes.md"]
    assert "marks 0 choices as right" in refused[0]


def test_the_page_names_a_malformed_file_and_shows_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text(GOOD)
    (tmp_path / "bad.md").write_text(GOOD.replace("- [x]", "- [ ]"))
    script = (
        "from pathlib import Path\nfrom lflow.ui.lessons import page as lessons\n"
        f"lessons.show(__file__, Path({str(tmp_path)!r}))\n"
    )
    app = AppTest.from_string(script, default_timeout=60).run()
    assert not app.exception
    (warning,) = app.warning
    assert "bad\\.md" in warning.value
    assert "marks 0 choices as right" in warning.value
    assert app.header[0].value == "How large may a step be?"


def test_the_shipped_lessons_are_lessons() -> None:
    assert REFUSED == []
    assert len(LESSONS) >= 12
    assert len({lesson.order for lesson in LESSONS}) == len(LESSONS)
    hiding = [way for lesson in LESSONS for way in lesson.ways if any("_hide" in key for key in way.query)]
    assert len(hiding) >= 3
    # A step size that is left out has to be worked out from the energy before the page can open.
    assert [
        way
        for lesson in LESSONS
        for way in lesson.ways
        if way.address == "particle-lab" and "lab_h" not in way.query
    ] == []
    addresses = {way.address for lesson in LESSONS for way in lesson.ways}
    assert addresses == set(page.PAGES)


def test_a_way_to_a_page_of_views_opens_the_view_that_it_names() -> None:
    led = {
        way.label: way.query.get(f"{way.address}_view")
        for lesson in LESSONS
        for way in lesson.ways
        if way.address in ("anila", "convergence")
    }
    assert led == {
        "Cloud against flow": "flow",
        "The whole curve": "bias",
        "The last iterate": "last",
        "The law of each variant": "law",
        "Where ULA diverges": "edge",
    }


def test_conditions_that_are_not_derived_are_not_told() -> None:
    """Of the step, only what the lesson's own sum shows; and AniLA is called as on every other page."""
    words = " ".join(" ".join([lesson.look, lesson.answer, lesson.prompt]) for lesson in LESSONS)
    assert "infty" not in words
    assert "printed" not in words
    assert "No rate is claimed here." in words


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_short_and_its_numbers_bear_it_out(lesson: Lesson) -> None:
    assert len(lesson.look.split()) <= 150
    assert len(lesson.answer.split()) <= 200
    assert lesson.expectations
    runs = seen(lesson)
    unmet = [each.otherwise(runs.facts, labels_of(lesson.runs)) for each in lesson.expectations]
    assert [
        text for each, text in zip(lesson.expectations, unmet, strict=True) if not each.holds(runs.facts)
    ] == []
    for run, fact in re.findall(r"\{([a-z_]+)\.([a-z_]+)\}", lesson.answer):
        assert math.isfinite(runs.facts[run][fact]), (run, fact)
    panels = len(runs.scene.panels)
    assert panels == len(lesson.runs)
    assert {len(panel.captions) for panel in runs.scene.panels} == {len(moments_of(lesson.runs).counts)}
    assert len(pack(runs.scene)) < 6_000_000


def positions(lesson: Lesson, run: str) -> np.ndarray:
    """The last positions of a run, as the player has them before they are packed."""
    panel = seen(lesson).scene.panels[list(lesson.runs).index(run)]
    return np.asarray(panel.positions)[-1].astype(float)


def test_numbers_are_those_of_the_cloud() -> None:
    lesson = BY_NAME["step-too-large"]
    cloud = positions(lesson, "large")
    expected = np.var(cloud, axis=0, ddof=1).mean()
    facts = seen(lesson).facts
    assert facts["large"]["variance"] == pytest.approx(expected, rel=1e-5)
    assert f"the variance is {expected:.3g}" in lesson.answer_with(facts)
    # Four standard errors of the variance of 2,000 independent normals around ULA's closed form, 1/(1 - h/2).
    assert abs(expected - 2.0) < 4 * 2.0 * math.sqrt(2 / 2000)


def test_core_tail_and_modes_are_those_of_the_cloud() -> None:
    hole = BY_NAME["hole-at-the-mode"]
    radius = np.linalg.norm(positions(hole, "published"), axis=1)
    # |x|²/2 of a round Gaussian in the plane is exponential: its tenths lie at -log 0.9 and -log 0.1.
    facts = seen(hole).facts["published"]
    assert facts["core"] == pytest.approx((radius**2 / 2 < -math.log(0.9)).mean(), abs=0.005)
    assert facts["tail"] == pytest.approx((radius**2 / 2 > -math.log(0.1)).mean(), abs=0.01)
    # The law r·e^(-r²/2)·r of the published scheme leaves the core so much; four standard errors of 1,000.
    edge = math.sqrt(-2 * math.log(0.9))
    grid = (np.arange(20_000) + 0.5) * 8 / 20_000
    law = grid**2 * np.exp(-(grid**2) / 2)
    left = law[grid < edge].sum() / law.sum()
    assert left == pytest.approx(0.024, abs=0.0005)
    assert abs(facts["core"] - left) < 4 * math.sqrt(left * (1 - left) / 1000)
    trapped = BY_NAME["trapped"]
    right_side = (positions(trapped, "ula")[:, 0] > 0).mean()
    assert seen(trapped).facts["ula"]["wrong_mode"] == pytest.approx(0.5 - right_side, abs=0.01)


def test_what_comes_out_otherwise_is_said_with_its_numbers() -> None:
    lesson = read(GOOD)
    facts = {"small": {"variance": 3.5}, "large": {"variance": 2.0}}
    number, multiple = lesson.expectations
    labels = labels_of(lesson.runs)
    assert not number.holds(facts)
    assert not multiple.holds(facts)
    assert number.otherwise(facts, labels) == "the variance of ULA, h = 0.1 is 3.5, not below 3"
    assert multiple.otherwise(facts, labels).endswith(
        "is 3.5, not below 3 (1.5 times the variance of ULA, h = 2.5)"
    )
    assert not number.holds({"small": {}, "large": {}})  # what is not known bears out nothing


COUNTED = re.compile(r"([\d,]+) steps?, ([\d,]+) gradients?")


def counted(captions: Sequence[str]) -> np.ndarray:
    """The steps and the gradients that the captions of a panel tell, one row a frame."""
    found = [COUNTED.match(caption) for caption in captions]
    return np.array([[int(text.replace(",", "")) for text in match.groups()] for match in found if match])


@pytest.mark.parametrize("name", ["trapped", "gradient-better-spent"])
def test_runs_that_take_different_steps_are_shown_at_equal_gradients(name: str) -> None:
    lesson = BY_NAME[name]
    scene = seen(lesson).scene
    assert scene.step_word == "gradient"
    assert {facts["gradients"] for facts in seen(lesson).facts.values()} == {np.asarray(scene.steps)[-1]}
    for panel in scene.panels:
        # At the start, a sampler may already have paid for its first step; afterwards all have spent as much.
        assert counted(panel.captions)[1:, 1].tolist() == np.asarray(scene.steps)[1:].tolist()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_other_runs_are_shown_at_equal_steps(lesson: Lesson) -> None:
    scene = seen(lesson).scene
    if scene.step_word == "step" and len(scene.panels) > 1:
        for panel in scene.panels:
            assert counted(panel.captions)[:, 0].tolist() == np.asarray(scene.steps).tolist()


def test_gradients_before_the_first_step_count_towards_equal_ends() -> None:
    small = "[small](particle-lab?lab_energy=gaussian&lab_h=0.1&"
    with pytest.raises(ValueError, match="end at different numbers of steps and of gradients"):
        read(GOOD.replace(small + "lab_num_steps=40", small + "lab_sampler=rmm&lab_num_steps=21"))
    lesson = read(GOOD.replace(small + "lab_num_steps=40", small + "lab_sampler=ormm&lab_num_steps=39"))
    assert moments_of(lesson.runs).counts.tolist() == list(range(41))


def test_a_sampler_that_keeps_to_a_box_has_no_target() -> None:
    text = GOOD.replace("lab_h=0.1&", "lab_h=0.1&lab_sampler=mirror&lab_mirror_domain=simplex&")
    runs = seen(read(text))
    box, free = runs.scene.panels
    assert box.density is None
    assert "Distance" not in box.captions[-1]
    assert "Distance" in free.captions[-1]
    assert "distance" not in runs.facts["small"]
    assert {series.panel for series in runs.scene.metrics[0].series} == {1}


@pytest.mark.parametrize(("name", "last"), [("what-flows", "the exact flow"), ("too-steep", "the picture")])
def test_a_long_stretch_is_announced(name: str, last: str) -> None:
    lesson, reports = BY_NAME[name], []
    see(lesson.runs, lesson.with_flow, lambda share, said: reports.append((share, said)))
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    assert reports[-1][1].startswith(last)


def test_another_seed_gives_other_numbers() -> None:
    lesson = BY_NAME["accept-step"]
    first, again, other = (compute(lesson, seed).facts["ula"]["variance"] for seed in (0, 0, 1))
    assert first == again != other


def test_the_page_opens_on_what_is_shipped() -> None:
    lesson = LESSONS[0]
    shipped = page.opening()
    assert shipped is not None
    key, (payload, facts) = shipped
    assert key == page.run_key(lesson, 0)
    now = see(with_seed(lesson.runs, 0), lesson.with_flow, lambda share, said: None)
    for name, value in now.facts["cloud"].items():
        assert facts["cloud"][name] == pytest.approx(value, rel=1e-3), name
    assert header(payload).keys() == header(pack(now.scene)).keys()


def header(payload: bytes) -> dict[str, object]:
    size = int.from_bytes(payload[4:8], "little")
    found: dict[str, object] = json.loads(payload[8 : 8 + size])
    return found


def test_numbers_are_written_as_people_write_them() -> None:
    assert [share(value) for value in (0.0, 0.024, 0.1, 0.356, math.nan)] == [
        "0%",
        "2.4%",
        "10%",
        "36%",
        "not finite",
    ]
    assert [count(value) for value in (1200.0, math.inf)] == ["1,200", "never"]
    assert all(fact.words[0].islower() for fact in FACTS.values())
