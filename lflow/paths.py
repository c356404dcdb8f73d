"""Where the files that are not Python modules live, in a checkout and in an installed wheel.

The only place that knows. It knows nothing of what the files contain, and it imports nothing heavy.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_BUNDLED = _PACKAGE / "_bundled"  # exists in a wheel only: pyproject.toml copies pages/ and assets/ there
_IN_WHEEL = _BUNDLED.is_dir()
_ROOT = _BUNDLED if _IN_WHEEL else _PACKAGE.parent


def pages_dir() -> Path:
    """The folder of the page scripts."""
    return _ROOT / "pages"


def assets_dir() -> Path:
    """The folder of the player, pictures, lessons and checkpoints."""
    return _ROOT / "assets"


def static_dir() -> Path:
    """The folder that Streamlit serves as `app/static/`: it must lie beside the shell."""
    return _PACKAGE / "ui" / "static"


def main_script() -> Path:
    """What `streamlit run` takes: `app.py`, or in a wheel, which has none, the shell itself."""
    return _PACKAGE / "ui" / "shell.py" if _IN_WHEEL else _ROOT / "app.py"


def config_file() -> Path:
    """The theme and server settings, beside the main script, where Streamlit looks for them."""
    return main_script().parent / ".streamlit" / "config.toml"
