"""Flows: business processes of named steps, run again from the first line until they end, skipping what is done.

A worker claims a flow for a time (its lease). Whatever a run writes is guarded by the number of its claim, so that a
worker that lost its claim, or was dead for a while, writes nothing any more.
"""
