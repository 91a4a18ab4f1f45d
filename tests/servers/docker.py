"""Whether a Docker engine can run an image here."""

import os
from pathlib import Path

import docker
from docker.errors import DockerException


def can_run(image: str) -> bool:
    """Return whether there is a Docker engine that has `image` or can get it."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False  # asked first: the client leaves a socket open when it finds nobody
    client = docker.DockerClient.from_env(timeout=60)
    try:
        if not client.images.list(image):
            client.images.pull(image)
        return True
    except DockerException:
        return False
    finally:
        client.close()
