"""`lflow app`: the lab in a browser. Knows where Streamlit's script lies, and nothing of what it shows."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from lflow import paths
from lflow.cli import Arguments, Parser, add_parameters, show
from lflow.spec import Parameter


def declare(parser: Parser, words: Sequence[str]) -> None:
    add_parameters(parser, (Parameter("port", 8501, 1, 65535, help="where the app listens"),), defaults=True)
    parser.add_argument("--headless", action="store_true", help="open no browser")


def run(arguments: Arguments) -> int:
    if find_spec("streamlit") is None:
        raise RuntimeError("the app needs Streamlit: pip install 'lflow[app]'")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", arguments.port))
        except OSError as error:
            why = f"port {arguments.port}: {error.strerror}; choose another with --port"
            raise RuntimeError(why) from None
    # Streamlit reads the theme and its settings from beside the script, in a checkout and in a wheel.
    command = [sys.executable, "-m", "streamlit", "run", str(paths.main_script())]
    command += ["--server.port", str(arguments.port), "--server.showEmailPrompt", "false"]
    command += ["--server.headless", "true"] if arguments.headless else []
    url = f"http://127.0.0.1:{arguments.port}"
    show(arguments, {"url": url}, f"lflow runs at {url}; Ctrl-C ends it")
    app = subprocess.Popen(command, stdout=sys.stderr if arguments.json else None)
    signal.signal(signal.SIGTERM, lambda *_: app.terminate())
    while True:
        try:
            code = app.wait()
            return code if code >= 0 else 128 - code  # as a shell counts signals
        except KeyboardInterrupt:  # the terminal has told the app too: let it end
            continue
