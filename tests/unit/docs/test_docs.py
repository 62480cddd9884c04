"""The documentation: complete, up to date, and without a dead link."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import feature_docs
import settings_docs
from kurswerk.cli._main import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "README.de.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_the_features_page_holds_what_the_library_declares():
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == feature_docs.page()


def test_the_settings_page_holds_what_the_code_declares():
    assert settings_docs.TARGET.read_text(encoding="utf-8") == settings_docs.page(), "run python tools/settings_docs.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page):
    for name in re.findall(r"(?:^|`)kurswerk ([a-z]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert name in COMMANDS, f"{page.name} names kurswerk {name}"


def test_the_german_first_model_has_the_commands_and_files_of_the_english_one():
    """The English guide is run as it is written."""
    english, german = (
        re.findall(r"^```.*?^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for page in ("first-model.md", "de/first-model.md")
    )
    assert german == english
    assert len(german) > 6


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "features" / "index.html").exists()
