"""Channels in shared memory that carry the messages of queues."""
