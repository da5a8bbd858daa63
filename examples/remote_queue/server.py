"""The server of the remote queue, until Ctrl-C.

It knows nothing of the jobs, only holds what clients share. They come from any machine that knows
the address and the key; with a certificate all that they say is encrypted.
"""

from __future__ import annotations

import signal
import ssl
import sys
import threading
from collections.abc import Sequence

from common import QueueManager, key_of, parser_of

from processing.managers import DictProxy


class QueueServer(QueueManager):
    """The server's side: the same name, and what it gives."""


shared: dict[str, object] = {}
# Every client gets a proxy to the same dictionary. Its methods are short and need no threads.
QueueServer.register("get_shared", lambda: shared, DictProxy, blocking=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the result is the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--tls-cert", metavar="PEM", help="the certificate, for TLS")
    parser.add_argument("--tls-key", metavar="PEM", help="its key, if not in the same file")
    options = parser.parse_args(arguments)
    context = None
    if options.tls_cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls_cert, options.tls_key)
    manager = QueueServer((options.host, options.port), key_of(options), ssl_context=context)
    server = manager.get_server()

    def stop(*_: object) -> None:
        # A thread tells the server, because what a signal interrupts may be the server itself.
        threading.Thread(target=server.stop).start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    host, port = server.address[:2]
    print(f"serving at {host}, port {port}", flush=True)
    server.serve_forever()
    print("ended")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"server: {error}")
