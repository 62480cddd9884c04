"""Which backups a rule keeps, stated as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import InvalidInputError
from kurswerk.storage.backup._keep import KeepRule, surplus

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MOMENTS = st.sets(st.integers(0, 400), max_size=20).map(lambda hours: [NOW - timedelta(hours=one) for one in hours])
RULES = st.builds(KeepRule, st.none() | st.integers(1, 25), st.none() | st.floats(0, 20))


@given(MOMENTS, RULES)
def test_what_is_removed_is_neither_among_the_newest_nor_of_the_last_days(moments, rule):
    gone = surplus(moments, rule, NOW)
    kept = set(moments) - set(gone)
    assert set(gone) <= set(moments)
    for moment in gone:
        newer = sum(other > moment for other in moments)
        assert newer >= (rule.last or 1)
        assert rule.days is None or (NOW - moment).total_seconds() > rule.days * 86_400
    for moment in kept:
        newer = sum(other > moment for other in moments)
        unruled = rule.last is None and rule.days is None
        recent = rule.days is not None and NOW - moment <= timedelta(days=rule.days)
        assert unruled or recent or newer < (rule.last or 1)
    assert not moments or max(moments) in kept


@pytest.mark.parametrize("rule", [{"last": 0}, {"last": -1}, {"days": -0.5}, {"days": float("nan")}])
def test_a_rule_that_keeps_nothing_is_refused(rule):
    with pytest.raises(InvalidInputError, match="keep"):
        KeepRule(**rule)
