"""Objects on their way to another process: pickling, descriptors, buffers out of band."""
