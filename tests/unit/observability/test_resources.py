"""Memory of a machine, of a container, and of a service inside a slice, under both versions of control groups."""

from pathlib import Path

import psutil
import pytest

from kurswerk.observability import memory_limit_bytes
from kurswerk.observability._resources import memory_available_bytes

WHOLE = psutil.virtual_memory().total
MB = 1024**2
VERSIONS = {
    1: ("4:memory:{path}\n1:cpu:/\n0::/\n", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    2: ("0::{path}\n", "sys/fs/cgroup", "memory.max", "memory.current"),
}


class Groups:
    """Control groups as the kernel shows them, below a folder."""

    def __init__(self, root: Path, version: int, path: str) -> None:
        line, mount, self._limit, self._usage = VERSIONS[version]
        self.root, self._mount = root, root / mount
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(line.format(path=path))

    def add(self, path: str, limit: object, used: int = 0, inactive: int = 0) -> None:
        folder = self._mount / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self._limit).write_text(f"{limit}\n")
        (folder / self._usage).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


@pytest.fixture(params=[1, 2])
def groups(request, tmp_path):
    return lambda path: Groups(tmp_path, request.param, path)


def test_without_control_groups_it_is_the_machines(tmp_path):
    assert memory_limit_bytes(tmp_path) == WHOLE
    assert 0 < memory_available_bytes(tmp_path) <= WHOLE


@pytest.mark.parametrize(("limit", "expected"), [("max", WHOLE), (MB, MB), (2 * WHOLE, WHOLE), (2**63 - 4096, WHOLE)])
def test_a_containers_limit_counts_where_it_is_less(groups, limit, expected):
    container = groups("/")
    container.add("/", limit)
    assert memory_limit_bytes(container.root) == expected


def test_the_tightest_of_the_groups_above_counts(groups):
    service = groups("/system.slice/kurswerk.service")
    service.add("/", "max")
    service.add("/system.slice", 3 * MB, used=MB)
    service.add("/system.slice/kurswerk.service", 5 * MB, used=MB)
    service.add("/other.slice", MB)
    assert memory_limit_bytes(service.root) == 3 * MB
    assert memory_available_bytes(service.root) == 2 * MB


def test_a_path_of_the_host_leads_to_what_is_mounted_in_the_container(groups):
    container = groups("/docker/0123456789abcdef")
    container.add("/", 7 * MB)
    assert memory_limit_bytes(container.root) == 7 * MB


def test_pages_that_can_be_given_back_are_free(groups):
    container = groups("/")
    container.add("/", 10 * MB, used=9 * MB, inactive=4 * MB)
    assert memory_available_bytes(container.root) == 5 * MB
    container.add("/", 10 * MB, used=12 * MB)
    assert memory_available_bytes(container.root) == 0
