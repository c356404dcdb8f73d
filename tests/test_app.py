"""Every page, through the frame, without a browser: it runs and raises nothing."""

import os

import pytest
from streamlit.testing.v1 import AppTest

from lflow import paths
from lflow.ui import shell

SHELL = paths.static_dir().parent / "shell.py"


@pytest.mark.parametrize("file", [file for file, _, _ in shell.PAGES])
def test_page_runs(file: str) -> None:
    app = AppTest.from_file(str(SHELL), default_timeout=60).run()
    app.switch_page(os.path.relpath(paths.pages_dir() / file, SHELL.parent)).run()
    assert not app.exception, [element.message for element in app.exception]
    assert app.title, "a page opens with its title"
    assert not app.error, [element.value for element in app.error]


def test_every_page_file_is_in_the_navigation() -> None:
    assert {path.name for path in paths.pages_dir().glob("*.py")} == {file for file, _, _ in shell.PAGES}


def test_the_first_page_is_the_one_at_the_root() -> None:
    addresses = [address for _, _, address in shell.PAGES]
    assert addresses[0] == ""
    assert all(addresses[1:])
    assert len(set(addresses)) == len(addresses)
