"""Owns what the commands share: their options, and what these mean; and how they fail."""

from __future__ import annotations

import argparse
import os
import ssl
import stat
import sys
from typing import Any, NoReturn

__all__ = [
    "Failure",
    "Parser",
    "WrongOption",
    "add_connection",
    "address_of",
    "check_tls_is_possible",
    "client_context",
    "key_of",
    "server_context",
    "shown",
    "shown_address",
]

# More than a key can sensibly have, in bytes.
MOST_KEY_BYTES = 64 * 1024
MOST_PORT = 65535
MOST_DIGITS = 20


class WrongOption(Exception):  # noqa: N818 - it is no error of the program
    """What was asked for makes no sense: exit code 2."""


class Failure(Exception):  # noqa: N818 - as above
    """It cannot be done: exit code 1."""


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help tells more)\n")


def add_connection(parser: argparse.ArgumentParser, *, server: bool) -> None:
    """Add the options that tell where a server is, and who may talk to it."""
    parser.add_argument(
        "--address",
        required=True,
        metavar="HOST:PORT|PATH",
        help="where the server is: a host and a port"
        + (" (0 for a free one)" if server else "")
        + ", or a path, which contains a slash",
    )
    parser.add_argument(
        "--authkey-file",
        required=True,
        metavar="FILE",
        help="the file with the key, without the line end at its end; only its owner may read it",
    )
    tls = parser.add_argument_group("TLS, for HOST:PORT; the files are in the PEM format")
    who = "the server" if server else "this client"
    tls.add_argument("--tls-cert", metavar="PEM", help=f"the certificate of {who}")
    tls.add_argument(
        "--tls-key", metavar="PEM", help="its private key, if it is not in the same file"
    )
    tls.add_argument(
        "--tls-ca",
        metavar="PEM",
        help="the authorities of clients, which then need a certificate"
        if server
        else "the authorities that may have signed the server's certificate",
    )


def address_of(text: str) -> tuple[str, int] | str:
    """The address that ``HOST:PORT`` or a path means; a path becomes absolute.

    :raises WrongOption: when it is neither
    """
    if os.sep in text or (os.altsep and os.altsep in text):
        return os.path.abspath(text)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise WrongOption(f"--address: write an IPv6 address as [{host}]:{port}")
    if not (colon and host and port):
        raise WrongOption(
            f"--address: {shown(text)} is neither HOST:PORT nor a path, which contains a slash"
        )
    digits = port.isascii() and port.isdecimal() and len(port) <= MOST_DIGITS
    if not digits or int(port) > MOST_PORT:
        raise WrongOption(f"--address: the port is a number up to {MOST_PORT}, not {shown(port)}")
    return host, int(port)


def key_of(path: str) -> bytes:
    """The key in a file, without line ends at its end.

    As ssh does with private keys: what belongs to this user, and others may read or write, is
    refused.

    :raises WrongOption: when it cannot be read, or is open to others, or is not a key
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(MOST_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise WrongOption(f"--authkey-file: {reason(error, path)}") from None
    mode = stat.S_IMODE(status.st_mode)
    if sys.platform != "win32" and status.st_uid == os.getuid() and mode & 0o077:
        raise WrongOption(
            f"--authkey-file: others may use {shown(path)} (its mode is {mode:04o}); "
            "say chmod 600, and think about who may have read it"
        )
    key = data.rstrip(b"\r\n")
    if not key:
        raise WrongOption(f"--authkey-file: {shown(path)} is empty")
    if len(key) > MOST_KEY_BYTES:
        raise WrongOption(f"--authkey-file: {shown(path)} is too long for a key")
    return key


# TLS


def server_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The context of a server; None without TLS. :raises WrongOption: when it cannot be made"""
    if options.tls_cert is None:
        if options.tls_key or options.tls_ca:
            raise WrongOption("--tls-cert is needed, too, where a server has TLS")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, options)
    if options.tls_ca is not None:
        load_authorities(context, options.tls_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The context of a client; None without TLS. :raises WrongOption: when it cannot be made"""
    if options.tls_ca is None:
        if options.tls_key or options.tls_cert:
            raise WrongOption("--tls-ca is needed, too: whom shall the server be certified by?")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_authorities(context, options.tls_ca)
    if options.tls_cert is not None:
        load_certificate(context, options)
    elif options.tls_key is not None:
        raise WrongOption("--tls-cert is needed where there is a --tls-key")
    return context


def check_tls_is_possible(address: object, context: ssl.SSLContext | None) -> None:
    """TLS is for the network. :raises WrongOption: when the address is a path"""
    if context is not None and not isinstance(address, tuple):
        raise WrongOption("TLS is for HOST:PORT; a path is for this machine only")


def load_certificate(context: ssl.SSLContext, options: argparse.Namespace) -> None:
    """Load what shows who we are."""
    check_readable("--tls-cert", options.tls_cert)
    if options.tls_key is not None:
        check_readable("--tls-key", options.tls_key)

    def no_passphrase() -> str:
        raise WrongOption("--tls-key: the key has a passphrase, and nobody is asked for it")

    try:
        context.load_cert_chain(options.tls_cert, options.tls_key, no_passphrase)
    except (OSError, ValueError) as error:
        files = " and ".join(shown(path) for path in (options.tls_cert, options.tls_key) if path)
        raise WrongOption(
            f"--tls-cert: {files}: no certificate with its private key: {error}"
        ) from None


def load_authorities(context: ssl.SSLContext, path: str) -> None:
    """Load whom others have to be certified by."""
    check_readable("--tls-ca", path)
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise WrongOption(f"--tls-ca: no certificates in {shown(path)}: {error}") from None


def check_readable(option: str, path: str) -> None:
    """OpenSSL does not say which file it is that cannot be read."""
    try:
        with open(path, "rb"):
            return
    except (OSError, ValueError) as error:
        raise WrongOption(f"{option}: {reason(error, path)}") from None


def reason(error: OSError | ValueError, path: str) -> str:
    """Why a file cannot be read."""
    why = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot read {shown(path)}: {why}"


# Words for users


def shown(text: str) -> str:
    """A text of others, without what would move a terminal's cursor."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "replace").decode()
        for char in text
    )


def shown_address(address: Any) -> str:
    """An address as it is given to ``--address``."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return shown(str(address))
