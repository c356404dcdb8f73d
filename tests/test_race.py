"""Races: equal gradients, one start, one noise; links, pages, programs and openings mean the same."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lflow import samplers
from lflow.papers.experiment import key, read_parts
from lflow.paths import pages_dir
from lflow.ui import keys, racing, study
from lflow.ui.explain import number
from lflow.ui.link import lab_request, race_request, request
from lflow.ui.packing import pack
from lflow.ui.presets import PRESETS, RACE_PRESETS
from lflow.ui.race import seeds
from lflow.ui.race.page import opening_files, words
from lflow.ui.request import Lane, OverBudget, Race, RaceSettings, Request, as_json
from lflow.ui.store import Store
from lflow.ui.theme import FAMILY_COLOURS, shades
from lflow.ui.truth import Floor

SMALL = {"num_chains": 40, "gradients": 60}


def run(**settings: Any) -> tuple[Race, list[racing.Track]]:
    race = race_request(SMALL | settings)
    return race, racing.run_race(race, Store(20))


@pytest.mark.parametrize("name", samplers.names())
def test_a_frame_shows_the_last_position_that_its_gradients_paid_for(name: str) -> None:
    race, (track, _) = run(energy="banana", **{"1_sampler": name, "1_h": 0.001})
    counts = racing.gradient_counts(race.settings).tolist()
    sampler, taken = track.parts.sampler, track.result.gradient_evaluations.tolist()
    assert counts[0] == 0
    assert counts[-1] == race.settings.gradients
    for count, frame in zip(counts, track.frames.tolist(), strict=True):
        spent = taken[frame] if sampler.gradients_per_step else int(track.result.steps[frame])
        assert spent <= count
        # One step more would cost more than there is.
        assert spent + max(1, sampler.gradients_per_step) > count - sampler.start_gradients
    assert pack(racing.make_scene(race, [track]))


def test_all_start_at_the_same_points_and_share_the_noise() -> None:
    settings = {
        "energy": "gaussian_mixture",
        "1_sampler": "ula",
        "2_sampler": "anila",
        "1_h": 0.05,
        "2_h": 0.05,
    }
    never = {"2_anila_threshold": 1e6}  # above every gradient here, AniLA is ULA
    _, (ula, anila) = run(**settings, **never)
    assert torch.equal(ula.result.positions, anila.result.positions)
    _, (ula, anila) = run(**settings, **never, same_noise="false")
    assert torch.equal(ula.result.positions[0], anila.result.positions[0])
    assert not torch.equal(ula.result.positions[1], anila.result.positions[1])


def test_a_lanes_run_is_kept_when_another_lane_changes() -> None:
    store = Store(20)
    first = racing.run_race(race_request(SMALL), store)
    second = racing.run_race(race_request({**SMALL, "2_sampler": "mala"}), store)
    assert second[0].result is first[0].result
    assert second[1].result is not first[1].result


def test_the_race_counts_what_all_lanes_take() -> None:
    alone = lab_request({"energy": "gaussian", "sampler": "ula", "num_chains": 10_000, "num_steps": 4000})
    alone.check_budget(alone.parts())
    race = race_request({"energy": "gaussian", "num_chains": 10_000, "gradients": 4000, "lanes": 4})
    with pytest.raises(OverBudget, match="gradients") as refused:
        race.check_budget()
    fits = replace(race, settings=replace(race.settings, gradients=refused.value.allowed))
    fits.check_budget()


def test_a_sampler_that_cannot_take_a_step_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"first step of HMC takes 11 gradients"):
        run(gradients=9, **{"1_sampler": "hmc"})


def test_labels_tell_the_lanes_apart() -> None:
    lanes = [
        {"1_sampler": "ula", "2_sampler": "mala"},
        {"1_sampler": "ula", "2_sampler": "ula", "2_h": 0.05, "1_h": 0.01},
        {"1_sampler": "anila", "2_sampler": "anila", "2_anila_variant": "corrected"},
        {"1_sampler": "ula", "2_sampler": "ula", "2_step": "polynomial"},
        {"1_sampler": "ula", "2_sampler": "ula"},
    ]
    for settings in lanes:
        race = race_request(settings)
        labels = racing.labels([request.parts() for request in race.requests()])
        assert len(set(labels)) == len(labels), labels


def test_the_table_says_what_the_runs_hold() -> None:
    store = Store(20)
    race = race_request({"energy": "gaussian", "1_sampler": "ula", "2_sampler": "mala", "num_chains": 500})
    tracks = racing.run_race(race, store)
    ula, mala = racing.table(race, tracks, store)
    assert (ula.steps, mala.steps) == (300, 299)  # MALA's first gradient moves nothing
    assert ula.acceptance is None
    assert mala.acceptance == pytest.approx(float(tracks[1].result.acceptance[1:].mean()))
    away, floor = tracks[0].away, tracks[0].truth.floor
    assert away is not None
    assert floor is not None
    assert ula.over_floor == pytest.approx(away[-1] / floor.mean)
    near = ula.gradients_to_twice_the_floor
    assert near is not None
    counts = tracks[0].result.gradient_evaluations
    after = [value for value, taken in zip(away, counts.tolist(), strict=True) if taken >= near]
    assert max(after) <= 2 * floor.mean
    before = [value for value, taken in zip(away, counts.tolist(), strict=True) if taken < near]
    assert before[-1] > 2 * floor.mean
    said = words(race, [ula, mala])
    assert number(ula.over_floor) in said
    assert "500 particles and 300 gradients each" in said


def test_a_diverged_lane_is_counted_and_has_a_banner() -> None:
    race, tracks = run(energy="quartic", **{"1_h": 1.0, "2_sampler": "tamed_ula", "2_h": 1.0}, start="box")
    scene = racing.make_scene(race, tracks)
    assert "Diverged" in scene.panels[0].banner
    assert scene.panels[0].banner_frame is not None
    assert scene.panels[1].banner == ""
    rows = racing.table(race, tracks, Store(20))
    assert rows[0].lost > 0
    assert f"lost {rows[0].lost:,} particles" in words(race, rows)


def test_the_program_of_a_race_gives_the_same_arrays_in_a_fresh_process(tmp_path: Path) -> None:
    settings = SMALL | {"lanes": 3, "1_sampler": "mala", "2_sampler": "rmm", "2_step": "polynomial"}
    race = race_request(
        {**settings, "energy": "double_well", "same_noise": "false", "start": "box", "seed": 3}
    )
    outcome = racing.outcome(race, Store(20))
    program = tmp_path / "race.py"
    program.write_text(outcome.code)
    where = {"PYTHONPATH": str(pages_dir().parent), "PATH": ""}
    subprocess.run([sys.executable, program], cwd=tmp_path, env=where, check=True, timeout=120)
    with np.load(tmp_path / f"{outcome.name}.npz") as arrays:
        assert arrays["labels"].tolist() == list(outcome.results)
        for number_, result in enumerate(outcome.results.values(), 1):
            np.testing.assert_array_equal(arrays[f"{number_}_positions"], result.positions)
            np.testing.assert_array_equal(arrays[f"{number_}_steps"], result.steps)


def test_the_opening_is_what_the_race_gives_now() -> None:
    scene_file, table_file = opening_files()
    race, store, kept = race_request({}), Store(20), json.loads(table_file.read_text())
    assert kept["key"] == race.key
    tracks = racing.run_race(race, store)
    rows = [row._replace(seconds=None)._asdict() for row in racing.table(race, tracks, store)]
    for row, shipped in zip(rows, kept["rows"], strict=True):
        assert row["label"] == shipped["label"]
        # Another processor may round otherwise, and chaos does the rest: a cloud's distance, not its points.
        assert row["distance"] == pytest.approx(shipped["distance"], rel=0.1)
    assert scene_file.read_bytes()[:4] == b"LFP1"


def open_page(file: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(pages_dir() / file), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [element.message for element in app.exception]
    return app


def test_a_race_that_no_trimming_helps_says_so() -> None:
    lanes = {f"race_{lane}_sampler": "SVGD" for lane in range(1, 5)}
    energy = {"race_energy": "Logistic regression", "race_num_chains": "20000", "race_lanes": "4"}
    app = open_page("race.py", **lanes, **energy)
    assert "Take fewer particles" in app.error[0].value
    assert not [button for button in app.button if "instead" in button.label]


@pytest.mark.parametrize("num_chains", [1, 1000, 20_000])
@pytest.mark.parametrize("gradients", [2, 61, 300, 20_000])
def test_frames_of_a_race_stay_within_what_is_sent(num_chains: int, gradients: int) -> None:
    counts = racing.gradient_counts(RaceSettings(num_chains=num_chains, gradients=gradients)).tolist()
    assert counts[0] == 0
    assert counts[-1] == gradients
    assert counts == sorted(set(counts))
    assert len(counts) <= racing.MOST_FRAMES + 1
    assert len(counts) * num_chains <= racing.MOST_POSITIONS + 2 * 20_000


# Links


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.title)
def test_a_link_to_the_lab_means_what_the_page_runs(preset: Any) -> None:
    settings = {"num_chains": 20, "num_steps": 20} | {"seed": 2}
    asked = lab_request(preset.settings | settings)
    assert isinstance(asked, Request)
    again = request(
        "https://example.org/particle-lab?"
        + "&".join(f"lab_{name}={value}" for name, value in (preset.settings | settings).items())
    )
    assert again == asked


@pytest.mark.parametrize("preset", RACE_PRESETS, ids=lambda preset: preset.title)
def test_race_presets_are_races(preset: Any) -> None:
    race = race_request(preset.settings)
    race.check_budget()
    assert 2 <= len(race.lanes) <= 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"h": "nan"}, "h must be a finite number"),
        ({"energy": "rongs"}, "energy must be one of"),
        ({"no_such": "1"}, "cannot set 'no_such'"),
        ({"version": "9"}, "version 9"),
        ({"energy": "from_points"}, "does not hold points"),
        ({"energy": "drawing", "drawing": "A"}, "damaged"),
        ({"formula": "import os", "energy": "from_expression"}, ""),
    ],
)
def test_a_wrong_link_is_refused_in_a_sentence(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lab_request(settings)


def test_an_address_of_no_page_is_refused() -> None:
    for address in ("", "https://example.org/", "lab_h=0.1&race_seed=2", "x=1"):
        with pytest.raises(ValueError, match="not a link to a picture"):
            request(address)


def test_lists_are_named_by_title_or_by_the_librarys_name() -> None:
    by_name = race_request({"2_sampler": "mala", "energy": "gaussian_mixture"})
    by_title = race_request({"2_sampler": "MALA", "energy": "Gaussian mixture"})
    assert by_name == by_title


def test_hidden_controls_are_not_drawn_and_keep_the_links_values() -> None:
    small = {"race_num_chains": "20", "race_gradients": "20"}
    shown = open_page("race.py", **small)
    labels = {widget.label for widget in shown.selectbox}
    assert {"Energy", "Sampler", "Step-size rule"} <= labels
    hidden = open_page(
        "race.py",
        **small,
        race_hide="energy,1,gradients",
        race_energy="Banana",
        race_1_sampler="MALA",
        race_1_h="0.02",
    )
    assert "Energy" not in {widget.label for widget in hidden.selectbox}
    assert sum(widget.label == "Sampler" for widget in hidden.selectbox) == 1
    assert not [widget for widget in hidden.number_input if widget.key == "race_gradients"]
    assert hidden.session_state["race_energy"] == "banana"
    assert hidden.session_state["race_1_sampler"] == "mala"
    assert hidden.session_state["race_1_h"] == 0.02


def test_hide_in_the_lab() -> None:
    small = {"lab_num_chains": "20", "lab_num_steps": "20"}
    hidden = open_page(
        "particle_lab.py", **small, lab_hide="energy,sampler,step,h,run,flow", lab_energy="Banana"
    )
    assert not list(hidden.selectbox)
    assert {widget.key for widget in hidden.number_input} == {"lab_seed", "lab_num_steps"}
    assert hidden.session_state["lab_energy"] == "banana"


def test_hide_names_what_the_page_declares() -> None:
    from lflow.ui.lab import controls as lab
    from lflow.ui.race import controls as race

    for page in (lab.PAGE, race.PAGE):
        known = set(page.known()) | {"run", "1", "2", "3", "4"}
        assert set(page.groups) <= known


def test_every_lane_of_every_number_has_its_keys() -> None:
    known = keys.race_keys()
    for number_, name in itertools.product(range(1, 5), ("sampler", "step", "h", "hmc_num_leapfrog")):
        assert f"{number_}_{name}" in known


def test_shades_begin_with_the_familys_colour_and_differ() -> None:
    for family, pair in FAMILY_COLOURS.items():
        if family == "exact":  # there is one exact flow
            continue
        found = shades([family] * 4)
        assert found[0] == pair
        assert len(set(found)) == 4
    assert shades(["overdamped", "accept"]) == [FAMILY_COLOURS["overdamped"], FAMILY_COLOURS["accept"]]


def test_a_race_by_hand() -> None:
    lane = Lane(as_json("ula"), as_json("constant", step_size=0.1))
    race = Race(as_json("gaussian"), (lane, lane), RaceSettings(num_chains=10, gradients=5))
    tracks = racing.run_race(race, Store(9))
    assert [track.label for track in tracks] == ["ULA (1)", "ULA (2)"]


def test_seeds_end_where_the_race_ends_and_the_first_is_the_race_shown() -> None:
    race = race_request({**SMALL, "gradients": 100, "num_chains": 200, "seed": 3, "same_noise": "false"})
    store = Store(20)
    rows = racing.table(race, racing.run_race(race, store), store)
    for lane, row in enumerate(rows):
        job = next(job for job in seeds.jobs(race) if job.config["lane"] == lane)
        found = seeds.work(job.config)
        assert job.config["settings"]["seed"] == 3
        assert found["gradients"][-1] == race.settings.gradients
        assert found["distances"][-1] == pytest.approx(row.distance)
    assert len({str(job.config) for job in seeds.jobs(race)}) == 2 * seeds.SEEDS


def test_the_shipped_seeds_are_those_of_the_opening() -> None:
    shipped = read_parts(study.shipped_file(seeds.STUDY))
    assert set(shipped) == {key(job.config) for job in seeds.jobs(race_request({}))}


def test_seeds_are_told_apart_by_a_paired_test() -> None:
    floor = Floor(0.1, 0.05, 0.15)
    shift = {0: 0.3, 1: 0.1, 2: -0.2, 3: 0.05, 4: -0.1}  # a seed moves both lanes alike
    near = seeds.Course("near", [1, 2], {seed: [1.0, 1 + by] for seed, by in shift.items()})
    far = seeds.Course("far", [1, 2], {seed: [1.0, 1.05 + by + 0.001 * seed] for seed, by in shift.items()})
    assert "near is nearer than far." in seeds.words([far, near], floor)
    lost = far._replace(distances={seed + 4: values for seed, values in far.distances.items()})
    assert "near cannot be told from far." in seeds.words([near, lost], floor)  # one seed in common
