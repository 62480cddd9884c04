"""Build hook: puts the message catalogues into the wheel, compiled as gettext reads them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGES = Path("src")


class CompileCatalogues(BuildHookInterface[Any]):  # type: ignore[misc]  # hatchling is there in builds alone
    """Compiles every ``.po`` of the package for a wheel; an editable install reads the sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the compiled catalogues beside the build and name their places in the wheel."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory()
        packages = Path(self.root) / _PACKAGES
        for source in sorted(packages.glob("kurswerk/locale/*/LC_MESSAGES/*.po")):
            place = source.relative_to(packages).with_suffix(".mo")
            compiled = Path(self._folder.name) / place
            compiled.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as texts, compiled.open("wb") as file:
                write_mo(file, read_po(texts))
            build_data["force_include"][str(compiled)] = str(place)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was written beside the build."""
        if version != "editable":
            self._folder.cleanup()
