"""The rules of the house: which way imports point, what no file contains, and what is declared where."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lflow
from lflow import paths

ROOT = Path(__file__).resolve().parents[1]
INTERFACE = ("streamlit", "plotly", "altair")
FOLDERS = ("lflow", "pages", "tests", "benchmarks")
SOURCES = [ROOT / "app.py"] + [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
SCRIPTS = [file for suffix in ("js", "css") for file in sorted((ROOT / "assets").rglob(f"*.{suffix}"))]
FORBIDDEN = re.compile(
    r"(?<![\w.])(eval|exec)\(|^\s*(import|from) (pickle|dill|joblib)\b|allow_pickle=True|weights_only=False",
    re.MULTILINE,
)


def loaded_after(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of the named modules a fresh interpreter has imported once it has run `code`."""
    report = f"{code}\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))"
    command = [sys.executable, "-c", report]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_lflow_is_light() -> None:
    assert loaded_after("import lflow", ("torch", "numpy", *INTERFACE)) == set()


def test_lflow_outside_ui_knows_no_interface() -> None:
    files = (file.relative_to(ROOT) for file in sorted((ROOT / "lflow").rglob("*.py")))
    # __main__ runs the command line when imported
    files = (file for file in files if file.parts[1] not in ("ui", "__main__.py"))
    modules = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    assert loaded_after("\n".join(f"import {module}" for module in modules), INTERFACE) == set()


def test_home_paints_without_torch() -> None:
    code = """
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("lflow/ui/shell.py", default_timeout=60).run()
assert app.title and not app.exception, app
"""
    assert loaded_after(code, ("torch",)) == set()


def test_public_names() -> None:
    assert set(lflow.__all__) <= set(dir(lflow))
    for name in lflow.__all__:
        assert getattr(lflow, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = lflow.no_such_name


def test_paths_lead_somewhere() -> None:
    for folder in (paths.pages_dir(), paths.assets_dir(), paths.static_dir()):
        assert folder.is_dir()
    for file in (paths.main_script(), paths.config_file()):
        assert file.is_file()


def test_no_source_runs_strings_or_unpickles() -> None:
    shipped = [file for file in SOURCES if "tests" not in file.relative_to(ROOT).parts]
    found = [file for file in shipped if FORBIDDEN.search(file.read_text())]
    assert found == []


def test_files_are_short() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in SOURCES + SCRIPTS}
    assert {file: count for file, count in lines.items() if count > 400} == {}


def test_no_module_of_ui_hides_another() -> None:
    # Streamlit puts the shell's folder first on sys.path while a page runs.
    taken = sys.stdlib_module_names | set(INTERFACE) | {"numpy", "torch", "scipy", "pandas"}
    names = {file.stem for file in (ROOT / "lflow" / "ui").iterdir()} - {"__init__"}
    assert names & taken == set()


def test_no_pages_folder_beside_the_shell() -> None:
    assert not (ROOT / "lflow" / "ui" / "pages").exists()


def pins(file: str) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    pinned = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {requirement.name: requirement for requirement in pinned}


@pytest.mark.parametrize(
    ("file", "groups"),
    [
        ("requirements.txt", ["dependencies", "app", "metrics", "figures"]),
        ("requirements-dev.txt", ["dev", "video", "tensorboard"]),
    ],
)
def test_pins_agree_with_pyproject(file: str, groups: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    ranges = [Requirement(line) for group in groups for line in declared[group]]
    pinned = pins(file)
    assert set(pinned) == {requirement.name for requirement in ranges}
    for requirement in ranges:
        (pin,) = pinned[requirement.name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version)


def test_torch_is_the_first_pin() -> None:
    assert next(iter(pins("requirements.txt"))) == "torch"


def test_what_the_readme_shows_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_readmes_own_sampler_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (own,) = [block for block in blocks if "registry.register" in block]
    ended = subprocess.run([sys.executable, "-c", own], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
