"""The demo: money moves between two banks while processes are killed, and at the end everything is counted."""
