"""Words for what a reader does on a page with a player: open the lab, set a control, wait for a new cloud.

Nothing here sleeps: every wait is for something that the page says of itself (the player's data- attributes,
the state of the script). It knows the pages' widgets, and asserts nothing.
"""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, TimeoutError, expect

# Playwright's locators look into open shadow roots; a script in the page has to go there itself.
_PLAYER = """
    const find = (root) => root.querySelector("[data-testid=player]")
        ?? [...root.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
            .map((host) => host.shadowRoot && find(host.shadowRoot)).find(Boolean);
    const player = find(document);
"""


class Lab(NamedTuple):
    """A page that shows a player, mostly the particle lab."""

    page: Page
    prefix: str = "lab"
    address: str = "particle-lab"

    def open(self, url: str, **settings: Any) -> "Lab":
        """Open the page with these settings in the address, and wait until it plays or refuses."""
        query = urlencode({f"{self.prefix}_{name}": value for name, value in settings.items()})
        self.page.goto(f"{url}/{self.address}?{query}")
        self.wait_until_run()
        return self

    def wait_until_run(self) -> None:
        """Wait until the script has come to its end."""
        state = self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
        expect(state).to_be_visible()

    @property
    def player(self) -> Locator:
        return self.page.get_by_test_id("player")

    @property
    def alerts(self) -> Locator:
        return self.page.get_by_test_id("stAlert")

    @property
    def counter(self) -> Locator:
        return self.page.get_by_test_id("counter")

    def says(self, name: str) -> str:
        """A data- attribute of the player."""
        self.player.wait_for()
        self.wait_for("player?.dataset.id")
        return self.player.get_attribute(f"data-{name}") or ""

    def wait_for(self, condition: str, argument: Any = None) -> None:
        """Wait until a condition on `player` (its element, or null) and `argument` holds in the page."""
        self.page.wait_for_function(f"(argument) => {{ {_PLAYER} return {condition}; }}", arg=argument)

    def wait_for_new(self, old_id: str) -> str:
        """Wait for a cloud other than the one named, drawn; its name."""
        self.wait_for("player && player.dataset.id !== argument && player.dataset.frame", old_id)
        self.wait_until_run()
        return self.says("id")

    def wait_for_id(self, wanted: str) -> None:
        """Wait until the player shows the cloud named."""
        self.wait_for("player?.dataset.id === argument", wanted)

    def control(self, name: str) -> Locator:
        """The field of a control, by its name in the address."""
        return self.page.locator(f".st-key-{self.prefix}_{name} input").first

    def enter(self, name: str, value: object) -> None:
        """Type a value into a field and press Enter."""
        self.control(name).fill(str(value))
        self.control(name).press("Enter")

    def choose(self, name: str, title: str) -> None:
        """Choose an entry of a list by what it shows. A run that ends closes an open list: open it again."""
        entry = self.page.get_by_role("option", name=title, exact=True)
        for attempt in range(4):
            self.control(name).click()
            self.page.keyboard.type(title)  # a long list holds only what is in view
            try:
                return entry.click(timeout=5000)
            except TimeoutError:
                if attempt == 3:
                    raise

    def press(self, label: str) -> None:
        """Press a button of the page (not one of Streamlit's header)."""
        self.page.get_by_test_id("stMain").get_by_role("button", name=label).click()

    def pause(self, frame: str = "Home") -> None:
        """Put the player to rest at its first (or last) frame."""
        self.player.focus()
        self.page.keyboard.press(frame)
        expect(self.player).to_have_attribute("data-playing", "false")
