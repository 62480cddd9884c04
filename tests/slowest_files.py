"""At the end of `make test`: the files whose tests took longest, so that who adds a dear one sees it."""

from collections import Counter

import pytest

LISTED = 10


class SlowestFiles:
    """Adds up by file how long tests and their fixtures took, in all processes of pytest-xdist."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test: its set-up, its call or its end."""
        self.seconds[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List the files, dearest first, with their share of the whole."""
        whole = sum(self.seconds.values())
        terminalreporter.section(f"slowest files of {whole:.0f} s")
        for path, seconds in self.seconds.most_common(LISTED):
            terminalreporter.line(f"{seconds:6.1f} s  {seconds / whole:4.0%}  {path}")


def pytest_configure(config: pytest.Config) -> None:
    """Report where processes were asked for, as `make test` and `make soak` do: a single test needs no list."""
    if getattr(config.option, "numprocesses", None):
        config.pluginmanager.register(SlowestFiles())
