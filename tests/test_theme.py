"""Shades of a family's colour, for several samplers shown together."""

from lflow.ui.theme import FAMILY_COLOURS, shades


def test_the_first_of_a_family_has_its_hue_and_the_next_ones_others() -> None:
    found = shades(["overdamped", "accept", "overdamped", "overdamped"])
    assert found[:2] == [FAMILY_COLOURS["overdamped"], FAMILY_COLOURS["accept"]]
    assert len({light for light, _ in found}) == len({dark for _, dark in found}) == 4
    # By hand: #0072B2 two fifths of the way to the ink #1D2125 is #0C527A.
    assert found[2][0] == "#0C527A"
