"""Many files at once: `tessera bulk encode|decode|tokens|verify`.

    sources -> items -> plan (what is not finished) -> tasks -> an engine's workers -> rows -> manifest

An item is one file, one row of a manifest or one sample of a tar shard.  A task is one item or a few, or all items of
one output shard: what a worker does before it says what became of it.  Outputs appear whole or not at all, and a row is
written after its output, so whatever is killed, the next run finds out what is missing.
"""
