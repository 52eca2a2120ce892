"""Mistakes in the command line itself as one line each: what is wrong, and what to type instead."""

from typing import Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.token import Token

from ratelab.core.errors import nearest

KINDS = {int: "a whole number", float: "a number"}


def one_line(error: CycloptsError) -> str:
    """What the parser found wrong, in one line that names the nearest valid command or option."""
    error.verbose = False
    see = f"see 'ratelab {' '.join([*(error.command_chain or ()), '--help'])}'"
    match error:
        case UnknownOptionError():
            option = (error.token.keyword or error.token.value).partition("=")[0]
            return f"unknown option '{option}'{nearest(option, _options(error))}"
        case UnknownCommandError() | UnusedCliTokensError():
            return _left_over((error.unused_tokens or [""])[0], _commands(error), see)
        case MissingArgumentError():
            return f"{_missing(error)}; {see}"
        case CoercionError(token=Token() as token):
            return f"{_wrong_value(error, token)}; {see}"
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[0].lower()}{text[1:]}; {see}"


def _left_over(token: str, commands: list[str], see: str) -> str:
    if token.startswith("-"):
        return f"unknown option '{token}' in this place; options come behind a command, e.g. 'ratelab train RECIPE --store DIR'"
    return f"unknown command '{token}'{nearest(token, commands)}" if commands else f"'{token}' is one argument too many; {see}"


def _commands(error: CycloptsError) -> list[str]:
    app = error.app
    return [] if app is None else [name for name in app if not name.startswith("-")]


def _options(error: UnknownOptionError) -> list[str]:
    names = [name for argument in error.argument_collection for name in argument.names if argument.parse]
    return [name for name in [*names, "--help"] if name.startswith("-")]


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    if argument is None:
        return "an argument is missing"
    name = argument.name
    return f"{name} needs a value" if argument.tokens or name.startswith("-") else f"{name.upper()} is missing"


def _wrong_value(error: CoercionError, token: Token) -> str:
    name = token.keyword or (error.argument.name.upper() if error.argument else "value")
    if get_origin(error.target_type) is Literal:
        return f"{name}: '{token.value}' is none of {', '.join(map(str, get_args(error.target_type)))}"
    return f"{name}: '{token.value}' is not {KINDS.get(error.target_type or str, 'a valid value')}"
