"""What differs between operating systems: one module per thing, with its platforms side by side or,
where they share nothing, in files of their own.
"""
