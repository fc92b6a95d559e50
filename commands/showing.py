"""Lines for whoever watches a command."""


def show(line: str) -> None:
    """At once, also where the output goes into a file or another program."""
    print(line, flush=True)
