"""Memory and disk that this process may use."""

from collections.abc import Iterator
from pathlib import Path

import psutil

_ROOT = Path("/")


def memory_limit_bytes(root: Path = _ROOT) -> int:
    """Return the memory of the machine, or of this process's control groups where one of them allows less.

    Both versions of control groups count, and every group above the process's own: that of a container, of a service of
    systemd, or of a slice around it.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    limits = (_number(folder / name) for folder, name, _ in _memory_groups(root))
    return min([int(psutil.virtual_memory().total), *(limit for limit in limits if limit is not None)])


def memory_available_bytes(root: Path = _ROOT) -> int:
    """Return the memory that is still free, in the machine or in the tightest of this process's control groups.

    File pages that a group can give back at once count as free, as they do for the machine.
    """
    free = [int(psutil.virtual_memory().available)]
    for folder, limit_name, usage_name in _memory_groups(root):
        limit, used = _number(folder / limit_name), _number(folder / usage_name)
        if limit is not None and used is not None:
            free.append(max(0, limit - used + _inactive_file_bytes(folder)))
    return min(free)


def free_disk_bytes(path: Path) -> int:
    """Return the bytes left for us on the disk that holds a path; its nearest parent counts if it is not there yet."""
    while not path.exists():
        path = path.parent
    return int(psutil.disk_usage(str(path)).free)


def _memory_groups(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the control groups of this process, inner ones first: folder, name of the limit, name of the usage."""
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            mount, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        # In a container the path may be the host's, which is not there: what is mounted is then the group itself.
        inner = mount / path.lstrip("/")
        for folder in (inner, *inner.parents):
            yield folder, *names
            if folder == mount:
                break


def _inactive_file_bytes(folder: Path) -> int:
    stated = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
    text = stated.get("total_inactive_file", stated.get("inactive_file", "0"))
    return int(text) if text.isdecimal() else 0


def _number(path: Path) -> int | None:
    """Return what a file of a control group states; None for "max", and where there is no such file."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
