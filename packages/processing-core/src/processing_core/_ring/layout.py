"""Owns where everything lies in the file of a channel.

Control words and what pthreads works on, a table of the blocks of large messages, then the segments
of the ring, and from half of the file on the blocks. Segment k begins at 2**(k-1) and ends before
2**k, so the number of the segment that a position is in is ``position.bit_length()``.
"""

from __future__ import annotations

__all__ = [
    "ATTENTION",
    "BLOCKS",
    "BYTES_IN",
    "BYTES_OUT",
    "CONTROL_BYTES",
    "COUNT_ONE",
    "DONE",
    "ENTRY_WORDS",
    "FIRST_SEGMENT",
    "GETTERS",
    "HEAD",
    "JOINERS",
    "LOW_32",
    "LOW_64",
    "MOST_BLOCKS",
    "MUTEXES",
    "NEXT",
    "PUTTERS",
    "SEMAPHORES",
    "SEMAPHORE_BYTES",
    "SLEEPERS",
    "SLEEPER_SLOTS",
    "TABLE",
    "TAIL",
    "USERS",
]

LOW_32 = 2**32 - 1
LOW_64 = 2**64 - 1

# Indexes of words. TAIL and HEAD each hold a number of messages, modulo 2**32, in the upper half,
# and a position in units of 16 bytes in the lower: so one store commits an operation. They have a
# cache line each, which only producers or only consumers write.
TAIL = 0
HEAD = 8
COUNT_ONE = 1 << 32
# How many wait for messages, for room, for the last report; the next word is the last ticket that
# was given to one. The first is written by producers and those who register, the others by
# consumers and those. Each has a line of its own, too. With ATTENTION added somebody waits by a
# descriptor.
GETTERS, PUTTERS, JOINERS = 16, 24, 32
ATTENTION = 1 << 32
# How many messages were reported as done, modulo 2**32.
DONE = 35
# Bytes of messages since the beginning; kept only where there is a ceiling.
BYTES_IN, BYTES_OUT = 1, 9
# The number of blocks in the table.
BLOCKS = 40
# The processes that hold the mutexes, where the kernel does not guard these.
USERS = (48, 56)
# NEXT + k: the segment in which the ring goes on after segment k.
NEXT = 64
# The lists of sleepers: SLEEPERS[0] begins the getters', and so on.
SLEEPERS = (128, 192, 320)
SLEEPER_SLOTS = 64
# What sleepers wait for; the indexes of their lists and semaphores.
FOR_MESSAGES, FOR_ROOM, FOR_REPORTS = range(3)

# Byte offsets of what pthreads works on: the producers' mutex and the consumers'; the semaphores on
# which getters, putters and joiners sleep, each on its own.
MUTEXES = (2048, 2112)
SEMAPHORES = (4096, 8192, 12288)
SEMAPHORE_BYTES = 64

CONTROL_BYTES = 16384
# Entries of the table: offset and size of the block, number of its message plus one, its user.
TABLE = CONTROL_BYTES // 8
ENTRY_WORDS = 4

FIRST_SEGMENT = 17  # from 64 KiB to 128 KiB
MOST_BLOCKS = ((1 << (FIRST_SEGMENT - 1)) - CONTROL_BYTES) // (8 * ENTRY_WORDS)
