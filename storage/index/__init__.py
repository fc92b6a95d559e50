"""The index of calls: what lists and filters need, in a database; see ``storage.index.calls``."""
