"""`python -m onceward_relay` is `onceward`."""

from onceward_relay.cli import main

main(prog_name="onceward")
