"""What a benchmark reports of memory."""

from benchmarks._measure import in_child

MIB = 2**20


def resident(mebibytes: int) -> bytes:
    """Return so many bytes that were written."""
    return b"1" * (mebibytes * MIB)


def size(mebibytes: int) -> int:
    return len(resident(mebibytes))


def test_a_child_is_charged_with_its_own_memory_only():
    of_the_parent = resident(500)
    (_, little), (_, much) = in_child(size, 1), in_child(size, 300)
    assert little < 200 * MIB < 300 * MIB < much < len(of_the_parent)
