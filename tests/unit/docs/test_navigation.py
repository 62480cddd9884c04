import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page():
    navigation = re.search(r"^nav:\n(.*?)^\S", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE | re.DOTALL)
    assert navigation is not None
    listed = re.findall(r"[\w/.-]+\.md", navigation.group(1))
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)


def test_the_public_checks_are_those_that_decide_here():
    decisive, public = (
        re.findall(r"^(?:      - run: )?make (\w+)$", (ROOT / path).read_text(), re.MULTILINE)
        for path in (".ci/run", ".github/workflows/ci.yml")
    )
    assert decisive == public == ["check", "test", "docs"]
