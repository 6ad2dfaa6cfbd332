"""The command `tessera`: picks a subcommand, turns errors into one line and an exit status.

Each subcommand is a module of the folder `commands` with `configure(parser)` and `run(args) -> int`.  Only the module
of the command that was asked for is imported, and it imports what is heavy inside `run`, so `tessera --help` answers at
once.

Exit status: 0 done, 1 the answer is no (`verify`: damaged), 2 an error the message explains, 130 interrupted, 129 or
143 ended by SIGHUP or SIGTERM.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import tessera

COMMANDS: dict[str, tuple[str, str]] = {  # name -> (module, one line of help)
    "encode": ("encode", "code a picture, video or folder of frames as a .tsr file"),
    "decode": ("decode", "decode a .tsr file to a picture, video or folder of frames"),
    "info": ("info", "show what a .tsr file holds and where its bits went"),
    "verify": ("verify", "check every checksum and decode the whole file"),
    "repair": ("repair", "write what is left of a damaged .tsr file as a sound one"),
    "demo": ("demo", "code a picture and a clip, show sizes, quality, times and a side-by-side picture"),
    "tokens": ("tokens", "read a .tsr file as tokens for a model, without making pixels"),
    "bulk": ("bulk", "encode, decode, verify or read as tokens many files, on one machine or a cluster"),
    "codecs": ("codecs", "list the codec families, their options and weights"),
    "compare": ("compare", "make a page with a slider between pictures or codecs"),
    "evaluate": ("evaluate", "measure rate and quality beside other codecs: BD-rate, plots, a page"),
    "bench": ("bench", "measure speeds, memory and sizes beside installed peers"),
    "train": ("train", "train a codec family"),
    "export": ("export", "turn a training run into a weights file"),
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports a wrong command line in the form of every other error."""

    def error(self, message: str) -> None:  # type: ignore[override]  # leaves by exit, as the parent does
        self.exit(2, f"tessera: {message} (see `{self.prog} --help`)\n")


class _Version(argparse.Action):
    """Prints the version, which is looked up only when it is asked for: the look-up takes time at every start."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        print(f"tessera {tessera.__version__}")
        parser.exit()


class _Ended(KeyboardInterrupt):
    """A signal that asks the process to end: files are cleaned up as after Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Threads that spin while they wait slow each other down tenfold on shared cores.  OpenMP reads this once, when
    # torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        args = build_parser(_command(arguments)).parse_args(arguments)
        status = int(args.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except _Ended as ended:
        _say(f"ended by {signal.Signals(ended.args[0]).name}")
        return 128 + int(ended.args[0])
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output is gone.  Python would complain once more when it flushes at exit.
        _drop_output()
        return 1
    except OSError as error:
        if error.filename is None:
            _drop_output()
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        lacking = f"no {_command(arguments)} without PyTorch, which is not installed"
        return _fail(f"{lacking}: pip install 'tessera-codec[torch]'")
    except Exception as error:
        if not _is_codec_error(error):
            raise
        return _fail(str(error))


def run() -> int:
    """The process `tessera`: `main` with the standard streams in order, and signals that end it as Ctrl-C does."""
    _prepare_streams()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    return main()


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # `timeout` sends it twice; cleaning up must not be cut short
    raise _Ended(number)


def _prepare_streams() -> None:
    """Let a terminal that lacks a letter show its number instead of ending the command, and hold closed descriptors.

    A file that we open must not get the number of a closed standard stream: C libraries print their complaints there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Point standard output nowhere, so that Python does not try to write the rest at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    if sys.stderr is not None:
        print("tessera: " + message, file=sys.stderr)


def _is_codec_error(error: Exception) -> bool:
    from tessera.codec.errors import CodecError

    return isinstance(error, CodecError)


def _fail(message: str) -> int:
    _say(" ".join(message.split()))
    return 2


def _command(arguments: Sequence[str]) -> str | None:
    """The subcommand that `arguments` name, or None."""
    return next((word for word in arguments if word in COMMANDS), None)


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """The whole parser, with the options of `command` alone."""
    parser = _Parser(prog="tessera", description="A learned image and video codec.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (module_name, summary) in COMMANDS.items():
        child = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == command:
            module = importlib.import_module(f"tessera.tools.commands.{module_name}")
            module.configure(child)
            child.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(run())
