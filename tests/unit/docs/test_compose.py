"""The files that containers are made from: what they must hold, whatever else changes."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from composed import ROOT, image_environment, services
from kurswerk.bootstrap.service import PARTS
from kurswerk.bootstrap.settings import read_settings

PASSWORD = {"POSTGRES_PASSWORD": "p@ss/word"}
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def roles():
    return {name: one for name, one in services(PASSWORD).items() if one["image"] == "kurswerk:latest"}


def environment_of(role: str) -> dict[str, str]:
    return image_environment() | {name: str(value) for name, value in roles()[role]["environment"].items()}


def test_compose_satisfies_its_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_runs_in_one_role_and_none_in_two():
    run = [part for one in roles().values() for part in one["command"][2].split(",")]
    assert sorted(run) == sorted(PARTS)
    assert all(one["command"][:2] == ["serve", "--only"] for one in roles().values())


@pytest.mark.parametrize("role", ["api", "worker", "predictor"])
def test_the_environment_of_a_role_can_be_read_and_leads_to_the_database(role, tmp_path):
    settings = read_settings(environment_of(role), tmp_path)
    assert settings.database_url.get_secret_value() == "postgresql://kurswerk:p%40ss%2Fword@postgres:5432/kurswerk"
    assert (settings.http.host, settings.health.host, settings.health.port) == ("0.0.0.0", "0.0.0.0", 8001)
    assert settings.data_dir == Path("/data")
    assert roles()[role]["volumes"] == ["data:/data"]


def test_without_a_password_nothing_starts():
    with pytest.raises(KeyError, match="openssl rand"):
        services({})


def test_the_example_environment_is_enough():
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^\w+=.*$", text, re.MULTILINE) == ["POSTGRES_PASSWORD="]
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for name in set(re.findall(r"\$\{(\w+)", compose)):
        assert re.search(rf"^#?{name}=", text, re.MULTILINE), f"{name} is not in .env.example"


def test_only_what_is_meant_for_people_is_published_and_on_this_machine_alone():
    published = {name: one["ports"] for name, one in services(PASSWORD).items() if "ports" in one}
    assert set(published) == {"api", "prometheus", "n8n"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_prometheus_asks_every_role_on_its_health_port():
    document = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    counts, others = document["scrape_configs"]
    assert counts["static_configs"][0]["targets"] == ["api:8001"]
    names = others["dns_sd_configs"][0]
    assert ({"api", *names["names"]}, names["port"]) == (set(roles()), 8001)


def test_the_image_runs_as_nobody_in_particular_and_writes_to_its_volume_alone():
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2].splitlines()
    assert "USER 10001:10001" in lines
    assert "VOLUME /data" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert any(line.startswith("HEALTHCHECK ") and line.endswith('CMD ["kurswerk", "health"]') for line in lines)
    assert all("--chown=0:0" in line for line in lines if line.startswith("COPY"))
    for link, target in (("Dockerfile", "Containerfile"), (".dockerignore", ".containerignore")):
        assert str((ROOT / link).readlink()) == target


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_role_with_readable_settings_and_ends_in_good_order(unit, tmp_path):
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
    parsed.read_string(unit.read_text(encoding="utf-8"))
    service = parsed["Service"]
    words = service["ExecStart"].split()
    assert words[:2] == ["/opt/kurswerk/bin/kurswerk", "serve"]
    assert len(words) == 2 or set(words[3].split(",")) <= set(PARTS)
    environment = dict(pair.split("=", 1) for pair in service["Environment"].replace("%i", "1").split())
    assert str(read_settings(environment, tmp_path).data_dir) == f"/var/lib/{service['StateDirectory']}"
    assert (service["User"], service["KillMode"]) == ("kurswerk", "mixed")
    assert int(service["TimeoutStopSec"]) >= 30


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_unit(tmp_path):
    for unit in UNITS:  # with a program that is there, whose absence it would report
        text = unit.read_text(encoding="utf-8").replace("/opt/kurswerk/bin/kurswerk", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name.replace("@.", "@1.")) for unit in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", *names], capture_output=True, text=True, timeout=120, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "kurswerk" in line and "kurswerk.env" not in line]
    assert ours == []
