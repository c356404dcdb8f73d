"""A finished run in a folder of runs, and the page Train opened on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import lflow
from lflow.paths import pages_dir
from lflow.training.folder import RunFolder
from tests import toy_model  # noqa: F401  (the model "toy")
from tests.conftest import ROOT

TOY = {"model": "toy", "preset": "rings"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run = tmp_path_factory.mktemp("trained") / "toy-rings"
    lflow.train(TOY, run)
    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs, where the page looks for them."""
    monkeypatch.setenv("LFLOW_RUNS", str(tmp_path / "runs"))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def run(folder: Path, trained: Path) -> RunFolder:
    """The finished run, in the folder of runs."""
    copy_tree(trained, folder / "toy-rings")
    return RunFolder(folder / "toy-rings")


def copy_tree(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())


def opened(**settings: str) -> AppTest:
    """The page, opened with these settings in its address."""
    app = AppTest.from_file(str(ROOT / "lflow" / "ui" / "shell.py"), default_timeout=60).run()
    for name, value in {"model": "toy", **settings}.items():
        app.query_params[f"train_{name}"] = value
    app.switch_page(str(pages_dir() / "train.py")).run()
    assert not app.exception, [element.message for element in app.exception]
    return app


def said(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.subheader, app.error, app.warning)
    return "\n".join(element.value for kind in kinds for element in kind)
