"""Stands in front of the real module on sys.path, as in an interpreter that was built without it."""

raise ImportError("no ctypes in this build")
