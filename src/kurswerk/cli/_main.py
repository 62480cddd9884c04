"""The command ``kurswerk``: finds a command's file, runs it, turns errors into one clear line."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click
from typing_extensions import override

from kurswerk import __version__
from kurswerk.cli._output import report_error
from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message

_PACKAGE = Path(__file__).resolve().parents[1]
# Command → (module, one line of help). The line stands here so that --help imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the main job on a simulated market, write a report, predict live."),
    "db": ("db", "Prepare, inspect, back up, restore and stop the database."),
    "simulate": ("simulate", "Write a believable, reproducible market."),
    "ingest": ("ingest", "Bring files of market data into the database."),
    "data": ("data", "Show and manage stored market data."),
    "fetch": ("fetch", "Fetch bars of stocks from a provider."),
    "calendar": ("calendar", "Show and update the trading sessions of exchanges."),
    "collect": ("collect", "Collect market data as it happens."),
    "watchlist": ("watchlist", "Follow instruments together, under a name."),
    "train": ("train", "Train a model from a specification."),
    "test": ("test", "Test a model on any period and any coins."),
    "backtest": ("backtest", "Trade a model's signals over stored bars, with costs, and report honestly."),
    "compare": ("compare", "Compare two models on identical rows."),
    "models": ("models", "List models, show one, export, reproduce or delete it."),
    "certify": ("certify", "Prove that a model sees no future and computes the same bits live."),
    "activate": ("activate", "Let a certified model predict every new row."),
    "deactivate": ("deactivate", "Let a model predict no more."),
    "features": ("features", "Compute a specification's features for a file."),
    "predict": ("predict", "Predict from a coin's latest stored row."),
    "outcomes": ("outcomes", "Show what became of predictions, and how good models are by it."),
    "report": ("report", "Write a readable report on tested models."),
    "serve": ("serve", "Serve the REST API and work on its jobs."),
    "health": ("health", "Show how the running service is."),
    "worker": ("worker", "Work on jobs, beside services on this or other machines."),
    "keys": ("keys", "Make, list and revoke API keys."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        # Settings and their library cost more than all of --help, which needs neither.
        from kurswerk.bootstrap.environment import (  # noqa: PLC0415 - see above
            let_idle_threads_sleep,
            load_features,
            share_metrics,
            use_kernel_cache,
        )
        from kurswerk.bootstrap.settings import read_settings  # noqa: PLC0415 - see above

        let_idle_threads_sleep()
        settings = read_settings(os.environ, Path.cwd())
        use_kernel_cache(settings)
        share_metrics(settings)
        load_features(settings)
        module = import_module(f"kurswerk.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"kurswerk.cli.{cmd_name} has no click command named 'command'")
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kurswerk")
def kurswerk() -> None:
    """Kurswerk: machine learning on markets with honest numbers.

    Every command takes --json (one JSON document on stdout). Settings: KURSWERK_DATA_DIR, KURSWERK_DATABASE_URL or
    kurswerk.toml. Start with: kurswerk demo
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit 0 done, 1 failed with one clear line, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = kurswerk.main(args=words, prog_name="kurswerk", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)  # click hands over the code of Context.exit
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        report_error(str(Message("cli.interrupted")), as_json="--json" in words)
        sys.exit(130)
    except KurswerkError as error:
        report_error(str(error), as_json="--json" in words, kind=type(error).__name__, message=error.message)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        about = error.filename or f"in {_place_of(error)}; report it to its developers"
        message = Message("cli.system_error", error=error.strerror or str(error), place=about)
        report_error(str(message), as_json="--json" in words, message=message)
        sys.exit(1)
    except MemoryError:
        report_error(str(Message("cli.out_of_memory")), as_json="--json" in words)
        sys.exit(1)


def _place_of(error: OSError) -> str:
    """Return the file and line of ours that an error came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)] or frames
    return f"{Path(ours[-1].filename).name}, line {ours[-1].lineno}"
