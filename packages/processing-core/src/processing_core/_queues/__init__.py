"""Queues: what users put objects into and get them out of, over channels in shared memory."""
