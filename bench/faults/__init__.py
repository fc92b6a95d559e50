"""What callers hear when vendors fail: every fault of the catalogue, in real calls.

One real server, in a process of its own; simulated vendors, of which one fails in each call; and
callers who hear what comes over the wire. ``python -m bench.faults`` prints it as a table, and
``tests/integration/test_faults.py`` holds it to its limits.
"""
