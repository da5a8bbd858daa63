"""The command line with TLS: certificates of servers and of clients, and bad ones."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from cli_programs import COMMAND, Folder, served
from processing_testkit import ScriptResult, run_python

assert sys.platform != "win32"

SYNC = "processing_managers:SyncManager"
PORT = "127.0.0.1:0"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: ca, server (with its key), cert and key apart, client, stranger, and wrong ones."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = trustme.CA(), trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(folder / "ca")
    stranger.cert_pem.write_to_path(folder / "strange-ca")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server")
    server.cert_chain_pems[0].write_to_path(folder / "cert")
    server.private_key_pem.write_to_path(folder / "cert-key")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client")
    stranger.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "stranger"
    )
    (folder / "text").write_text("no certificate\n")
    key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
    (folder / "secret-key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a passphrase"),
        )
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Folder:
    (tmp_path / "tls").symlink_to(certificates)
    return Folder(tmp_path)


def options(**files: str) -> list[str]:
    """The options for certificates, by the ends of their names."""
    return [word for name, file in files.items() for word in (f"--tls-{name}", f"tls/{file}")]


def run(folder: Folder, command: str, address: str, words: list[str]) -> ScriptResult:
    place = ["--address", address, "--authkey-file", "key"]
    name = [SYNC] if command == "serve" else []
    return run_python([*COMMAND, command, *name, *place, *words], cwd=folder.path)


def message(result: ScriptResult, code: int) -> str:
    assert (result.returncode, result.stdout) == (code, ""), result.describe()
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("files", [{"cert": "server"}, {"cert": "cert", "key": "cert-key"}])
def test_a_server_with_a_certificate(folder: Folder, files: dict[str, str]) -> None:
    with served(folder, SYNC, PORT, *options(**files)) as server:
        result = run(folder, "inspect", server.shown, options(ca="ca")).check()
        assert result.stdout.startswith(f"manager at {server.shown}")
        for wrong in (options(ca="strange-ca"), []):
            assert server.shown in message(run(folder, "inspect", server.shown, wrong), 1)
        run(folder, "inspect", server.shown, options(ca="ca")).check()
        assert server.end(signal.SIGTERM) == (0, "", "")


def test_clients_with_certificates(folder: Folder) -> None:
    with served(folder, SYNC, PORT, *options(cert="server", ca="ca")) as server:
        run(folder, "inspect", server.shown, options(ca="ca", cert="client")).check()
        for wrong in (options(ca="ca"), options(ca="ca", cert="stranger")):
            message(run(folder, "inspect", server.shown, wrong), 1)
        assert server.end(signal.SIGTERM) == (0, "", "")


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        ("serve", {"cert": "missing"}, "--tls-cert: cannot read tls/missing: No such file"),
        ("serve", {"cert": "text"}, "--tls-cert: tls/text: no certificate with its private key"),
        ("serve", {"cert": "cert"}, "--tls-cert: tls/cert: no certificate with its private key"),
        ("serve", {"cert": "cert", "key": "text"}, "--tls-cert: tls/cert and tls/text: no"),
        ("serve", {"cert": "cert", "key": "missing"}, "--tls-key: cannot read tls/missing: No"),
        ("serve", {"cert": "cert", "key": "client"}, "--tls-cert: tls/cert and tls/client: no"),
        ("serve", {"cert": "cert", "key": "secret-key"}, "--tls-key: the key has a passphrase"),
        ("serve", {"cert": "server", "ca": "text"}, "--tls-ca: no certificates in tls/text: "),
        ("serve", {"cert": "server", "ca": "missing"}, "--tls-ca: cannot read tls/missing: No"),
        ("serve", {"ca": "ca"}, "--tls-cert is needed, too"),
        ("serve", {"key": "cert-key"}, "--tls-cert is needed, too"),
        ("inspect", {"ca": "missing"}, "--tls-ca: cannot read tls/missing: No such file"),
        ("inspect", {"ca": "text"}, "--tls-ca: no certificates in tls/text: "),
        ("inspect", {"cert": "client"}, "--tls-ca is needed, too"),
        ("inspect", {"ca": "ca", "key": "cert-key"}, "--tls-cert is needed where there is"),
    ],
)
def test_files_that_will_not_do(
    folder: Folder, command: str, files: dict[str, str], expected: str
) -> None:
    said = message(run(folder, command, PORT, options(**files)), 2)
    assert said.startswith(f"processing_managers {command}: {expected}")


def test_a_path_needs_no_tls(folder: Folder) -> None:
    for command, words in (("serve", options(cert="server")), ("inspect", options(ca="ca"))):
        said = message(run(folder, command, "./path", words), 2)
        assert "TLS is for HOST:PORT; a path is for this machine only" in said
