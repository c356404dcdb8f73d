"""Several panels in a real browser: one clock for all, and one particle or image marked in all of them."""

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import Server
from tests.lab_page import Lab

pytestmark = pytest.mark.browser

# Read in one turn of the page's own clock: between two turns nothing is drawn.
PICTURES = """player => [
    player.dataset.frame,
    [...player.querySelectorAll("canvas.cloud")].map(canvas => canvas.toDataURL()),
    [...player.querySelectorAll(".panel .caption")].map(caption => caption.textContent),
]"""


def opened(page: Page, scenes: Server, panels: int) -> Lab:
    page.goto(f"{scenes.url}/?panels={panels}")
    lab = Lab(page)
    lab.wait_until_run()
    lab.says("id")
    return lab


def in_lockstep(lab: Lab, panels: int) -> str:
    """Check that all panels show the same frame, by their pixels and by their words; a picture of it."""
    frame, pictures, captions = lab.player.evaluate(PICTURES)
    assert len(pictures) == panels
    assert len(set(pictures)) == 1, frame
    assert [caption.split(" at ")[1] for caption in captions] == [f"frame {frame}"] * panels
    return str(pictures[0])


@pytest.mark.parametrize("panels", [2, 4])
def test_panels_share_one_clock(page: Page, scenes: Server, page_errors: list[str], panels: int) -> None:
    lab = opened(page, scenes, panels)
    seen = set()
    for speed, frame in (("1", 3), ("4", 12), ("2", 20)):
        page.get_by_test_id("speed").select_option(speed)
        lab.wait_for("Number(player.dataset.frame) >= argument", frame)
        seen.add(in_lockstep(lab, panels))
    assert len(seen) == 3  # the panels do move
    page.get_by_test_id("between").click()
    in_lockstep(lab, panels)
    page.get_by_test_id("scrub").fill("17")
    expect(lab.player).to_have_attribute("data-frame", "17")
    in_lockstep(lab, panels)
    lab.pause("End")
    in_lockstep(lab, panels)
    expect(lab.counter).to_have_text("gradient 200 / 200")
    assert page_errors == []


def test_position_speed_and_lockstep_outlive_new_data(
    page: Page, scenes: Server, page_errors: list[str]
) -> None:
    lab = opened(page, scenes, 2)
    page.get_by_test_id("speed").select_option("0.5")
    page.get_by_test_id("scrub").fill("30")
    for panels in (4, 1, 3, 2):
        old = lab.says("id")
        page.get_by_role("button", name=f"{panels} panels").click()
        lab.wait_for_new(old)
        expect(lab.player).to_have_attribute("data-frame", "30")
        expect(lab.player).to_have_attribute("data-speed", "0.5")
        expect(lab.player).to_have_attribute("data-playing", "false")
        expect(lab.player.locator("canvas.cloud")).to_have_count(panels)
        if panels > 1:
            in_lockstep(lab, panels)
    page.get_by_test_id("play").click()
    lab.wait_for("player.dataset.frame > 32")
    old = lab.says("id")
    page.get_by_role("button", name="4 panels").click()
    lab.wait_for_new(old)
    expect(lab.player).to_have_attribute("data-playing", "true")  # from the start, as new data plays
    assert int(lab.says("frame")) < 30
    in_lockstep(lab, 4)
    assert page_errors == []


@pytest.mark.parametrize(("width", "columns"), [(1700, 2), (420, 1)])
def test_panels_fit_the_window(page: Page, scenes: Server, width: int, columns: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    lab = opened(page, scenes, 4)
    boxes = [cloud.bounding_box() for cloud in lab.player.locator("canvas.cloud").all()]
    lefts = {round(box["x"]) for box in boxes if box}
    assert len(lefts) == columns
    assert all(box and box["width"] > 250 for box in boxes)
    whole = lab.player.bounding_box()
    assert whole is not None
    assert all(box and box["x"] + box["width"] <= whole["x"] + whole["width"] + 1 for box in boxes)
    assert whole["x"] + whole["width"] <= width


def reading(lab: Lab, panel: int) -> Locator:
    return lab.player.locator(".reading").nth(panel)


def point_at(lab: Lab, x: float, y: float, panel: int = 0) -> None:
    """Move the mouse to a place in the bounds, with what lies over the cloud as a ruler."""
    lab.player.focus()
    lab.page.keyboard.press("p")  # shows the ruler
    box = lab.player.locator("canvas.overlay").nth(panel).bounding_box()
    assert box is not None
    lab.page.keyboard.press("Escape")
    across, up = (x + 2) / 4, (y + 2) / 4
    lab.page.mouse.move(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])


def test_a_pointed_particle_is_marked_everywhere_with_its_next_step(
    page: Page, scenes: Server, page_errors: list[str]
) -> None:
    lab = opened(page, scenes, 3)
    lab.pause("Home")
    expect(reading(lab, 0)).to_have_text(
        "Point at a particle, or press p, to see where its next step may lead."
    )
    below = lab.counter.bounding_box()
    point_at(lab, 0.02, 0.98, panel=1)  # particle 3 stands at (0, 1), where the mean step is nothing
    expect(lab.player).to_have_attribute("data-hovered", "3")
    page.mouse.move(0, 0)
    expect(lab.player).not_to_have_attribute("data-hovered", "3")
    point_at(lab, 0.98, 0.02)  # particle 0 stands at (1, 0): the mean step is 0.2 there, between two cells
    expect(lab.player).to_have_attribute("data-hovered", "0")
    words = "Particle 0: the next step moves it by {} on average and spreads it by {} (x) and {} (y)."
    expect(reading(lab, 0)).to_have_text(words.format("0.20", "0.30", "0.10"))
    expect(reading(lab, 1)).to_have_text(words.format("0.20", "0.60", "0.20"))
    expect(reading(lab, 2)).to_contain_text("Particle 0: its next place is not one Gaussian")
    assert lab.counter.bounding_box() == below
    for panel in range(3):
        expect(lab.player.locator("canvas.overlay").nth(panel)).to_be_visible()
    page.keyboard.press("End")  # the particle has gone to (0, 1), and the mark with it
    expect(reading(lab, 0)).to_have_text(words.format("0", "0.30", "0.10"))
    point_at(lab, 0, 0)  # no particle is near
    assert lab.player.get_attribute("data-hovered") is None
    expect(lab.player.locator("canvas.overlay").first).to_be_hidden()
    assert page_errors == []


def test_the_ellipse_is_drawn_where_the_proposal_is(page: Page, scenes: Server) -> None:
    """Ink on the ellipse around the mean, (1.2, 0) ± (0.3, 0.1), and none half a unit away."""
    lab = opened(page, scenes, 2)
    lab.pause("Home")
    point_at(lab, 0.98, 0.02)
    expect(lab.player).to_have_attribute("data-hovered", "0")
    places = [(1.5, 0), (0.9, 0), (1.2, 0.1), (1.2, -0.1), (1.2, 0.5), (0.5, 0), (1.9, 0)]
    covered = lab.player.locator("canvas.overlay").first.evaluate(
        """(canvas, places) => places.map(([x, y]) => canvas.getContext("2d").getImageData(
            (x + 2) / 4 * canvas.width, (2 - y) / 4 * canvas.height, 1, 1).data[3] > 240)""",
        places,
    )
    assert covered == [True, True, True, True, False, False, False]


def test_p_goes_through_particles_and_escape_ends(page: Page, scenes: Server, page_errors: list[str]) -> None:
    lab = opened(page, scenes, 2)
    lab.player.focus()
    marked = []
    for _ in range(3):
        page.keyboard.press("p")
        marked.append(lab.says("hovered"))
    assert len(set(marked)) == 3
    lab.wait_for("player.dataset.frame > 3")  # it goes on playing, with the mark on
    assert lab.says("hovered") == marked[-1]
    page.mouse.move(5, 5)  # a mouse that passes by does not take it
    assert lab.says("hovered") == marked[-1]
    page.get_by_test_id("place").click()
    assert lab.player.get_attribute("data-hovered") is None
    page.keyboard.press("p")
    assert lab.player.get_attribute("data-hovered") is None
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(lab.player).to_have_attribute("data-hovered", "0")
    page.keyboard.press("Escape")
    assert lab.player.get_attribute("data-hovered") is None
    assert page_errors == []


def test_a_tap_marks_a_particle(browser: Browser, scenes: Server) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 1400, "height": 900})
    lab = opened(context.new_page(), scenes, 1)
    lab.pause("Home")
    lab.page.keyboard.press("p")
    box = lab.player.locator("canvas.overlay").first.bounding_box()
    assert box is not None
    lab.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    expect(lab.player).to_have_attribute("data-hovered", "3")
    lab.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(lab.player.locator("canvas.overlay").first).to_be_hidden()
    context.close()


# Images

# What the canvas shows at the middle of each pixel of each image; cells are found by the paper between them.
PIXELS = """(canvas, [rows, columns]) => {
    const context = canvas.getContext("2d");
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const painted = (x, y) => data[(y * width + x) * 4 + 3] > 0;
    const runs = (length, at) => {
        const found = [];
        for (let k = 0; k <= length; k++) {
            const here = k < length && at(k);
            if (here && !found.at(-1)?.open) found.push({ start: k, open: true });
            else if (!here && found.at(-1)?.open) Object.assign(found.at(-1), { end: k, open: false });
        }
        return found;
    };
    const any = (length, test) => Array.from({ length }).some((_, k) => test(k));
    const across = runs(width, (x) => any(height, (y) => painted(x, y)));
    const down = runs(height, (y) => any(width, (x) => painted(x, y)));
    const sizes = [across, down].map((all) => all.map(({ start, end }) => end - start));
    const gaps = [across, down].map((all) => all.slice(1).map(({ start }, k) => start - all[k].end));
    const middle = ({ start, end }, part, parts) => Math.floor(start + (part + 0.5) * (end - start) / parts);
    const images = [];
    for (const vertical of down) for (const horizontal of across) {
        if (!painted(horizontal.start, vertical.start)) continue;
        const image = [];
        for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
            const x = middle(horizontal, column, columns), y = middle(vertical, row, rows);
            image.push([...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)]);
        }
        images.push(image);
    }
    const colours = new Set();
    for (let k = 0; k < data.length; k += 4) {
        if (data[k + 3]) colours.add([...data.subarray(k, k + 4)].join());
    }
    return { sizes, gaps, images, colours: colours.size };
}"""


def opened_images(page: Page, scenes: Server, query: str) -> Lab:
    page.goto(f"{scenes.url}/?{query}")
    lab = Lab(page)
    lab.wait_until_run()
    lab.says("id")
    return lab


@pytest.mark.parametrize("colour", [False, True])
def test_every_byte_of_every_image_is_drawn_crisp(
    page: Page, scenes: Server, page_errors: list[str], colour: bool
) -> None:
    lab = opened_images(page, scenes, "images=3" + "&colour=1" * colour)
    lab.pause("Home")
    canvases = lab.player.locator("canvas.cloud")
    for frame in (0, 7):
        page.get_by_test_id("scrub").fill(str(frame))
        expect(lab.player).to_have_attribute("data-frame", str(frame))
        expected = scenes_app_images(colour)[frame]
        for panel in range(3):
            seen = canvases.nth(panel).evaluate(PIXELS, [4, 3])
            np.testing.assert_array_equal(np.array(seen["images"]).reshape(10, 4, 3, 3), expected)
            assert seen["colours"] == 120  # no colour that no pixel has: nothing is smoothed
            assert [len(set(sizes)) for sizes in seen["sizes"]] == [1, 1]
            assert len({gap for gaps in seen["gaps"] for gap in gaps}) == 1  # gaps are even
        expect(lab.player.locator(".panel .caption").nth(2)).to_have_text(f"lane 3 at frame {frame}")
    for name in ("trails", "marginals", "between", "place", "draw"):
        expect(page.get_by_test_id(name)).to_be_hidden()
    assert page_errors == []


def scenes_app_images(colour: bool) -> np.ndarray:
    """The bytes that tests/scenes_app.py says it shows, by its words: (frames, images, rows, columns, 3)."""
    frame, image, row, column = np.indices((41, 10, 4, 3))
    grey = ((12 * image + 3 * row + column) * 2 + frame) % 256
    return np.stack([grey, 255 - grey, (grey + 100) % 256] if colour else [grey] * 3, axis=-1)


def test_a_switch_shows_the_overlay_with_its_colours_and_numbers(
    page: Page, scenes: Server, page_errors: list[str]
) -> None:
    lab = opened_images(page, scenes, "images=2")
    lab.pause("Home")
    first, second = lab.player.locator("canvas.cloud").all()
    before = first.evaluate(PIXELS, [4, 3]), second.evaluate(PIXELS, [4, 3])
    switch, legend = page.get_by_test_id("overlay"), lab.player.locator(".legend")
    expect(legend).to_be_hidden()
    below = lab.player.locator("canvas.chart").first.bounding_box()
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_have_text("Step size")
    expect(legend).to_have_text("0.0101.0(log)")
    assert lab.player.locator("canvas.chart").first.bounding_box() == below  # nothing moves
    seen = np.array(first.evaluate(PIXELS, [4, 3])["images"]).reshape(-1, 3)
    assert len({tuple(colour) for colour in seen.tolist()}) > 60
    assert (np.diff(seen.sum(1)) >= -2).all()  # the bytes grow, and with them the colours fade into the paper
    assert seen[0, 0] > seen[0, 2] + 50  # towards the low end there is colour
    assert second.evaluate(PIXELS, [4, 3]) == before[1]  # a panel without an overlay keeps its images
    lab.player.focus()
    page.keyboard.press("o")
    expect(lab.player).to_have_attribute("data-overlay", "false")
    assert first.evaluate(PIXELS, [4, 3]) == before[0]
    assert page_errors == []


def test_a_pointed_image_is_outlined_in_every_panel(
    page: Page, scenes: Server, page_errors: list[str]
) -> None:
    lab = opened_images(page, scenes, "images=3")
    lab.pause("Home")
    expect(reading(lab, 0)).to_have_text("Point at an image, or press p.")
    box = lab.player.locator("canvas.cloud").nth(1).bounding_box()
    assert box is not None
    # Ten images lie in rows of four: the seventh is the third of the second row.
    page.mouse.move(box["x"] + box["width"] * 2.5 / 4, box["y"] + box["height"] * 1.5 / 3)
    expect(lab.player).to_have_attribute("data-hovered", "6")
    marked = [layer.evaluate("layer => layer.toDataURL()") for layer in lab.player.locator(".overlay").all()]
    assert len(marked) == 3
    assert len(set(marked)) == 1
    # The overlay's byte 144 stands for 0.01 · 100^(144/255), and 166 for 0.01 · 100^(166/255).
    expect(reading(lab, 0)).to_have_text("Image 7: step size 0.13 to 0.20.")
    expect(reading(lab, 1)).to_have_text("Image 7.")
    page.mouse.move(
        box["x"] + box["width"] * 3.5 / 4, box["y"] + box["height"] * 2.5 / 3
    )  # no image is there
    expect(lab.player.locator(".overlay").first).to_be_hidden()
    lab.player.focus()
    page.keyboard.press("p")
    page.keyboard.press("p")
    expect(lab.player).to_have_attribute("data-hovered", "1")
    page.keyboard.press("Escape")
    assert lab.player.get_attribute("data-hovered") is None
    assert page_errors == []


def test_grids_of_images_fit_a_narrow_window(page: Page, scenes: Server) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    lab = opened_images(page, scenes, "images=3")
    boxes = [grid.bounding_box() for grid in lab.player.locator("canvas.cloud").all()]
    assert all(box and box["width"] > 250 and box["x"] + box["width"] <= 420 for box in boxes)
    assert len({round(box["x"]) for box in boxes if box}) == 1
