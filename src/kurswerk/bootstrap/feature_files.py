"""Files of features that are not Kurswerk's own, loaded by every process of an installation."""

import runpy
import traceback
from collections.abc import Sequence
from pathlib import Path

from kurswerk.core.errors import DataFileError, SpecError
from kurswerk.features import OWN_KINDS


def load_feature_files(paths: Sequence[Path]) -> None:
    """Run Python files that register features by `kurswerk.features.expressions.feature`.

    They are code of whoever runs the installation, like Kurswerk itself: no request and no model can name one.

    Raises
    ------
    DataFileError
        If a file is missing or fails; with the line.
    SpecError
        If two files define the same feature.
    """
    found: dict[str, Path] = {}
    for path in paths:
        before = dict(OWN_KINDS)
        try:
            runpy.run_path(str(path), run_name=f"features of {path.name}")
        except Exception as error:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            line = getattr(error, "lineno", None) or (lines[-1] if lines else 0)
            raise DataFileError("feature.file_failed", path=str(path), line=line, reason=str(error)) from error
        for name in [name for name, kind in OWN_KINDS.items() if before.get(name) is not kind]:
            if name in found:
                raise SpecError("feature.own_name_taken", name=name)
            found[name] = path
