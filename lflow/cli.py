"""`python -m lflow <command>`: the commands, their flags, how they report and how they fail.

A command is a line in COMMANDS: a module with a function that declares its flags and one that runs. Flags of
declared parameters are made from their declarations. Exit 0 on success, 2 on a bad argument, 1 on failure,
each with one line on standard error; 130 where a command was stopped before its end. Nothing heavy is
imported before a command needs it. This module knows nothing of how sampling works.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from lflow import __version__
from lflow.spec import Declared, Parameter, parameters, plain_number

Arguments = argparse.Namespace
PROGRAM = "python -m lflow"
"""What a hint says before a command."""
STOPPED = 130
"""The exit code of what was stopped before its end."""
_SECONDS_BETWEEN = 3  # lines of progress


class Command(NamedTuple):
    """A line of help, what declares the flags (it sees the words that follow the name), and what runs."""

    help: str
    declare: Callable[[Parser, Sequence[str]], None]
    run: Callable[[Arguments], int]


class Help(argparse.HelpFormatter):
    """argparse's, except that a text keeps its lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            textwrap.fill(line, width, subsequent_indent="      " * line.startswith(" "))
            for line in text.splitlines()
        )


class Parser(argparse.ArgumentParser):
    """argparse, except that a bad argument is a ValueError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=Help)

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words (of the command line) ask for; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    # OpenMP threads that spin while they wait make torch on a busy machine up to 60 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        with _stopped_at_once():
            arguments = _parser(words).parse_args(words)
        return COMMANDS[arguments.command].run(arguments)
    except SystemExit as stop:  # argparse, after --help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("lflow: interrupted", file=sys.stderr)
        return STOPPED
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        print("lflow:", " ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Ctrl-C ends the process on the spot, nothing being begun: a module that loads may swallow it."""
    is_own = threading.current_thread() is threading.main_thread()
    if not is_own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def end(number: int, frame: object) -> NoReturn:
        os.write(2, b"lflow: interrupted\n")
        os._exit(STOPPED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _parser(words: Sequence[str]) -> Parser:
    parser = Parser(prog=PROGRAM, allow_abbrev=False, description="Langevin flows from the command line.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if words and words[0] == name:
            command.declare(added, words[1:])
    return parser


def in_module(help: str, name: str) -> Command:
    """A command whose `declare` and `run` live in a module that is loaded when they are needed."""
    return Command(help, lambda *a: import_module(name).declare(*a), lambda *a: import_module(name).run(*a))


def show(arguments: Arguments, data: Mapping[str, Any], text: str) -> None:
    """Print what a command found: one JSON object, or the text for people."""
    print(json.dumps(data, allow_nan=False) if arguments.json else text, flush=True)


def new_file(out: Path, force: bool) -> Path:
    """The path of --out; ValueError if it cannot be a new file, or is one already and may not be replaced."""
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(f"--out must name a file in a folder that exists, got {out}")
    if out.exists() and not force:
        raise ValueError(f"{out} exists already: name another file, or overwrite it with --force")
    return out


@contextmanager
def whole_file(out: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its place when it is whole: an interrupted run leaves no broken one."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def progress(wanted: bool, unit: str = "steps") -> Callable[[int, int], None] | None:
    """A callback (done, total) that writes to standard error, if that is a terminal or somebody wants it."""
    terminal, last = sys.stderr.isatty(), time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.5:
            end, last = "\r" if terminal and done < total else "\n", time.monotonic()
            print(f"{done:,} of {total:,} {unit}", end=end, file=sys.stderr, flush=True)

    return report if wanted or terminal else None


def teller(wanted: bool) -> Callable[[str, int, int], None]:
    """A callback (what, done, total) that writes lines to standard error, a terminal or not: one for each
    new thing, and one every few seconds; none of what is over in a second."""
    last, about = time.monotonic(), ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last, about
        if wanted and time.monotonic() - last > (1 if what != about else _SECONDS_BETWEEN):
            last, about = time.monotonic(), what
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return tell


def add_parameters(
    parser: Parser, declared: Sequence[Parameter], role: str = "", owner: str = "", defaults: bool = False
) -> None:
    """One flag for each parameter, checked by its declaration; a taken name gets the role before it.

    Values arrive as `role.name`, or `name` without a role; absent if not given, unless `defaults`.
    """
    of = f"parameters of the {role} {owner}".rstrip()
    group = parser.add_argument_group(of) if role and declared else parser
    for parameter in declared:
        flag = flag_of(parameter)
        if flag in parser._option_string_actions:
            flag = f"--{role}-{flag[2:]}"
        options: dict[str, Any] = {"type": _parse(parameter), "help": _help(parameter)}
        options["dest"] = f"{role}.{parameter.name}" if role else parameter.name
        options["default"] = parameter.default if defaults else argparse.SUPPRESS
        options["metavar"] = "|".join(parameter.choices or ()) or parameter.kind.__name__.upper()
        if parameter.kind is bool:  # the flag alone says true
            options |= {"nargs": "?", "const": True}
        group.add_argument(flag, **options)


def listed(title: str, entries: Mapping[str, str]) -> str:
    """Names and what is said of them, a line each, for the end of help."""
    return "\n".join([f"{title}:", *(f"  {name}: {about}" for name, about in entries.items())])


def flag_of(parameter: Parameter) -> str:
    """The flag of a parameter whose name is not taken."""
    return f"--{parameter.name.replace('_', '-')}"


def without_effect(owner: Declared, names: Collection[str]) -> list[str]:
    """A sentence on each of the owner's parameters of these names that has no effect beside the others."""
    values = owner.config()
    return [
        f"{flag_of(each)} has no effect: {each.when[0]} is {values[each.when[0]]}"
        for each in parameters(owner)
        if each.when and each.name in names and not each.has_effect(values)
    ]


def _help(parameter: Parameter) -> str:
    low, high = parameter.low, parameter.high
    bounds = [plain_number(bound) for bound in (low, high) if bound is not None]
    span = "" if low is None else f"{bounds[0]} or more, " if high is None else f"{' to '.join(bounds)}, "
    facts = f"{span}default {parameter.default} {parameter.unit}".rstrip()
    return f"{parameter.help} ({facts})".replace("%", "%%")


def _parse(parameter: Parameter) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return parameter.parse(text)
        except ValueError as error:  # argparse keeps the sentence of this error type only
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def given(arguments: Arguments, role: str, owner: Any) -> dict[str, Any]:
    """An owner's parameters as the flags, and `--<role>-param name=value`, give them."""
    known = {parameter.name: parameter for parameter in parameters(owner)}
    values = {name: vars(arguments)[f"{role}.{name}"] for name in known if f"{role}.{name}" in arguments}
    for pair in getattr(arguments, f"{role}_param"):
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            has = ", ".join(known) or "no parameters"
            raise ValueError(f"--{role}-param takes name=value, got {pair!r}; {owner.name} has: {has}")
        if name in values:
            raise ValueError(f"{owner.name}: {name} is given twice")
        values[name] = known[name].parse(text.strip())
    return values


COMMANDS = {
    "sample": in_module("run a sampler on an energy", "lflow.commands.sample"),
    "train": in_module("train a model in a new run folder", "lflow.commands.train"),
    "resume": in_module("go on with a run from its last checkpoint", "lflow.commands.resume"),
    "runs": in_module("the runs in a folder and where they stand", "lflow.commands.runs"),
    "generate": in_module("samples of a trained model, as a picture or arrays", "lflow.commands.generate"),
    "evaluate": in_module("how good a trained model is, in numbers", "lflow.commands.evaluate"),
    "paper": in_module(
        "a paper's experiment, small and honest: numbers and a figure", "lflow.commands.paper"
    ),
    "bench": in_module("measure speed, beside plain autograd and peers", "lflow.bench"),
    "export": in_module("what a link shows, or what a run has learned, as a file", "lflow.commands.export"),
    "app": in_module("open the lab in a browser", "lflow.commands.app"),
}
