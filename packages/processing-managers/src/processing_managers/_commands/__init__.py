"""What ``python -m processing_managers`` does; nothing else in the library imports it."""
