"""`loom`: finds the command, runs it, and turns every error into one sentence and an exit code.

Exit codes: 0 done, 1 a failed job, 2 bad input, 130 Ctrl-C, 141 nobody reads the output any more.
A command is a plain function in a module of its own, imported when its name is called; what is heavy is imported inside it.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from worldloom.cli.report import close_quietly, tell
from worldloom.core.errors import InputError, UnknownName, WorldAuthorError, WorldloomError

COMMANDS = {  # name: module of this package and the function in it
    "demo": "demo:demo",
    "worlds": "worlds:worlds",
    "evolve": "evolve:evolve",
    "resume": "resume:resume",
    "runs": "runs:runs",
    "show": "show:show",
    "replay": "replay:replay",
    "fork": "fork:fork",
    "export": "export:export",
    "import": "import_:import_",
    "bench": "bench:bench",
    "serve": "serve:serve",
    "profile": "profile:profile",
    "warm": "warm:warm",
    "doctor": "doctor:doctor",
}
SETTINGS: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False}
UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the copy of it inside Typer: that depends on Typer's version


class Commands(TyperGroup):
    """Commands of the platform and of each installed world, imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *sorted(own_commands())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS:
            return platform_command(cmd_name)
        if cmd_name in own_commands():  # for the help: the world itself is not imported
            return TyperGroup(name=cmd_name, help=f"What only {cmd_name} can do.", rich_markup_mode=None)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, rest = args[0], args[1:]
        if name in COMMANDS:
            return name, platform_command(name), rest
        if name in own_commands():
            return name, world_command(name), rest or ["--help"]
        raise UnknownName("command", name, self.list_commands(ctx))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # here, because Typer would drop its message
            tell(str(stop) or "Stopped.")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # here too: Typer would end with 1
            close_quietly()
            raise typer.Exit(141) from None


def own_commands() -> set[str]:
    """Names of worlds under which `loom` looks for commands."""
    from worldloom.worlds.find import installed

    return set(installed()) - set(COMMANDS)


def platform_command(name: str) -> Any:
    """The command of that name, for Typer."""
    module, _, function = COMMANDS[name].partition(":")
    app = typer.Typer(**SETTINGS)
    app.command(name=name)(getattr(import_module(f"worldloom.cli.{module}"), function))
    return typer.main.get_command(app)


def world_command(name: str) -> Any:
    """The commands that a world brings along. Raises InputError where there are none, WorldAuthorError where they do not load."""
    from worldloom.worlds.find import find

    world = find(name)
    if not world.commands:
        raise InputError(f"World {name!r} has no commands of its own. Expected one of `loom --help`. Try: loom evolve {name}")
    module, _, attribute = world.commands.partition(":")
    try:
        group = typer.main.get_group(getattr(import_module(module), attribute))
    except Exception as error:
        raise WorldAuthorError(
            f"The commands of world {name!r} do not load from {world.commands!r}: {error}. Mend or uninstall it."
        ) from error
    group.name = name
    return group


app = typer.Typer(
    cls=Commands, help="Write one step of one small world; run a million of them with the same bits everywhere.", **SETTINGS
)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version

        print(f"loom {version('worldloom')}")
        raise typer.Exit


@app.callback()
def front_door(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=show_version, is_eager=True),
) -> None:
    """Write one step of one small world; run a million of them with the same bits everywhere."""


def run(args: Sequence[str] | None = None) -> int:
    """Run a command line; its exit code."""
    try:
        command = typer.main.get_command(app)
        ended = command.main(list(sys.argv[1:] if args is None else args) or ["--help"], prog_name="loom", standalone_mode=False)
        sys.stdout.flush()
        return ended if isinstance(ended, int) else 0
    except BrokenPipeError:
        close_quietly()
        return 141
    except KeyboardInterrupt as stop:
        tell(str(stop) or "Stopped.")
        return 130
    except (WorldloomError, UsageError) as error:
        return failed(error, *explained(error))
    except MemoryError as error:
        return failed(error, "There is not enough memory for this. Expected smaller numbers. Try a smaller --population.", 1)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return failed(error, f"The command failed with {what}. Expected no such error. See where with LOOM_TRACEBACK=1.", 1)


def explained(error: Any) -> tuple[str, int]:
    """A sentence and the exit code for an error that we know."""
    if isinstance(error, WorldloomError):
        return str(error), error.exit_code
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if context is not None else ""
    return " ".join(error.format_message().split()).rstrip(".") + "." + hint, 2


def failed(error: BaseException, sentence: str, code: int) -> int:
    """Say what went wrong, with the traceback where LOOM_TRACEBACK asks for it; the exit code."""
    if os.environ.get("LOOM_TRACEBACK"):
        traceback.print_exception(error)
    tell(sentence)
    return code
