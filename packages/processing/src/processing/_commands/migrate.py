"""x"""

import argparse


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    return


def run(options: argparse.Namespace) -> int:
    return 2
