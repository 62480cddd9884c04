"""Memory and disk that this process may use."""

from pathlib import Path

import psutil

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_limit_bytes(cgroup_limit: Path = _CGROUP_LIMIT) -> int:
    """Return the memory of the machine, or of the container where that is less."""
    total = int(psutil.virtual_memory().total)
    try:
        text = cgroup_limit.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdecimal() else total


def free_disk_bytes(path: Path) -> int:
    """Return the bytes left for us on the disk that holds a path; its nearest parent counts if it is not there yet."""
    while not path.exists():
        path = path.parent
    return int(psutil.disk_usage(str(path)).free)
