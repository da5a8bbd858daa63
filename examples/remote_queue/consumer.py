"""A client that factorises the numbers that are on the queue, as long as the server is there.

Any number of these may run, on any machines. Each job goes to one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common import add_client_options, connected, parser_of, queues_of

from processing import AuthenticationError
from processing.managers import ManagerLost


def factors_of(number: int) -> list[int]:
    """The prime factors of a number, in ascending order."""
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return [*factors, number] if number > 1 else factors


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until the server ends; the result is the exit code."""
    parser = parser_of(__doc__)
    add_client_options(parser)
    parser.add_argument("--name", default="consumer", help="what answers are signed with")
    options = parser.parse_args(arguments)
    jobs, results = queues_of(connected(options))
    print(f"{options.name} is ready", flush=True)
    done = 0
    try:
        while True:
            number = jobs.get()
            results.put((number, factors_of(number), options.name))
            done += 1
    except ManagerLost:
        print(f"the server has ended; {options.name} did {done} jobs")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AuthenticationError, OSError) as error:  # the server has another key, or is not there
        sys.exit(f"consumer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
