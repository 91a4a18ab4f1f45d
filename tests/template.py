"""Makes a service of the template, as a team would, and runs its gates and tests: `python -m tests.template`."""

import subprocess
import sys
import tempfile
from pathlib import Path

from onceward_relay import template


def main() -> None:
    """Exit with the status of the first step that fails."""
    with tempfile.TemporaryDirectory(prefix="onceward-template-") as folder:
        made = template.copy("parcel_desk", Path(folder) / "parcel_desk")
        for step in (["ruff", "check", "."], ["mypy", "src", "tests"], ["pytest", "-p", "no:cacheprovider"]):
            print("$", *step, flush=True)
            status = subprocess.run([sys.executable, "-m", *step], cwd=made, check=False).returncode
            if status != 0:
                sys.exit(status)


if __name__ == "__main__":
    main()
