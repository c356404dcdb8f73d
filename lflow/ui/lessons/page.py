"""The lessons' page: the list, the open lesson with its picture, the prediction, and the answer.

What a lesson says comes from its file, every number from the runs that the reader sees. The address holds
the lesson and the seed, and not the prediction: that is the reader's own, and a link must not give it away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from lflow.paths import assets_dir, pages_dir
from lflow.spec import Parameter
from lflow.ui import link, shell
from lflow.ui.anila import keys as anila_keys
from lflow.ui.controls import plain, set_control
from lflow.ui.convergence import page as convergence
from lflow.ui.lessons.facts import FACTS, Facts
from lflow.ui.lessons.file import Lesson, Link, Page, read_folder
from lflow.ui.lessons.runs import labels_of, see, with_seed
from lflow.ui.packing import pack
from lflow.ui.racing import Report
from lflow.ui.stage import Stage
from lflow.ui.store import Store
from lflow.ui.tools import ARRIVED, SEED, PageState

PREFIX = "lessons"
FOLDER = assets_dir() / "lessons"
PAGES = {
    "particle-lab": Page("lab", link.lab_request),
    "race": Page("race", link.race_request),
    "convergence": Page("convergence", lambda settings: link.settled(settings, convergence.known())),
    "anila": Page("anila", lambda settings: link.settled(settings, anila_keys.known_keys())),
}
"""Where a lesson may lead, by the address."""
_LESSON = f"{PREFIX}_lesson"
STAGE = Stage(PREFIX)
_ANSWERS = f"{PREFIX}-answers"
_QUIET = 0.1  # seconds: the flow and the picture may take one or two, and report only that they begin
Shown = tuple[bytes, dict[str, Facts]]


@st.cache_resource(max_entries=4)
def lessons_of(folder: Path, written: Sequence[tuple[str, int]]) -> tuple[list[Lesson], list[str]]:
    """The lessons of a folder whose files were `written` then, and what is wrong with the others."""
    del written  # a part of the cache's key: a file that has changed is read again
    return read_folder(folder, PAGES)


def lessons_and_refused(folder: Path) -> tuple[list[Lesson], list[str]]:
    """The lessons as they are in the folder now."""
    return lessons_of(folder, [(file.name, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.md"))])


@st.cache_resource
def _shown() -> Store:
    return Store(24)


def show(page: str, folder: Path = FOLDER) -> None:
    """The page, whose script is the file `page`; `folder` holds the lessons."""
    st.html(STYLE)
    lessons, malformed = lessons_and_refused(folder)
    head, tools = st.columns([3, 2], vertical_alignment="bottom")
    head.title("Lessons")
    head.caption("What do you expect? Say so first; then read the answer off the particles.")
    if lessons:
        lesson, refused = open_lesson(lessons, page)
        with tools:
            seed = seed_control(lessons)
        if refused:
            st.warning("\n\n".join(plain(sentence) for sentence in refused))
        with st.container(key="picture-first-when-narrow"):
            listed, opened = st.columns([1, 3.2], gap="medium")
        with listed:
            contents(lessons, lesson)
        with opened:
            show_lesson(lesson, lessons.index(lesson) + 1, seed)
            neighbours(lessons, lesson)
    st.caption(FOR_TEACHERS)
    for sentence in malformed:
        st.warning(f"A file is no lesson. {plain(sentence)}")


def _state(lessons: Sequence[Lesson]) -> PageState:
    names = tuple(lesson.name for lesson in lessons)
    known = {"lesson": Parameter("lesson", names[0], choices=names), "seed": SEED}
    return PageState(PREFIX, lambda: known, lambda: None, ())


def open_lesson(lessons: Sequence[Lesson], page: str) -> tuple[Lesson, list[str]]:
    """The lesson that the address names, or the first; what a link got wrong.

    Who comes back to the page finds the lesson that was last open.
    """
    refused = _state(lessons).follow_link(page)
    names = [lesson.name for lesson in lessons]
    last = st.session_state.get(_LESSON) if st.session_state.get(ARRIVED, True) else None
    name = st.query_params.get(_LESSON) or last
    place = names.index(name) if name in names else 0
    if st.query_params.get(_LESSON, names[0]) != names[place]:
        st.query_params[_LESSON] = names[place]
    st.session_state[_LESSON] = names[place]
    return lessons[place], refused


def seed_control(lessons: Sequence[Lesson]) -> int:
    """The seed and a new one."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="bottom"):
        return _state(lessons).seed()


def contents(lessons: Sequence[Lesson], current: Lesson) -> None:
    """The list of lessons, each with its question."""
    with st.container(key="lesson-list", gap=None):
        for number, lesson in enumerate(lessons, 1):
            done = ":material/check: " if lesson.name in _answers() else ""
            st.button(
                f"{done}{number}\\. {plain(lesson.title)}",
                key=f"{PREFIX}-open-{lesson.name}",
                help=plain(lesson.question),
                type="secondary" if lesson is current else "tertiary",
                width="stretch",
                on_click=set_control,
                args=(_LESSON, lesson.name),
            )


def show_lesson(lesson: Lesson, number: int, seed: int) -> None:
    """One lesson: question, prediction, picture, answer. Who has seen the picture no longer predicts."""
    st.header(plain(lesson.question), anchor=False)
    st.caption(f"Lesson {number}: {plain(lesson.title.lower())}. About {lesson.minutes} minutes.")
    st.markdown(lesson.look)
    chosen = _predict(lesson)
    shown = _find(lesson, seed)
    if shown is None:
        return
    payload, facts = shown
    STAGE.play(payload)
    if lesson.name in _answers():
        _answer(lesson, facts)
    else:
        _ask_for_the_answer(lesson, chosen)


def _answers() -> dict[str, int]:
    """The predictions to which the reader has seen the answer, by lesson."""
    answers: dict[str, int] = st.session_state.setdefault(_ANSWERS, {})
    return answers


def _find(lesson: Lesson, seed: int) -> Shown | None:
    """The picture and the facts: shipped, kept, or computed now; None where the reader stopped it."""
    key, store = run_key(lesson, seed), _shown()
    shipped = opening()
    if shipped is not None and shipped[0] == key:
        return shipped[1]
    notice = st.empty()
    if key not in store and STAGE.was_stopped(notice, key):
        return None
    report = STAGE.progress(notice, key, _QUIET)
    shown = store.get(key, lambda: _compute(lesson, seed, report))
    notice.empty()
    return shown


def run_key(lesson: Lesson, seed: int) -> str:
    """Names what a lesson shows at a seed."""
    runs = with_seed(lesson.runs, seed)
    return json.dumps([lesson.with_flow, *([name, request.key] for name, request in runs.items())])


def _compute(lesson: Lesson, seed: int, report: Report) -> Shown:
    seen = see(with_seed(lesson.runs, seed), lesson.with_flow, report)
    return pack(seen.scene), seen.facts


def _predict(lesson: Lesson) -> int | None:
    """The place of the choice that the reader predicts; settled once the answer was seen."""
    given = _answers().get(lesson.name)
    chosen: int | None = st.radio(
        f"**Your prediction.** {lesson.prompt}",
        range(len(lesson.choices)),
        index=given,
        format_func=lambda place: lesson.choices[place],
        key=f"{PREFIX}-choice-{lesson.name}",
        disabled=given is not None,
    )
    return chosen


def _ask_for_the_answer(lesson: Lesson, chosen: int | None) -> None:
    def commit() -> None:
        if chosen is not None:
            _answers()[lesson.name] = chosen

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Show the answer", type="primary", disabled=chosen is None, on_click=commit)
        if chosen is None:
            st.caption("Predict first, above the picture: you learn from what you did not expect.")


def _answer(lesson: Lesson, facts: dict[str, Facts]) -> None:
    given, right = _answers()[lesson.name], lesson.choices[lesson.right]
    labels = labels_of(lesson.runs)
    st.subheader("The answer", anchor=False)
    if given == lesson.right:
        st.success(f"As you predicted: {right}", icon=":material/check:")
    else:
        st.info(f"Not as you predicted. The answer: {right}", icon=":material/lightbulb:")
    failed = [each for each in lesson.expectations if not each.holds(facts)]
    if failed:
        came = "; ".join(each.otherwise(facts, labels) for each in failed)
        st.warning(f"With this seed it came out otherwise: {plain(came)}.")
    with st.container(key="lesson-numbers"):
        st.markdown(_table(lesson, facts, labels))
    st.markdown(lesson.answer_with(facts))
    st.markdown("**Try it**")
    for way in lesson.ways:
        _way(way)
    if lesson.read_on:
        st.caption(lesson.read_on)


def _table(lesson: Lesson, facts: dict[str, Facts], labels: dict[str, str]) -> str:
    """The facts that the answer tells, of all runs."""
    lines = [
        "|".join(["", "At the end", *(plain(labels[run]) for run in facts), ""]),
        "|".join(["", "---", *("---:" for _ in facts), ""]),
    ]
    for name in lesson.facts_told:
        words, write = FACTS[name]
        cells = [write(own[name]) if name in own else "–" for own in facts.values()]
        lines.append("|".join(["", words, *cells, ""]))
    return "\n".join(lines)


def _way(way: Link) -> None:
    files = {address: file for file, _, address in shell.PAGES}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        page = str(pages_dir() / files[way.address])
        st.page_link(page, label=way.label, icon=":material/arrow_forward:", query_params=way.query)
        if way.words:
            st.caption(way.words, width="content")


def neighbours(lessons: Sequence[Lesson], current: Lesson) -> None:
    """The ways to the lessons before and after this one."""
    place = lessons.index(current)
    columns = st.columns(2)
    ways = ((-1, "Previous", "arrow_back", "left"), (1, "Next", "arrow_forward", "right"))
    for column, (step, label, icon, side) in zip(columns, ways, strict=True):
        if not 0 <= place + step < len(lessons):
            continue
        other = lessons[place + step]
        with column.container(horizontal=True, horizontal_alignment=side):  # type: ignore[arg-type]
            st.button(
                f"{label}: {plain(other.title.lower())}",
                key=f"{PREFIX}-{label.lower()}",
                icon=f":material/{icon}:",
                on_click=set_control,
                args=(_LESSON, other.name),
            )


# What no argument says: a list reads from the left, and a wide table scrolls within itself.
STYLE = """<style>
.st-key-lesson-list button > div { justify-content: flex-start; text-align: left; }
.st-key-lesson-numbers [data-testid="stMarkdown"] { overflow-x: auto; }
</style>"""

FOR_TEACHERS = (
    "For a class: set the particle lab or the race as you want it, press Link there, and choose what to "
    "hide; the link that you get (with `_hide=` and the names of controls) shows the page without them. "
    "A lesson is one Markdown file in `assets/lessons`; its runs and its ways out are such links."
)


def opening() -> tuple[str, Shown] | None:
    """What the page opens on, shipped: the first lesson's key, picture and facts."""
    file = FOLDER / "opening.json"
    return _read_opening(file.stat().st_mtime_ns) if file.is_file() else None


@st.cache_resource(max_entries=1)
def _read_opening(written: int) -> tuple[str, Shown]:
    del written
    kept = json.loads((FOLDER / "opening.json").read_text(encoding="utf-8"))
    return kept["key"], ((FOLDER / "opening.lfp").read_bytes(), kept["facts"])


def build() -> None:
    """Compute and write what the page opens on."""
    lessons, _ = read_folder(FOLDER, PAGES)
    payload, facts = _compute(lessons[0], SEED.default, lambda share, said: None)
    (FOLDER / "opening.lfp").write_bytes(payload)
    kept = {"key": run_key(lessons[0], SEED.default), "facts": facts}
    (FOLDER / "opening.json").write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")
