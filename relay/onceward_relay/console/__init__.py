"""The console: where people see what was done and what went wrong, and settle it.

A web application of its own, apart from the relay: it reads the participants' databases as a role with
`onceward_console` and decides by the schema's functions, as the command line does.
"""
