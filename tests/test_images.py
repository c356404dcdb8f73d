"""The page Images: lanes that share start and noise, what is measured of them, words, links, the opening."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from streamlit.testing.v1 import AppTest

from lflow.exact import Floor
from lflow.paths import pages_dir
from lflow.ui import link
from lflow.ui.images import keys, outcome, page, runs, scene, words
from lflow.ui.images.keys import Asked
from lflow.ui.images.model import trained
from lflow.ui.images.presets import presets
from lflow.ui.images.runs import Known, Track
from lflow.ui.images.words import Seen
from lflow.ui.packing import pack
from lflow.ui.request import OverBudget
from lflow.ui.store import Store
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_player import unpack

SMALL = {"num_images": 12, "steps": 15}


def ask(*lanes: str, **settings: Any) -> Asked:
    return keys.asked(SMALL | settings, lanes or keys.FIRST)


def run(*lanes: str, **settings: Any) -> tuple[Asked, list[Track]]:
    asked = ask(*lanes, **settings)
    return asked, runs.run(asked, trained(), Store(8))


@pytest.mark.parametrize("elementwise", [True, False])
def test_all_lanes_start_alike_and_share_the_noise(elementwise: bool) -> None:
    never = {"elementwise": elementwise, "pixel_b": 1e4, "image_b": 1e4}  # above every slope
    _, (ula, paper, corrected) = run(**never)
    assert torch.equal(ula.result.positions, paper.result.positions)
    torch.testing.assert_close(ula.result.positions, corrected.result.positions, rtol=0, atol=1e-5)
    _, (tamed, _, _) = run("paper", "corrected", "mala", elementwise=elementwise)
    assert torch.equal(ula.result.positions[0], tamed.result.positions[0])
    assert not torch.equal(ula.result.positions[1], tamed.result.positions[1])
    _, (other, _, _) = run(**never, seed=1)
    assert not torch.equal(ula.result.positions, other.result.positions)


@pytest.mark.parametrize("elementwise", [True, False])
def test_step_sizes_are_those_of_the_formula_in_double_precision(elementwise: bool) -> None:
    asked, (ula, paper) = run("paper", "ula", elementwise=elementwise, pixel_b=0.004, image_b=0.03)
    assert asked.lanes == ("ula", "paper")  # in the order of the list, whatever was pressed first
    x = paper.result.positions[-1].double().requires_grad_(True)
    (slope,) = torch.autograd.grad(deepcopy(trained().learner.net).double()(x).sum(), x)
    size = slope[:, 0].abs() if elementwise else slope.flatten(1).norm(dim=1).view(-1, 1, 1)
    wanted = asked.h / torch.clamp(size / asked.b, min=1)
    drawn = scene.make_scene(asked, [ula, paper], runs.known(trained(), asked.num_images))
    header, sections = unpack(pack(drawn))
    overlay = header["overlay"]
    assert overlay["high"] == asked.h
    bytes_ = [sections[panel["overlay"]][-1] for panel in header["panels"]]
    assert (bytes_[0] == 255).all()  # ULA takes the whole step everywhere
    read = overlay["low"] * (overlay["high"] / overlay["low"]) ** (bytes_[1] / 255.0)
    spacing = np.log(overlay["high"] / overlay["low"]) / 255
    np.testing.assert_allclose(read, wanted.numpy(), rtol=spacing)
    assert float(wanted.min()) < asked.h / 2  # steps do shrink, and not all alike
    assert len(np.unique(bytes_[1])) > 5
    assert bytes_[1].shape == ((12, 8, 8) if elementwise else (12, 1, 1))


def test_distances_are_what_others_compute() -> None:
    _, (ula,) = run("ula")
    model = trained()
    tree = cKDTree(model.train.flatten(1).numpy())
    for frame in (0, -1):
        away, _ = tree.query(ula.result.positions[frame].flatten(1).numpy())
        assert float(ula.nearest[frame]) == pytest.approx(np.sort(away)[5], rel=1e-4)  # torch's lower median
        energies = [float(model.learner.energy(image[None])) for image in ula.result.positions[frame]]
        np.testing.assert_allclose(ula.energy[frame], energies, rtol=1e-4, atol=1e-5)
    # Along a direction u, W2² of equal numbers is the mean square difference of what is sorted.
    x, y = ula.result.positions[-1].flatten(1).double(), model.train.flatten(1).double()
    u = torch.randn(800, 64, generator=torch.Generator().manual_seed(3)).double()
    u = u / u.norm(dim=1, keepdim=True)
    levels = (torch.arange(12 * 100, dtype=torch.float64) + 0.5) / (12 * 100)
    quantiles = [torch.quantile(z @ u.T, levels, dim=0, interpolation="nearest") for z in (x, y)]
    wanted = float((quantiles[0] - quantiles[1]).square().mean().sqrt())
    assert float(ula.away[-1]) == pytest.approx(wanted, rel=0.1)  # 256 directions against 800
    assert abs(float(ula.away[0]) / wanted - 1) > 0.3  # the tolerance tells the start from the end


def test_the_floor_holds_real_digits_and_no_noise() -> None:
    model = trained()
    known = runs.known(model, 64)
    draws, within = torch.Generator().manual_seed(99), 0
    for _ in range(40):
        fresh = model.test[torch.randperm(len(model.test), generator=draws)[:64]].flatten(1)
        within += known.nearest.low <= float(runs.median_nearest(fresh, model)) <= known.nearest.high
    assert within >= 33  # of 40, where 38 are expected: fewer once in thousands of times
    noise = model.noise(64, 0).flatten(1)
    assert float(runs.median_nearest(noise, model)) > 1.5 * known.nearest.high


def test_what_the_chains_start_from() -> None:
    model = trained()
    noise, data, half = (
        runs.starting_images(ask(start=start), model) for start in ("noise", "data", "corrupted")
    )
    settings = model.learner.settings
    assert settings.noise == "uniform"
    assert noise.abs().max() <= settings.noise_scale
    assert float(noise.var()) == pytest.approx(settings.noise_scale**2 / 3, rel=0.15)
    unseen = {tuple(image.flatten().tolist()) for image in model.test}
    assert all(tuple(image.flatten().tolist()) in unseen for image in data)
    assert torch.equal(half[:, :, :4], data[:, :, :4])
    assert torch.equal(half[:, :, 4:], noise[:, :, 4:])


def test_the_player_shows_the_images_of_the_runs() -> None:
    asked, tracks = run("ula", "mala")
    drawn = scene.make_scene(asked, tracks, runs.known(trained(), asked.num_images))
    header, sections = unpack(pack(drawn))
    for entry, track in zip(header["panels"], tracks, strict=True):
        shown = np.clip(track.result.positions[:, :, 0].double().numpy(), -1, 1)
        np.testing.assert_allclose(sections[entry["images"]], (shown + 1) * 127.5, atol=0.51)


@pytest.mark.parametrize("steps", [1, 2, 60, 90, 91, 500, 10_000])
@pytest.mark.parametrize("as_trained", [1, 60, 4000])
def test_frames_are_few_and_begin_close_together(steps: int, as_trained: int) -> None:
    shown = runs.frame_steps(steps, as_trained)
    gaps = np.diff([0, *shown])
    assert shown[-1] == steps
    assert gaps.min() >= 1
    assert len(shown) <= runs.MOST_FRAMES + 1
    assert gaps[0] == 1 or steps > runs.MOST_FRAMES
    if as_trained <= steps:
        assert as_trained in shown
    assert gaps[0] <= gaps[-1] + 1


def test_a_lane_is_kept_when_another_one_changes() -> None:
    store = Store(8)
    first = runs.run(ask("ula", "paper"), trained(), store)
    second = runs.run(ask("ula", "mala"), trained(), store)
    assert second[0].result is first[0].result


def test_reports_reach_the_end_and_a_budget_is_kept() -> None:
    told: list[tuple[float, str]] = []
    runs.run(ask(), trained(), Store(8), lambda share, said: told.append((share, said)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert {said for _, said in told} == {keys.TITLES[method] for method in keys.FIRST}
    large = ask("ula", "corrected", steps=10_000, num_images=144)
    with pytest.raises(OverBudget, match="or fewer images") as refused:
        large.check_budget()
    large._replace(steps=refused.value.allowed).check_budget()
    with pytest.raises(OverBudget):
        large._replace(steps=refused.value.allowed + 1).check_budget()


@pytest.mark.parametrize(
    ("settings", "lanes", "message"),
    [
        ({}, (), "choose one to 4 samplers, not 0"),
        ({}, keys.METHODS[:5], "choose one to 4 samplers, not 5"),
        ({}, ("hmc",), "lanes must be one of ula, paper"),
        ({"h": -1.0}, ("ula",), "h must be between"),
        ({"num_images": 10_000}, ("ula",), "num_images must be between 1 and 144"),
        ({"start": "photographs"}, ("ula",), "start must be one of noise, data, corrupted"),
    ],
)
def test_what_a_browser_may_send_is_checked(settings: dict[str, Any], lanes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keys.asked(settings, lanes)


# Words


def seen(method: str = "ula", **changes: Any) -> Seen:
    end = Seen(
        method, away=0.2, away_as_trained=None, nearest=3.0, energy=-1.0, outside=0.0, shrunk=None,
        apart=None, acceptance=None, lost=0,
    )  # fmt: skip
    return end._replace(**changes)


KNOWN = Known(Floor(2.0, 1.9, 2.1), Floor(0.1, 0.08, 0.12), Floor(-1.0, -1.1, -0.9))


def said(*lanes: Seen, **settings: Any) -> str:
    return " ".join(words.under(ask(*(lane.method for lane in lanes), **settings), lanes, KNOWN))


def test_words_give_the_distances_in_units_of_real_digits() -> None:
    text = said(seen(), seen("mala", away=0.11))
    assert "12 images, 15 steps each, from the same noise, with the same noise at every step" in text
    assert "MALA 1.1 and SGLD (ULA) 2." in text
    assert (
        "By this distance, as a set, MALA is within the spread of real digits; image by image, farther"
        in text
    )
    near = said(seen(away=0.1, nearest=2.05), seen("mala", away=0.11))
    assert "By this distance, as sets, SGLD (ULA) and MALA are within the spread of real digits." in near
    assert "within" not in said(seen(), seen("mala"))
    assert "past the digits" not in text


def test_words_say_where_a_long_run_leads() -> None:
    steps = 20 * trained().learner.settings.chain_steps
    gone = seen(away=3.0, away_as_trained=0.11, energy=-4.0)
    text = said(gone, steps=steps)
    assert "as long as in training, SGLD (ULA) was at 1.1. **SGLD (ULA) goes on past the digits.**" in text
    assert "the model holds other images for likelier" in text
    assert "with that chain it is a generator of digits. $e^{-U/T}$ is not their density." in text
    both = said(gone, gone._replace(method="mala", acceptance=0.97), steps=steps)
    assert "**SGLD (ULA) and MALA go on past the digits.**" in both
    assert "MALA accepts 97 % of its proposals. An accept step takes the error" in both
    assert "**SGLD (ULA) leaves the digits.**" in said(gone, steps=steps, start="data")


@pytest.mark.parametrize(
    ("lane", "settings", "missing"),
    [
        ({"away": 0.15}, {}, "past the digits"),
        ({"energy": 5.0}, {}, "likelier"),  # away, but not to what the model prefers
        ({"away_as_trained": 0.9}, {}, "generator"),  # it never was near
        ({}, {"start": "data"}, "generator"),
        ({"method": "paper"}, {}, "density"),  # a law of its own: it says nothing of U's
        ({"acceptance": None}, {}, "accept"),
    ],
)
def test_words_claim_no_more_than_was_seen(lane: dict[str, Any], settings: Any, missing: str) -> None:
    steps = 20 * trained().learner.settings.chain_steps
    gone = seen(away=3.0, away_as_trained=0.11, energy=-4.0, acceptance=0.9)
    assert missing in said(gone, steps=steps)
    assert missing not in said(gone._replace(**lane), **{"steps": steps, **settings})


def test_words_of_steps_that_shrink_and_images_that_are_lost() -> None:
    paper, corrected = seen("paper", shrunk=(0.6, 0.25)), seen("corrected", shrunk=(0.6, 0.2), apart=0.001)
    text = said(paper, corrected, pixel_b=0.02)
    assert "where |∂U| is above b = 0.02: at the start on 60 % of the pixels" in text
    assert "at the end on 25 % (AniLA as published) and 20 % (AniLA corrected)" in text
    assert "0.001 apart on average" in text
    assert "hardly moved by the term T∇γ" in text
    assert "that is what the term T∇γ does" in said(paper, corrected._replace(apart=0.3))
    assert "of the images" in said(paper, elementwise=False)
    lost = said(seen(lost=3), seen("mala"))
    assert "**SGLD (ULA) lost 3 images**" in lost
    assert "SGLD (ULA) 2" not in lost  # a lost lane has no distance
    assert "MALA 2" in lost
    assert "The step is 30 times as large as in training" in said(seen(), h=30.0)


def test_a_step_that_is_far_too_large_is_named_from_its_frame_on() -> None:
    asked, (ula,) = run("ula", h=100.0, temperature=100.0, steps=90)
    blown = replace(ula.result, num_escaped=(torch.arange(91) > 40).long() * 2)
    text, frame = words.trouble(asked, ula._replace(result=blown)) or ("", 0)
    assert frame == 41
    assert "Diverged from step 41 on" in text
    assert "h = 100" in text
    assert words.trouble(*(lambda a, t: (a, t[0]))(*run("ula"))) is None


def test_a_long_run_finds_how_near_it_was_after_the_time_of_training() -> None:
    settings = trained().learner.settings
    asked, (ula,) = run("ula", h=settings.step_size / 2, steps=5 * settings.chain_steps)
    assert asked.steps_as_trained == 2 * settings.chain_steps
    at = ula.result.steps.tolist().index(asked.steps_as_trained)
    assert words.seen(asked, ula).away_as_trained == pytest.approx(float(ula.away[at]))
    short, (brief,) = run("ula")
    assert words.seen(short, brief).away_as_trained is None
    large, (thrown,) = run("ula", h=3 * settings.step_size, steps=5 * settings.chain_steps)
    assert words.seen(large, thrown).away_as_trained is None  # its step may be what leads it away


def test_corrected_and_published_are_compared_where_both_run() -> None:
    asked, (paper, corrected) = run("paper", "corrected")
    ends = [track.result.positions[-1].double() for track in (paper, corrected)]
    apart = words.seen(asked, corrected, paper).apart
    assert apart == pytest.approx(float((ends[0] - ends[1]).abs().mean()), rel=1e-4)
    assert words.seen(asked, corrected).apart is None
    assert words.seen(asked, paper, paper).apart is None


# Links, programs, openings


def test_a_link_means_what_the_page_runs() -> None:
    assert link.request("/images") == keys.asked({})
    titles = "images_lanes=AniLA%2C+corrected&images_lanes=SGLD+%28ULA%29"
    asked = link.request(f"/images?{titles}&images_start=half+a+digit&images_steps=7&images_seed=3")
    assert asked == keys.asked({"start": "corrupted", "steps": 7, "seed": 3}, ("ula", "corrected"))
    for wrong in ("images_lanes=hmc", "images_h=nan", "images_no=1", "images_version=9", "images_lanes="):
        with pytest.raises(ValueError, match=r"lanes must be|finite|cannot set|version"):
            link.request(f"/images?{wrong}")


@pytest.mark.parametrize("number", range(len(presets())))
def test_presets_are_runs_that_fit(number: int) -> None:
    settings = dict(presets()[number].settings)
    lanes = settings.pop("lanes", keys.FIRST)
    keys.asked(settings, lanes).check_budget()


def test_the_program_gives_the_same_arrays_in_a_fresh_process(tmp_path: Path) -> None:
    made = outcome.outcome(ask("ula", "metropolis", start="corrupted", seed=5, steps=95), Store(8))
    (tmp_path / "run.py").write_text(made.code)
    where = {"PYTHONPATH": str(pages_dir().parent), "PATH": ""}
    subprocess.run([sys.executable, "run.py"], cwd=tmp_path, env=where, check=True, timeout=120)
    with np.load(tmp_path / f"{made.name}.npz") as arrays:
        assert arrays["labels"].tolist() == list(made.results)
        for number, result in enumerate(made.results.values(), 1):
            np.testing.assert_array_equal(arrays[f"{number}_positions"], result.positions)


def test_the_opening_is_what_the_page_runs_now() -> None:
    scene_file, numbers_file = page.opening_files()
    kept, asked = json.loads(numbers_file.read_text()), keys.asked({})
    assert kept["key"] == asked.key
    known = runs.known(trained(), asked.num_images)
    np.testing.assert_allclose(np.array(kept["known"]), np.array(known), rtol=1e-3)
    for row, track in zip(kept["seen"], runs.run(asked, trained(), Store(8)), strict=True):
        assert row["method"] == track.method
        # Another processor may round otherwise: a set's distance, not its images.
        assert row["away"] == pytest.approx(float(track.away[-1]), rel=0.1)
    header, _ = unpack(scene_file.read_bytes())
    assert [panel["label"] for panel in header["panels"]] == [keys.TITLES[each] for each in keys.FIRST]
    assert len(scene_file.read_bytes()) < 2_000_000


# The page


def opened(**settings: str) -> tuple[AppTest, str]:
    """The page at these settings, and what it says."""
    app = AppTest.from_file(str(pages_dir() / "images.py"), default_timeout=60)
    for name, value in settings.items():
        app.query_params[f"images_{name}"] = value
    app.run()
    assert not app.exception, [element.message for element in app.exception]
    return app, " ".join(each.value for each in app.markdown)


def test_the_page_opens_on_its_opening_and_takes_a_link() -> None:
    steps = trained().learner.settings.chain_steps
    assert f"64 images, {steps} steps each" in opened()[1]
    text = opened(lanes="MALA", steps="5", num_images="4")[1]
    assert "4 images, 5 steps each" in text


def test_no_sampler_is_refused_in_a_sentence() -> None:
    app, _ = opened(lanes="")
    assert "Choose one to 4 samplers, not 0" in app.error[0].value


def test_a_step_much_larger_than_in_training_can_be_taken_back() -> None:
    step = trained().learner.settings.step_size
    app, text = opened(h=str(20 * step), num_images="4", lanes="SGLD (ULA)")
    assert "20 times as large as in training" in text
    (back,) = [button for button in app.button if button.label.startswith("Take the step size of training")]
    back.click().run()
    assert app.session_state["images_h"] == step
    assert not [button for button in app.button if button.label.startswith("Take the step size")]


def test_too_large_a_run_is_trimmed() -> None:
    app, _ = opened(steps="10000", num_images="144")
    (trim,) = [button for button in app.button if "instead" in button.label]
    allowed = int(trim.label.split()[1].replace(",", ""))
    keys.asked({"steps": allowed, "num_images": 144}).check_budget()
