"""The frame around every page: title, navigation, and nothing else.

Streamlit runs this file as a script. It must stay away from `pages/`: beside a script that calls
`st.navigation`, a folder of that name makes a fresh server run a page on its own, without this frame.
It knows the pages' files, titles and addresses, and nothing of what they show.
"""

import streamlit as st

from lflow import paths

# (file in pages/, title in the navigation, address). The first page is the one at "/".
PAGES = (
    ("home.py", "Home", ""),
    ("particle_lab.py", "Particle lab", "particle-lab"),
    ("race.py", "Race", "race"),
    ("convergence.py", "Convergence", "convergence"),
    ("anila.py", "AniLA", "anila"),
    ("lessons.py", "Lessons", "lessons"),
    ("images.py", "Images", "images"),
    ("train.py", "Train", "train"),
)

# What no theme setting can say. On a narrow screen the picture comes before its controls and is as wide,
# what stands at the right of a title begins at the left under it, and a link is read to its end. Streamlit's
# own running sign has a button that would end a run halfway and leave its pieces: a page has its own Stop.
STYLE = """<style>
@media (max-width: 640px) {
  .st-key-picture-first-when-narrow > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-direction: column-reverse;
  }
  .st-key-picture-first-when-narrow > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
    width: 100%;
  }
  .st-key-left-when-narrow { justify-content: flex-start; }
  [data-testid="stPageLink-NavLink"] * { white-space: normal; }
}
[data-testid="stStatusWidget"] { display: none; }
[data-testid="stLayoutWrapper"]:has(> .st-key-history) { display: none; }
</style>"""


def main() -> None:
    """Draw the frame and run the page that the address names."""
    page = st.navigation(
        [
            st.Page(paths.pages_dir() / file, title=title, url_path=address or None, default=address == "")
            for file, title, address in PAGES
        ],
        position="top",
    )
    st.set_page_config(
        page_title=f"{page.title} · lflow",
        page_icon=str(paths.static_dir() / "icon.svg"),
        layout="wide",
        # An entry of our own is what makes the menu, and with it the light and dark switch, appear.
        menu_items={"About": "**lflow**: an interactive lab over Langevin dynamics."},
    )
    st.html(STYLE)
    with st.container(key="history"):
        script = (paths.static_dir() / "history.js").read_text(encoding="utf-8")
        st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)
    st.session_state["arrived"] = st.session_state.get("page") != page.url_path
    st.session_state["page"] = page.url_path
    page.run()


if __name__ == "__main__":
    main()
