"""What ``python -m processing`` does. Nothing else in the library imports these modules."""
