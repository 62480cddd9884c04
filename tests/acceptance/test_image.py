"""The image as ``Containerfile`` builds it, on a base of Debian's packages; its processes, health and signals.

buildah builds and runs it with ``--isolation chroot``, which needs root and no container engine. Where pip needs a
configuration of this machine, it is handed to the build as the secret ``pip.conf``, with the folders that it names.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from composed import ROOT
from waiting import until

BASE, IMAGE, USER = "localhost/kurswerk-test-base", "localhost/kurswerk-test", "10001:10001"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("buildah") is None or shutil.which("mmdebstrap") is None,
        reason="needs root, buildah and mmdebstrap; apt-get install buildah mmdebstrap",
    ),
]
# What is written outside the volume would be lost with the container.
KNOWN = ("/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run/lock", "/data")
WRITABLE = "find / -xdev -writable ! -type l " + " ".join(f"! -path '{path}*'" for path in KNOWN)


def buildah(*words: str, **options: Any) -> str:
    """Run buildah and return what it prints."""
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, timeout=1800, check=False, **options)
    assert done.returncode == 0, f"buildah {' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


def pip_of_this_machine(folder: Path) -> list[str]:
    """Return options that let pip in a build find packages as it does here."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = re.findall(r"^(?:global\.|:env:\.)([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    if not found:
        return []
    config = folder / "pip.conf"
    config.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in dict(found).items()))
    options = ["--secret", f"id=pip.conf,src={config}"]
    named = {Path(path) for _, value in found for path in re.findall(r"(?:^|file://|\s)(/[^\s]+)", value)}
    # An index lies beside the files that it names.
    folders = {path.parent if path.is_file() or path.name == "simple" else path for path in named}
    return options + [
        word for folder in sorted(folders) if folder.is_dir() for word in ("--volume", f"{folder}:{folder}:ro")
    ]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built from the repository as it is."""
    folder = Path(tempfile.mkdtemp(prefix="kurswerk-image-"))
    packages = "python3,python3-venv,ca-certificates"
    tar = folder / "base.tar"
    subprocess.run(["mmdebstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(tar)], check=True)
    base = buildah("from", "scratch")
    buildah("add", base, str(tar), "/")
    buildah("commit", "--rm", base, BASE)
    command = ["build", "--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}"]
    buildah(*command, *pip_of_this_machine(folder), "--tag", IMAGE, "--file", "Containerfile", str(ROOT), cwd=ROOT)
    try:
        yield IMAGE
    finally:
        shutil.rmtree(folder)
        buildah("rmi", "--force", IMAGE, BASE)


@pytest.fixture
def container(image: str) -> Iterator[str]:
    """A container of the image, with a volume of its own under ``/data``."""
    name = buildah("from", image)
    buildah("config", "--volume", "/data-", name)  # buildah's own would lie over that of the test
    yield name
    buildah("rm", name)


@pytest.fixture
def volume() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kurswerk-volume-"))
    os.chown(folder, 10001, 10001)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def in_container(container: str, volume: Path, words: Sequence[str], **settings: str) -> list[str]:
    """Return the command that runs words in a container, as its user and with its environment."""
    options = ["--isolation", "chroot", "--user", USER, "--volume", f"{volume}:/data"]
    options += [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    return ["buildah", "run", *options, container, "--", *words]


def run(container: str, volume: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = in_container(container, volume, words, **settings)
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


@contextmanager
def running(container: str, volume: Path, *words: str, **settings: str) -> Iterator[psutil.Process]:
    """Run a service in a container and give the process that a container engine would signal."""
    command = in_container(container, volume, words, **settings)
    with (volume.parent / f"{volume.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    inner: list[psutil.Process] = []

    def found() -> bool:
        assert process.poll() is None, Path(log.name).read_text()[-3000:]
        children = psutil.Process(process.pid).children(recursive=True)
        inner[:] = [child for child in children if child.uids().real == 10001 and child.name() == "kurswerk"]
        return bool(inner)

    try:
        until(found, 120, what="a process of the image's user")
        yield inner[0]
        assert process.wait(60) == 0, Path(log.name).read_text()[-3000:]
    finally:
        for child in inner:
            if child.is_running():
                child.kill()
        process.kill()
        process.wait()
        Path(log.name).unlink()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_what_an_engine_reads_from_the_image(image: str):
    config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    assert config["User"] == USER
    assert config["StopSignal"] == "SIGTERM"
    assert (config["Entrypoint"], config["Cmd"]) == (["kurswerk"], ["serve"])
    assert config["Healthcheck"]["Test"] == ["CMD", "kurswerk", "health"]
    assert set(config["Volumes"]) == {"/data"}
    assert set(config["ExposedPorts"]) == {"8000/tcp", "8001/tcp"}


def test_its_files_are_roots_and_its_user_writes_to_the_volume_alone(container: str, volume: Path):
    done = run(container, volume, "/bin/sh", "-c", f"{WRITABLE}; find /opt/kurswerk ! -user 0; id -u; touch /data/x")
    assert done.stdout.split() == ["10001"], done.stdout + done.stderr
    assert (volume / "x").stat().st_uid == 10001


def test_one_container_with_an_embedded_database_starts_reports_its_health_and_stops_it(container: str, volume: Path):
    ports = {"KURSWERK_HTTP_PORT": free_port(), "KURSWERK_HEALTH_PORT": free_port()}
    url = f"http://127.0.0.1:{ports['KURSWERK_HTTP_PORT']}"

    def well() -> bool:
        return run(container, volume, "kurswerk", "health", **ports).returncode == 0

    with running(container, volume, "kurswerk", "serve", **ports) as service:
        until(well, 300, what="the health command")
        key = run(container, volume, "kurswerk", "keys", "create", "me", "--scope", "admin", **ports).stdout.strip()
        answer = httpx.get(f"{url}/api/models", headers={"X-API-Key": key}, timeout=60)
        assert answer.json()["total"] == 0
        assert httpx.get(f"{url}/dashboard/login", timeout=60).status_code == 200
        began = time.monotonic()
        service.send_signal(signal.SIGTERM)
    assert time.monotonic() - began < 30
    assert not (volume / "postgres" / "postmaster.pid").exists()
    assert not well()


@pytest.mark.parametrize("role", ["worker", "predictor"])
def test_a_role_starts_reports_its_health_and_ends_at_a_signal(container: str, volume: Path, role: str):
    port = {"KURSWERK_HEALTH_PORT": free_port()}
    with running(container, volume, "kurswerk", "serve", "--only", role, **port) as service:
        until(lambda: run(container, volume, "kurswerk", "health", **port).returncode == 0, 300, what="health")
        text = httpx.get(f"http://127.0.0.1:{port['KURSWERK_HEALTH_PORT']}/metrics", timeout=60).text
        assert "ml_db_connected 1.0" in text
        service.send_signal(signal.SIGTERM)


def test_the_demo_runs_in_the_image(container: str, volume: Path):
    done = run(container, volume, "kurswerk", "demo", "--no-live", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)
    assert list((volume / "exports").rglob("*.html"))
