"""What stands at the head of a page whose state is its address: the link it was opened with, presets, the
seed, reset, and the link to what is shown. Every page brings its prefix and its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from lflow.spec import Parameter, parameters
from lflow.ui import keys, share
from lflow.ui.controls import is_hidden, plain, remember_default, reset, set_control
from lflow.ui.presets import Preset
from lflow.ui.request import Cloud

SEED = next(p for p in parameters(Cloud) if p.name == "seed")


ARRIVED = "arrived"
"""The shell's word that this run is the first of a visit to the page."""


@dataclass(frozen=True)
class PageState:
    """A page whose controls live in the URL under keys that begin with `prefix`."""

    prefix: str
    known: Callable[[], Mapping[str, Parameter]]
    """The keys that a link may set, without the prefix."""
    changed: Callable[[], None]
    """What a preset and a reset undo besides the controls."""
    groups: tuple[str, ...]
    """What a link may hide."""

    def key(self, name: str) -> str:
        """The key of a control, in the session and in the URL."""
        return f"{self.prefix}_{name}"

    def follow_link(self, page: str) -> list[str]:
        """Take the link that the page was opened with; sentences about what of it cannot be used.

        A link may name an energy, sampler or rule as the library does. Streamlit keeps in the URL what a list
        shows, the title, and drops in silence what a widget does not take: so a link with names or mistakes
        is followed again to the same page, with titles and without them. What is left out is at its default.
        """
        pairs = ((name, st.query_params.get_all(name)) for name in st.query_params)
        arrived = keys.without(self.prefix, pairs)
        usable, refused = keys.check_link(arrived, self.known(), self.prefix)
        followed, is_first = f"{self.prefix}-followed", st.session_state.get(ARRIVED, False)
        if arrived and is_first:
            for name in self.known():
                st.session_state.pop(self.key(name), None)
        stage, of = st.session_state.pop(self._moving, ("", None))
        if of == usable and stage:
            self._move(stage, arrived, usable)
        elif usable != arrived:
            st.session_state[followed] = usable, refused
            if is_first:
                st.switch_page(page, query_params={self.key(name): value for name, value in usable.items()})
            st.session_state[self._moving] = "address", usable
            st.rerun()
        # What was refused is told of the address that it left, and of no other.
        address, told = st.session_state.get(followed, (None, []))
        return list(told) if address == usable else []

    @property
    def _moving(self) -> str:
        return f"{self.prefix}-moving"

    def _move(
        self, stage: str, arrived: Mapping[str, Sequence[str]], usable: Mapping[str, Sequence[str]]
    ) -> None:
        """Give the address and the controls of an open page what the address says to which Back has led.

        In the run of the move Streamlit goes by that address alone, so what is set counts from the next; and
        what a run writes into the address, widgets that are new to the page read in the run after it.
        """
        if stage == "address":
            for name in arrived:
                if arrived[name] != usable.get(name):
                    self._write(name, usable.get(name))
            st.session_state[self._moving] = "controls", usable
            st.rerun()
        drawn, known = st.session_state.get(f"{self.prefix}-defaults", {}), self.known()
        for name in known:
            if self.key(name) not in drawn:
                st.session_state.pop(self.key(name), None)
        reset(self.prefix, keep=())
        self.changed()
        for name, texts in usable.items():
            default, parsed = drawn.get(self.key(name)), [known[name].parse(text) for text in texts if text]
            if isinstance(default, list):
                st.session_state[self.key(name)] = parsed
            elif parsed and self.key(name) in drawn:
                st.session_state[self.key(name)] = parsed[-1]

    def _write(self, name: str, texts: Sequence[str] | None) -> None:
        """Put the value of a control that is hidden, or of none, into the address; None takes it out."""
        try:
            if texts is None:
                st.query_params.pop(self.key(name), None)
            else:
                st.query_params[self.key(name)] = texts
        except StreamlitAPIException:
            # Its widget is there, keeps the URL itself, and does so as soon as it is drawn with its value.
            return

    def head(self, page: str, title: str, question: str) -> DeltaGenerator:
        """Follow the link; title, question, and what of the link is refused. Gives the place for tools."""
        refused = self.follow_link(page)
        words, tools = st.columns([3, 2], vertical_alignment="bottom")
        words.title(title)
        words.caption(question)
        if refused:
            st.warning("\n\n".join(plain(sentence) for sentence in refused))
        return tools

    def is_hidden(self, name: str) -> bool:
        """Whether the link hides a control or a group."""
        return is_hidden(self.prefix, self.key(name))

    def preset_bar(self, presets: Iterable[Preset], defaults: Mapping[str, Any]) -> None:
        """A row of buttons: each sets every control but the seed. Not where a link fixes some of them."""
        if self.key("hide") in st.query_params:
            return
        with st.container(horizontal=True, gap="small"):
            for preset in presets:
                st.button(
                    preset.title,
                    key=f"{self.prefix}-preset-{preset.title}",
                    help=preset.question,
                    type="tertiary",
                    on_click=self._choose,
                    args=({**defaults, **preset.settings},),
                )

    def _choose(self, values: Mapping[str, Any]) -> None:
        self._reset()
        for name, value in values.items():
            set_control(self.key(name), value, keys.in_address(self.known()[name], value))

    def _reset(self) -> None:
        st.query_params.pop(self.key("drawing"), None)  # the one value that no widget keeps
        reset(self.prefix, keep=[self.key("seed")])
        self.changed()

    def _new_seed(self) -> None:
        st.session_state[self.key("seed")] = (st.session_state.get(self.key("seed"), 0) + 1) % 2**31

    def seed_and_tools(self, has_seed: bool = True) -> tuple[int, DeltaGenerator]:
        """The seed, a new one, reset; and the place for the link, known once all controls are drawn.

        has_seed: false where a seed would change nothing, and is not drawn.
        """
        with st.container(
            horizontal=True,
            horizontal_alignment="right",
            vertical_alignment="bottom",
            key="left-when-narrow",
        ):
            value = self.seed() if has_seed else SEED.default
            st.button("Reset", on_click=self._reset, help="Every control but the seed")
            place = self.link_place()
        return int(value), place

    def seed(self) -> int:
        """The seed and a new one."""
        remember_default(self.prefix, self.key("seed"), SEED.default)
        value = st.number_input(
            "Seed",
            int(SEED.low or 0),
            int(SEED.high or 0),
            SEED.default,
            1,
            key=self.key("seed"),
            bind="query-params",
            width=110,
            help=SEED.help,
        )
        st.button("New seed", on_click=self._new_seed)
        return int(value)

    def link_place(self) -> DeltaGenerator:
        """The button behind which the link is shown, once all controls are drawn."""
        with st.popover("Link"):
            return st.container()

    def show_link(self, place: DeltaGenerator) -> None:
        """The address of what is shown; for a class, one that hides controls."""
        with place:
            hidden = st.multiselect(
                "Hide from a class",
                self.groups,
                key=f"{self.prefix}-to-hide",
                help="The link shows the page without these controls; they keep the values of now.",
            )
            st.code(share.link(self.prefix, hidden), language=None)
