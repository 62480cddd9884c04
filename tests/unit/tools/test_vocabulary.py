import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

import vocabulary

OLD = st.sampled_from(sorted(vocabulary.INSTEAD))
PLAIN = st.sampled_from(["row", "rows", "feature", "model", "essay", "lawn", "shelfish", "hearth"])


def found(text, path="src/kurswerk/api/_app.py"):
    return [use.word for use in vocabulary.uses(path, text)]


@given(st.lists(PLAIN, max_size=3), OLD, st.lists(PLAIN, max_size=3), st.integers(0, 4))
def test_an_old_word_is_found_in_an_identifier_of_any_case_and_in_prose(before, old, after, style):
    words = [*before, old, *after]
    text = [
        "_".join(words),
        "_".join(words).upper(),
        "".join(word.capitalize() for word in words),
        f"def f():  # {' '.join(words).capitalize()}, and more",
        f'"""{" ".join(words)}."""',
    ][style]
    assert found(text) == [old]


@given(st.lists(PLAIN, max_size=6))
def test_words_that_only_contain_an_old_one_are_left_alone(words):
    assert found(f"{' '.join(words)} {'_'.join(words)}") == []


@given(st.lists(st.one_of(PLAIN, OLD), min_size=1, max_size=8))
def test_each_use_names_its_line(words):
    lines = [use.line for use in vocabulary.uses("docs/api.md", "\n".join(words))]
    assert lines == [number for number, word in enumerate(words, 1) if word in vocabulary.INSTEAD]


def test_file_names_and_phrases_count_too():
    assert found("", "tests/heard_logs.py") == ["heard"]
    assert found("metrics beside\nthe naive ones") == ["beside the naive"]
    assert found("a naive baseline, beside a model") == []


def test_an_allowed_use_is_left_alone_and_lines_after_it_keep_their_numbers():
    uses = list(vocabulary.uses("docs/api.md", "four significant figures\nfour figures"))
    assert [(use.line, use.word) for use in uses] == [(2, "figures")]


def test_an_allowed_use_is_allowed_only_where_it_is_listed():
    text = "Intended Audience"
    assert found(text, "pyproject.toml") == []
    assert found(text, "docs/api.md") == ["audience"]


def test_no_old_word_is_in_use():
    run = subprocess.run([sys.executable, vocabulary.__file__], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_every_old_word_has_one_term_and_every_exception_a_reason():
    words = [word for listed in vocabulary.TERMS for word in listed.split()]
    assert len(words) == len(set(words))
    assert all(allowed.reason for allowed in vocabulary.ALLOWED)
    assert all(vocabulary.EXEMPT.values())
