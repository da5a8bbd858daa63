"""What processes log about themselves."""

from __future__ import annotations

from processing_testkit import run_script

PROGRAM = """
    import logging, sys
    from processing_core import Process
    from processing_core.lowlevel import log_exit_as

    def log():
        logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout, force=True)

    def serve():
        log()
        log_exit_as("server")
        child = Process(target=log)
        child.start()
        child.join()
        sys.exit(3)

    if __name__ == "__main__":
        process = Process(target=serve)
        process.start()
        process.join()
"""


def test_the_last_message_says_what_a_process_is_but_not_what_its_children_are(
    start_method: str,
) -> None:
    lines = run_script(PROGRAM, method=start_method).check().stdout.splitlines()
    # A forked child logs its beginning, too.
    ends = [line for line in lines if "exiting" in line]
    assert ends == ["process exiting with exitcode 0", "server exiting with exitcode 3"]
