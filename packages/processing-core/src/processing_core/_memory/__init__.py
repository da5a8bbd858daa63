"""Shared memory in small pieces: the arena and its allocator."""
