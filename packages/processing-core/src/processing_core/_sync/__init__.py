"""The primitives by which processes wait for each other; ``synchronize`` is their public door."""
