import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def texts() -> dict[Path, str]:
    """The text of every text file that git tracks, or would track once added, by its path from the root."""
    # A checkout may belong to another user, as in a container. Listing its files is harmless.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is no git checkout: " + listing.stderr.decode().strip())
    paths = (Path(name) for name in listing.stdout.decode().split("\0") if name)
    contents = {path: (ROOT / path).read_bytes() for path in paths if (ROOT / path).is_file()}
    return {path: content.decode() for path, content in contents.items() if b"\0" not in content}
