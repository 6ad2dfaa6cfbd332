"""The page `Command line`: every command with its arguments, read from the parsers that the command itself uses."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from tessera.tools import cli

WIDTH = 84  # columns of the usage lines

HEAD = """# Command line

This page is made from the parsers of the command `tessera`, so it says what the installed version does.
`tessera COMMAND --help` prints the same text.

Exit status: 0 done; 1 the answer is no (`verify` found damage); 2 an error, explained in one line; 130 interrupted.

| command | what it does |
|---|---|
"""


def document() -> str:
    """The whole page as Markdown."""
    rows = "".join(f"| [`{name}`](#tessera-{name}) | {_cell(text)} |\n" for name, (_, text) in cli.COMMANDS.items())
    sections = (_section(parser) for name in cli.COMMANDS for parser in _parsers(_child(name)))
    return HEAD + rows + "\n" + "\n".join(sections)


def _child(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    return _children(cli.build_parser(name))[name]


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and those of its own commands."""
    yield parser
    for child in _children(parser).values():
        yield from _parsers(child)


def _section(parser: argparse.ArgumentParser) -> str:
    """One command: what it does, how it is called, a table for each group of arguments."""
    formatter = argparse.HelpFormatter(parser.prog, width=WIDTH)
    shown = [action for action in parser._actions if _is_shown(action)]
    formatter.add_usage(parser.usage, shown, parser._mutually_exclusive_groups, "")
    usage = formatter.format_help().strip()
    parts = [f"## {parser.prog}\n", f"{parser.description or ''}\n", f"```text\n{usage}\n```\n"]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if _is_shown(action)]
        if actions:
            title = "" if group.title in ("positional arguments", "options") else f"{group.title or ''}:\n\n"
            rows = "".join(_row(action, formatter) for action in actions)
            parts.append(f"{title}| argument | meaning |\n|---|---|\n{rows}")
    return "\n".join(parts)


def _is_shown(action: argparse.Action) -> bool:
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return action.help != argparse.SUPPRESS and not isinstance(action, hidden)


def _row(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """`| --quality 0..100 | meaning; default 50 |`."""
    names = ", ".join(action.option_strings)
    value = formatter._format_args(action, _metavar(action)) if action.nargs != 0 else ""
    text = formatter._expand_help(action) if action.help else ""
    stated = "default" in text or action.default in (None, False, [], argparse.SUPPRESS) or not action.option_strings
    text = text if stated else f"{text}; default `{action.default}`".removeprefix("; ")
    return f"| `{' '.join(word for word in (names, value) if word)}` | {_cell(text)} |\n".replace("`|", "`\\|")


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _cell(text: str) -> str:
    """Text for a cell of a table; what Markdown would read as markup is escaped outside of code."""
    parts = text.replace("|", "\\|").split("`")
    plain = [re.sub(r"([\[\]<*_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(part for pair in zip(plain, [*parts[1::2], ""], strict=False) for part in pair).removesuffix("`")
