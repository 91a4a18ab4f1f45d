"""A provider's statement: its file is read, its rows are matched with calls, and decisions follow from what they say.

For the command line and for screens alike; nothing here knows of either.
A row that is not in a statement proves nothing.
"""
