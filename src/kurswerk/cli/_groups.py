"""Commands that do something by themselves and have subcommands beside it."""

from collections.abc import Sequence

import click
from typing_extensions import override


class CommandGroup(click.Group):
    """A command with subcommands: a first word that names none of them is an argument of the command itself.

    Parameters
    ----------
    own
        The command without a subcommand; its help lists the subcommands.
    subcommands
        The others.
    """

    def __init__(self, own: click.Command, subcommands: Sequence[click.Command]) -> None:
        super().__init__(own.name, commands={str(command.name): command for command in subcommands})
        self.own = own
        self.help = own.help
        names = ", ".join(f"kurswerk {own.name} {command.name}" for command in subcommands)
        own.epilog = f"See also: {names} (--help)."

    @override
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Return the context of the subcommand that the first word names, or of the command itself."""
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        return self.own.make_context(info_name, args, parent, **extra)
