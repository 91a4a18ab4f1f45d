"""The process beside the web server: `python -m participant_template.worker` consumes messages and runs flows."""

import logging

from onceward.worker import Worker

from . import flows  # noqa: F401 -- registers the flows
from .handlers import orders
from .settings import engine, settings


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    Worker(orders, engine(), {"bootstrap.servers": settings().kafka}).run()


if __name__ == "__main__":
    main()
