"""What can befall a file."""

from pathlib import Path


def flip(path: Path) -> None:
    """Flip a bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut off the end."""
    path.write_bytes(path.read_bytes()[:-7])
