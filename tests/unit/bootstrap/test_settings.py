"""Settings: where they come from, which wins, and what is refused."""

import os
import re
import traceback
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import env_example
import kurswerk
from kurswerk.bootstrap.environment import (
    VARIABLE,
    WITHOUT_KERNELS,
    let_idle_threads_sleep,
    state_of_sources,
    use_kernel_cache,
)
from kurswerk.bootstrap.settings import WITHOUT_EFFECT, Settings, read_settings, secret_variables
from kurswerk.core.errors import InvalidInputError, UnknownNameError


def test_without_anything_the_database_is_embedded_in_the_users_data_directory(tmp_path):
    settings = read_settings({}, tmp_path)
    assert settings.database_url is None
    assert settings.data_dir.is_absolute()
    assert settings.quarantine_dir.parent == settings.data_dir


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / "kurswerk.toml").write_text('database_url = "postgresql://file/db"\ndata_dir = "/from/file"\n')
    assert read_settings({}, tmp_path) == Settings(data_dir=Path("/from/file"), database_url="postgresql://file/db")
    environment = {"KURSWERK_DATABASE_URL": "postgresql://env/db", "KURSWERK_DATA_DIR": "/from/env"}
    assert read_settings(environment, tmp_path) == Settings(
        data_dir=Path("/from/env"), database_url="postgresql://env/db"
    )


def test_a_file_may_be_named(tmp_path):
    (tmp_path / "other.toml").write_text('data_dir = "/named"\n')
    assert read_settings({"KURSWERK_CONFIG": str(tmp_path / "other.toml")}, tmp_path).data_dir == Path("/named")
    with pytest.raises(InvalidInputError, match="cannot read the settings file"):
        read_settings({"KURSWERK_CONFIG": str(tmp_path / "absent.toml")}, tmp_path)


@given(st.text(st.characters(codec="ascii", exclude_characters="\x00"), min_size=1), st.text(min_size=1, max_size=20))
def test_the_older_services_names_make_a_url_whatever_the_password(password, name):
    environment = {"DB_HOST": "db", "DB_PORT": "5433", "DB_NAME": name, "DB_USER": "me", "DB_PASSWORD": password}
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    parts = urlsplit(read_settings(environment, Path("/nowhere")).database_url.get_secret_value())
    assert (parts.hostname, parts.port, parts.username) == ("db", 5433, "me")
    assert unquote(parts.password) == password
    assert unquote(parts.path[1:]) == name


def test_a_dsn_wins_over_its_parts_and_drivers_in_the_scheme_are_dropped(tmp_path):
    environment = {"DB_DSN": "postgresql+asyncpg://a:b@h/db", "DB_HOST": "other"}
    assert read_settings(environment, tmp_path).database_url.get_secret_value() == "postgresql://a:b@h/db"


@pytest.mark.parametrize(
    ("environment", "file", "error", "message"),
    [
        ({"KURSWERK_DATABASE_URL": "mysql://h/db"}, "", InvalidInputError, "'mysql'"),
        ({"KURSWERK_DATABASE_URL": "nonsense"}, "", InvalidInputError, "postgresql://user:password@host"),
        ({"DB_HOST": "h", "DB_PORT": "five"}, "", InvalidInputError, "DB_PORT is 'five'"),
        ({}, "data_dir = 5", InvalidInputError, "must be text in quotes"),
        ({}, "data_dri = 'x'", UnknownNameError, "did you mean 'data_dir'"),
        ({}, "[", InvalidInputError, "is no TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, environment, file, error, message):
    (tmp_path / "kurswerk.toml").write_text(file)
    with pytest.raises(error, match=message):
        read_settings(environment, tmp_path)


def test_a_password_is_never_in_the_message(tmp_path):
    with pytest.raises(InvalidInputError) as caught:
        read_settings({"KURSWERK_DATABASE_URL": "oracle://me:secret@host/db"}, tmp_path)
    assert "secret" not in str(caught.value)


def test_secrets_are_in_no_representation_and_in_no_refusal(tmp_path):
    secret = "s3cr3t-of-mine"
    url = f"postgresql://me:{secret}@host/db"
    environment = {
        "KURSWERK_DATABASE_URL": url, "KURSWERK_HTTP_REDIS_URL": f"redis://:{secret}@cache",
        "KURSWERK_ALERTS_WEBHOOK_SECRET": secret,
    }  # fmt: skip
    settings = read_settings(environment, tmp_path)
    assert settings.database_url.get_secret_value() == url
    assert settings.http.redis_url.get_secret_value() == f"redis://:{secret}@cache"
    assert settings.alerts.webhook_secret.get_secret_value() == secret
    for text in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.http} {settings.alerts!r}"):
        assert secret not in text
    (tmp_path / "kurswerk.toml").write_text(f'database_url = ["{url}"]\n')
    with pytest.raises(InvalidInputError, match="must be text in quotes") as refused:
        read_settings({"KURSWERK_HTTP_PORT": "1"}, tmp_path)
    assert secret not in "".join(traceback.format_exception(refused.value))


@given(
    st.dictionaries(
        st.sampled_from(
            [("http", "port"), ("predictor", "batch_size"), ("predictor", "model_cache"), ("worker", "memory_mb")]
        ),
        st.tuples(st.booleans(), st.integers(64, 1000), st.booleans(), st.integers(64, 1000)),
    )
)
def test_of_two_places_the_environment_wins_setting_by_setting(tmp_path_factory, chosen):
    folder = tmp_path_factory.mktemp("settings")
    expected, lines, environment = {}, {}, {}
    for (group, field), (in_file, of_file, in_environment, of_environment) in chosen.items():
        if in_file:
            lines.setdefault(group, []).append(f"{field} = {of_file}")
            expected[group, field] = of_file
        if in_environment:
            environment[f"KURSWERK_{group}_{field}".upper()] = str(of_environment)
            expected[group, field] = of_environment
    (folder / "kurswerk.toml").write_text(
        "".join(f"[{group}]\n" + "\n".join(rows) + "\n" for group, rows in lines.items())
    )
    settings, defaults = read_settings(environment, folder), Settings()
    for group, field in chosen:
        default = getattr(getattr(defaults, group), field)
        assert getattr(getattr(settings, group), field) == expected.get((group, field), default)


def test_settings_made_directly_ask_nothing_around_them(tmp_path, monkeypatch):
    monkeypatch.setenv("KURSWERK_HTTP_PORT", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kurswerk.toml").write_text("[http]\nport = 2\n")
    assert Settings(data_dir=tmp_path).http.port == 8000


def test_a_group_that_is_a_variable_and_a_value_that_does_not_fit_are_no_settings(tmp_path):
    strange = {"KURSWERK_HTTP": "5", "KURSWERK_HTTP_PROT": "5", "kurswerk_http_port": "5", "KURSWERK_LOG_": "x"}
    assert read_settings(strange, tmp_path) == read_settings({}, tmp_path)
    (tmp_path / "kurswerk.toml").write_text("[worker]\nconcurrency = true\n")
    with pytest.raises(InvalidInputError, match=r"\[worker\] concurrency is 'True'; give a whole number"):
        read_settings({}, tmp_path)


def test_the_cache_of_kernels_belongs_to_one_state_of_the_sources(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    use_kernel_cache(Settings(data_dir=tmp_path))

    assert os.environ[VARIABLE] == str(tmp_path / "cache" / "kernels" / state_of_sources())
    monkeypatch.setenv(VARIABLE, "/chosen")
    use_kernel_cache(Settings(data_dir=tmp_path))
    assert os.environ[VARIABLE] == "/chosen"


def test_packages_beside_the_cache_define_no_kernel_and_are_imported_by_none_that_do():
    """A change in them leaves the compiled kernels what they are."""
    root = Path(kurswerk.__file__).parent
    imports = {
        path: set(re.findall(r"^\s*(?:from|import) kurswerk\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in root.glob("*/**/*.py")
    }
    defining = {path.relative_to(root).parts[0] for path in imports if "kurswerk.core.jit" in path.read_text("utf-8")}
    reached = defining | {"core"}
    while True:
        more = {name for path, names in imports.items() if path.relative_to(root).parts[0] in reached for name in names}
        if more <= reached:
            break
        reached |= more
    assert {"features", "sources", "storage", "evaluation"} <= reached
    assert not reached & WITHOUT_KERNELS


def test_idle_threads_sleep_unless_set_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_groups_come_from_the_environment_the_file_and_the_defaults_in_this_order(tmp_path):
    (tmp_path / "kurswerk.toml").write_text(
        '[http]\nport = 9000\nhost = "::1"\nallowed_hosts = ["a", "b"]\n[worker]\nconcurrency = 3\n'
    )
    environment = {"KURSWERK_HTTP_PORT": "9001", "KURSWERK_LOG_LEVEL": "debug", "KURSWERK_HTTP_READ_LIMIT": "off"}
    settings = read_settings(environment, tmp_path)
    assert (settings.http.port, settings.http.host, settings.http.allowed_hosts) == (9001, "::1", ("a", "b"))
    assert (settings.http.read_limit, settings.http.write_limit) == (None, "600/minute")
    assert (settings.worker.concurrency, settings.worker.memory_mb) == (3, None)
    assert (settings.log.level, settings.log.format) == ("debug", "auto")


@pytest.mark.parametrize("text", ["1", "true", "YES", "on"])
def test_keys_are_required_or_not_in_several_words(text, tmp_path):
    assert read_settings({}, tmp_path).http.require_keys is None
    assert read_settings({"KURSWERK_HTTP_REQUIRE_KEYS": text}, tmp_path).http.require_keys is True
    assert read_settings({"KURSWERK_HTTP_REQUIRE_KEYS": "no"}, tmp_path).http.require_keys is False


@pytest.mark.parametrize(
    ("environment", "file", "error", "message"),
    [
        ({"KURSWERK_HTTP_PORT": "70000"}, "", InvalidInputError, "PORT is 70000; it must be at least 0 and at most"),
        ({"KURSWERK_HTTP_PORT": "http"}, "", InvalidInputError, "'http'; give a whole number"),
        ({"KURSWERK_WORKER_CONCURRENCY": "0"}, "", InvalidInputError, "must be at least 1"),
        ({"KURSWERK_WORKER_MEMORY_MB": "1"}, "", InvalidInputError, "must be at least 64"),
        ({"KURSWERK_HTTP_REQUIRE_KEYS": "maybe"}, "", InvalidInputError, "write true or false"),
        ({"KURSWERK_LOG_LEVEL": "infos"}, "", UnknownNameError, "did you mean 'info'"),
        ({}, "[http]\nprot = 1", UnknownNameError, "did you mean 'port'"),
        ({}, "[http]\nport = 'x'", InvalidInputError, r"\[http\] port is 'x'"),
        ({}, "http = 5", InvalidInputError, r"write \[http\]"),
        ({}, "[htpt]", UnknownNameError, "did you mean 'http'"),
    ],
)
def test_a_wrong_value_in_a_group_is_named(tmp_path, environment, file, error, message):
    (tmp_path / "kurswerk.toml").write_text(file)
    with pytest.raises(error, match=message):
        read_settings(environment, tmp_path)


def test_the_example_file_lists_every_setting_and_changes_none_of_them(tmp_path):
    text = env_example.TARGET.read_text(encoding="utf-8")
    assert text == env_example.page(), "run python tools/env_example.py"
    given = dict(re.findall(r"^#(KURSWERK_\w+_\w+)=(.+)$", text, flags=re.MULTILINE))
    given.pop("KURSWERK_DATABASE_URL")
    assert read_settings(given, tmp_path) == read_settings({}, tmp_path)


def test_the_names_of_older_services_are_understood(tmp_path):
    older = {
        "BATCH_SIZE": "500", "BATCH_TIMEOUT_SECONDS": "5", "POLLING_INTERVAL_SECONDS": "30", "MODEL_CACHE_SIZE": "10",
        "DEFAULT_ALERT_THRESHOLD": "0.85", "ALERT_WEBHOOK_URL": "https://n8n.example/webhook/kurswerk",
    }  # fmt: skip
    assert read_settings({"METRICS_PORT": "9100"}, tmp_path).health.port == 9100
    settings = read_settings(older, tmp_path)
    predictor, alerts = settings.predictor, settings.alerts
    assert (predictor.batch_size, predictor.poll_seconds, predictor.model_cache) == (500, 30, 10)
    assert (alerts.threshold, alerts.webhook_url) == (0.85, "https://n8n.example/webhook/kurswerk")
    ours = read_settings({**older, "KURSWERK_ALERTS_THRESHOLD": "0.9", "KURSWERK_ALERTS_WEBHOOK_URL": "off"}, tmp_path)
    assert (ours.alerts.threshold, ours.alerts.webhook_url) == (0.9, None)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DEFAULT_ALERT_THRESHOLD": "1.5"}, "is 1.5; it must be at least 0 and at most 1"),
        ({"DEFAULT_ALERT_THRESHOLD": "nan"}, "is nan; it must be at least 0"),
        ({"DEFAULT_ALERT_THRESHOLD": "much"}, "'much'; give a number such as 0.7"),
        ({"KURSWERK_RETENTION_MODEL_DAYS": "7:30,x:2"}, r"it takes pairs of a model's id and days"),
        ({"ALERT_WEBHOOK_URL": "ftp://host/"}, "^ALERT_WEBHOOK_URL must begin with http:// or https://"),
        ({"KURSWERK_ALERTS_THRESHOLD": "", "DEFAULT_ALERT_THRESHOLD": "-1"}, "^DEFAULT_ALERT_THRESHOLD is -1;"),
        ({"KURSWERK_ALERTS_THRESHOLD": "-1", "DEFAULT_ALERT_THRESHOLD": "0"}, "^KURSWERK_ALERTS_THRESHOLD is -1;"),
    ],
)
def test_wrong_settings_of_alerts_are_named(environment, message, tmp_path):
    with pytest.raises(InvalidInputError, match=message):
        read_settings(environment, tmp_path)


def test_variables_without_effect_change_nothing(tmp_path):
    assert read_settings(dict.fromkeys(WITHOUT_EFFECT, "17"), tmp_path) == read_settings({}, tmp_path)
    assert not set(WITHOUT_EFFECT) & secret_variables()


SECRETS = {
    "KURSWERK_DATABASE_URL": "postgresql://me:pass@host/db",
    "KURSWERK_API_KEYS": "a:read:kw_1\nb:train:kw_2",
    "KURSWERK_HTTP_REDIS_URL": "redis://:pass@cache:6379",
    "KURSWERK_HTTP_METRICS_TOKEN": "token",
    "KURSWERK_ALERTS_WEBHOOK_SECRET": "signs",
    "KURSWERK_COLLECTOR_PUMPPORTAL_API_KEY": "for trades",
    "KURSWERK_COLLECTOR_RATES_API_KEY": "for rates",
    "KURSWERK_ALPHAVANTAGE_KEY": "for bars",
    "KURSWERK_YAHOO_PROXY": "http://user:secret@proxy",
    "DB_DSN": "postgresql://me:pass@older/db",
}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_from_a_file_is_the_same_as_from_the_environment(name, end, tmp_path):
    (tmp_path / "secret").write_bytes((SECRETS[name] + end).encode())
    from_file = read_settings({f"{name}_FILE": str(tmp_path / "secret")}, tmp_path)
    assert from_file.model_dump() == read_settings({name: SECRETS[name]}, tmp_path).model_dump()
    assert from_file.model_dump() != read_settings({}, tmp_path).model_dump()


def test_every_secret_is_one_that_a_file_may_hold_and_no_other_setting_is(tmp_path):
    assert secret_variables() == {*SECRETS, "DB_PASSWORD"}
    (tmp_path / "port").write_text("9000")
    assert read_settings({"KURSWERK_HTTP_PORT_FILE": str(tmp_path / "port")}, tmp_path).http.port == 8000


def test_the_password_of_an_older_service_may_come_from_a_file(tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n")
    settings = read_settings({"DB_HOST": "db", "DB_PASSWORD_FILE": str(tmp_path / "password")}, tmp_path)
    assert settings.database_url.get_secret_value() == "postgresql://postgres:p%40ss%2Fword@db:5432/postgres"


def test_a_file_of_a_secret_that_cannot_be_read_is_named_and_one_beside_the_variable_refused(tmp_path):
    absent = str(tmp_path / "absent")
    with pytest.raises(InvalidInputError, match="absent: No such file"):
        read_settings({"KURSWERK_API_KEYS_FILE": absent}, tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="binary: not UTF-8"):
        read_settings({"KURSWERK_API_KEYS_FILE": str(tmp_path / "binary")}, tmp_path)
    with pytest.raises(InvalidInputError, match="KURSWERK_API_KEYS and KURSWERK_API_KEYS_FILE are both set"):
        read_settings({"KURSWERK_API_KEYS_FILE": absent, "KURSWERK_API_KEYS": "x"}, tmp_path)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"KURSWERK_HTTP_TRUSTED_PROXIES": "10.0.0.0/8, nginx"}, "TRUSTED_PROXIES has 'nginx'"),
        ({"KURSWERK_HTTP_PATH_PREFIX": "kurswerk"}, "PATH_PREFIX is 'kurswerk'; give a path"),
        ({"KURSWERK_HTTP_PATH_PREFIX": '/a"b'}, "give a path"),
        ({"KURSWERK_STOP_DATABASE": "maybe"}, "STOP_DATABASE is 'maybe'; write true or false"),
        ({"KURSWERK_HEALTH_PORT": "70000"}, "at most 65535"),
        ({"METRICS_PORT": "many"}, "^METRICS_PORT is 'many'"),
    ],
)
def test_wrong_settings_of_a_container_are_named(environment, message, tmp_path):
    with pytest.raises(InvalidInputError, match=message):
        read_settings(environment, tmp_path)


def test_a_path_prefix_needs_no_last_slash(tmp_path):
    assert read_settings({"KURSWERK_HTTP_PATH_PREFIX": "/a/b/"}, tmp_path).http.path_prefix == "/a/b"
