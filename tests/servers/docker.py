"""Whether a Docker engine can run an image here."""

import docker
from docker.errors import DockerException


def can_run(image: str) -> bool:
    """Return whether there is a Docker engine that has `image` or can get it."""
    try:
        client = docker.from_env(timeout=5)
    except DockerException:
        return False
    try:
        client.ping()
        if not client.images.list(image):
            client.images.pull(image)
        return True
    except DockerException:
        return False
    finally:
        client.close()
