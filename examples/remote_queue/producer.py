"""A client that has numbers factorised: it puts them on the queue and collects the answers.

It does not know how many consumers there are, or where.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from common import add_client_options, connected, parser_of, queues_of

from processing import AuthenticationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Put the jobs, print the answers; the result is the exit code."""
    parser = parser_of(__doc__)
    add_client_options(parser)
    parser.add_argument("numbers", type=int, nargs="+", help="what is to be factorised")
    options = parser.parse_args(arguments)
    if min(options.numbers) < 2:
        parser.error("there are factors of numbers from 2 on only")
    jobs, results = queues_of(connected(options))
    for number in options.numbers:
        jobs.put(number)
    for _ in options.numbers:
        number, factors, name = results.get()
        if math.prod(factors) != number:
            print(f"producer: {name} made a mistake: {number} = {factors}", file=sys.stderr)
            return 1
        print(number, "=", " x ".join(map(str, factors)), f"({name})", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AuthenticationError, OSError) as error:  # the server has another key, or is no more
        sys.exit(f"producer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
