"""The library's logic for Windows, run elsewhere over a stand-in for Windows (see fake_winapi)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from processing_testkit import run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there the real thing is tested")

HEAD = """
import socket, subprocess, sys, tempfile, threading, time
import _pickle, concurrent.futures, pickle, select, signal

sys.path.insert(0, {folder!r})
import fake_winapi
sys.modules["_winapi"] = fake_winapi
sys.platform = "win32"

def raises(kind, function, *args):
    try:
        function(*args)
    except kind as error:
        return error
    raise AssertionError(f"no {{kind}}")
"""

PIPES = """
from processing_core._connection.windows import PIECE_BYTES, PipeConnection, windows_pipe
from processing_core._connection.windows_waiting import wait
from processing_core._platform.windows_handles import wait_for
from processing_core.errors import BufferTooShort, InvalidType, SerializationError

one, two = windows_pipe(True)

# Messages of every kind arrive as they were sent, in order, also those that need an escape.
messages = [b"", b"a", b"\\xff", b"\\xff\\x00", b"\\xff\\x02" + bytes(8), bytes(60_000)]
for message in messages[:5]:
    one.send_bytes(message)
    two.send(message)
for message in messages[:5]:
    assert two.recv_bytes() == message
    assert one.recv() == message

# Long ones wait for their reader, in pieces beyond a length, whatever they begin with.
for size in (65_536, 200_000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, PIECE_BYTES + 2,
             3 * PIECE_BYTES, 3 * PIECE_BYTES + 5):
    for first in (b"\\xff", b"\\x00"):
        message = first + bytes(size - 1)
        sender = threading.Thread(target=one.send_bytes, args=(message,))
        sender.start()
        assert two.recv_bytes() == message, size
        sender.join()

# Too long for the receiver: lost, and the connection goes on.
for size in (10, 100_000, 2 * PIECE_BYTES + 1):
    sender = threading.Thread(target=one.send_bytes, args=(b"x" * size,))
    sender.start()
    raises(OSError, two.recv_bytes, 9)
    sender.join()
one.send_bytes(b"123456")
assert raises(BufferTooShort, two.recv_bytes_into, bytearray(3)).args == (b"123456",)
one.send_bytes(b"123456")
space = bytearray(8)
assert two.recv_bytes_into(space, 2) == 6
assert space == b"\\0\\x00123456"

# poll() takes nothing away, and notices what comes while it waits.
assert two.poll() is False
start = time.monotonic()
assert two.poll(0.05) is False and time.monotonic() - start >= 0.05
timer = threading.Timer(0.05, one.send, args=("late",))
timer.start()
assert two.poll(20) is True and two.poll() is True and two.poll(None) is True
assert two.recv() == "late"

# Several threads share an end: every message arrives once and whole.
received = []
def receive():
    while (message := two.recv_bytes()) != b"stop":
        received.append(message)
readers = [threading.Thread(target=receive) for _ in range(3)]
texts = [bytes([number]) * length for number in range(40) for length in (1, 70_000)]
def send(texts):
    for text in texts:
        one.send_bytes(text)
writers = [threading.Thread(target=send, args=(texts[n::2],)) for n in range(2)]
for thread in readers + writers:
    thread.start()
for thread in writers:
    thread.join()
for _ in readers:
    one.send_bytes(b"stop")
for thread in readers:
    thread.join()
assert sorted(received) == sorted(texts)

# wait(): connections, handles and sockets; more than can be waited for at once.
process = fake_winapi.new_process()
left, right = socket.socketpair()
everything = [two, process, right]
assert wait(everything, 0) == [] and wait(everything, 0.03) == [] and wait([], 0.01) == []
one.send(1)
assert wait(everything) == [two] and wait(everything, 5) == [two]
left.send(b"x")
assert wait(everything) == [two, right]
two.recv()
right.recv(1)
threading.Timer(0.05, left.send, args=(b"y",)).start()
assert wait([two, right]) == [right]
right.recv(1)
assert wait_for(process, 0.01) is False
threading.Timer(0.05, fake_winapi.end_process, args=(process,)).start()
assert wait([two, process]) == [process] and wait_for(process, None) is True
many = [fake_winapi.new_process() for _ in range(150)]
assert wait(many, 0.05) == []
threading.Timer(0.05, fake_winapi.end_process, args=(many[140],)).start()
assert wait(many) == [many[140]]
fake_winapi.end_process(many[3])
assert wait(many) == [many[3], many[140]]
raises(InvalidType, wait, ["text"])

# Directions, ends, closing.
reader, writer = windows_pipe(False)
assert (reader.readable, reader.writable, writer.readable, writer.writable) == (1, 0, 0, 1)
raises(OSError, reader.send, 1)
raises(OSError, writer.recv)
raises(SerializationError, writer.send, one)
writer.send("last")
writer.close()
assert reader.poll() and reader.recv() == "last"
assert reader.poll(None) and wait([reader]) == [reader]
raises(EOFError, reader.recv)
raises(EOFError, reader.recv_bytes)
reader.close()
raises(OSError, reader.recv)
assert reader.closed and writer.closed
two.close()
raises(BrokenPipeError, one.send, 1)
raises(EOFError, one.recv)

# A peer that ends before it has read ends the send.
reader, writer = windows_pipe(False)
peer = fake_winapi.new_process()
sender = PipeConnection(writer.fileno(), readable=False, writable=True, peer=peer)
threading.Timer(0.05, fake_winapi.end_process, args=(peer,)).start()
raises(BrokenPipeError, sender.send_bytes, bytes(100_000))
writer._handle = None
print("fine")
left.close()
right.close()
"""


PROCESSES = """
import os
import processing_core as pc
from processing_core._cpickle import loads
from processing_core._start import entry_windows, spawn_windows, spec

class NoSocket:
    AF_INET = SOCK_STREAM = 0
    def socket(*_, fileno):
        raise fake_winapi.FakeWindowsError(10038)
spawn_windows.sockets = NoSocket

assert pc.get_all_start_methods() == ["spawn"]
mine, other = pc.Pipe()
left, right = socket.socketpair()
handles = len(fake_winapi._objects)

def start(*args, **options):
    process = pc.Process(target=print, args=args, **options)
    process.start()
    (program, line, _, _, inherit, _, environment, folder, _), handle = fake_winapi.created.pop()
    assert program == line.split()[0] and not inherit and folder is None
    expected = dict(os.environ)
    if sys.executable != sys._base_executable:
        expected["__PYVENV_LAUNCHER__"] = sys.executable
    assert program == sys._base_executable and environment == expected
    assert process.sentinel == handle and process.pid == os.getpid()
    return process, handle, line

# What a child is told arrives, with its own handles.
process, handle, line = start("x" * 10, other, daemon=True)
arguments = line[line.index("main('spawn', [") + 15 :].split("]")[0].split(", ")
parent, pipe, dies = map(int, arguments)
assert (parent, dies) == (os.getpid(), 1)
payload, carried = entry_windows.receive_spec(fake_winapi.GetCurrentProcess(), pipe)
size = int.from_bytes(payload[:8], "big")
assert loads(payload[8 : 8 + size])["method"] == "spawn"
assert len(carried) == 1 and carried[0] != other.fileno()
assert fake_winapi._objects[carried[0]] is fake_winapi._objects[other.fileno()]
fake_winapi.CloseHandle(carried[0])

assert process.is_alive() and process.exitcode is None
assert pc.active_children() == [process]
start_of_wait = time.monotonic()
process.join(0.05)
assert time.monotonic() - start_of_wait >= 0.05 and process.is_alive()
assert pc.wait([mine, process.sentinel], 0.02) == []
process.terminate()
assert pc.wait([mine, process.sentinel]) == [process.sentinel]
process.join()
assert process.exitcode == -15 and repr(process).endswith("stopped[SIGTERM] daemon)>")
process.terminate()
process.close()

# Exit codes are the process's own, 259 among them.
for code in (0, 3, 259, 0xC0000005):
    process, handle, _ = start()
    threading.Timer(0.02, fake_winapi.end_process, args=(handle, code)).start()
    process.join()
    assert process.exitcode == code and not process.is_alive()
    process.close()

# A child that ends before it reads a long spec is left to its exit code.
def end_soon():
    while not fake_winapi.created:
        time.sleep(0.001)
    time.sleep(0.05)
    fake_winapi.end_process(fake_winapi.created[-1][1], 9)
threading.Thread(target=end_soon).start()
process, handle, _ = start(b"x" * 500_000)
process.join()
assert process.exitcode == 9
process.close()

# A start that fails ends the child and closes everything.
def fails(*_):
    raise PermissionError
from processing_core._platform import winapi
winapi.DuplicateHandle = fails
raises(PermissionError, pc.Process(target=print, args=(other,)).start)
winapi.DuplicateHandle = fake_winapi.DuplicateHandle
_, handle = fake_winapi.created.pop()
assert fake_winapi.GetExitCodeProcess(handle) == 0x10000 + 15
winapi.CreateProcess = fails
raises(PermissionError, pc.Process(target=print).start)
winapi.CreateProcess = fake_winapi.CreateProcess
raises(pc.SerializationError, pc.Process(target=print, args=(threading.Lock(),)).start)
assert pc.active_children() == []
import gc
gc.collect()
print("fine", len(fake_winapi._objects) - handles)
left.close()
right.close()
"""


def run(program: str) -> str:
    head = HEAD.format(folder=str(Path(__file__).parent))
    return run_python(["-c", head + program]).check().stdout


def test_connections_and_waiting_over_a_stand_in() -> None:
    assert run(PIPES) == "fine\n"


def test_processes_over_a_stand_in() -> None:
    assert run(PROCESSES) == "fine 0\n"
