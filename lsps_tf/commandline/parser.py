"""The argument parser of every command: one line per mistake, and the nearest name of an unknown option."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from lsps_tf.errors import InputError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `InputError`s, and which takes values that begin with a minus."""

    def __init__(self, prog: str, description: str, **options: Any):
        super().__init__(prog=prog, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def parse_args(self, args=None, namespace=None):
        """As argparse's; InputError on an unknown option, with the nearest known one."""
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise InputError(self._unknown(unknown[0]))
        return namespace

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's; `--center -20,10,600` counts as `--center=-20,10,600`, which argparse refuses otherwise."""
        joined: list[str] = []
        for argument in args or []:
            if joined and joined[-1] in self._option_string_actions and argument[:1] == "-" and "," in argument:
                joined[-1] += "=" + argument
            else:
                joined.append(argument)
        return super().parse_known_args(joined, namespace)

    def _unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"'{argument}' is one argument too many; see {self.prog} --help"
        nearest = difflib.get_close_matches(argument.split("=")[0], self._option_string_actions, n=1, cutoff=0.0)[0]
        return f"unknown setting '{argument}'; the nearest one is '{nearest}'"
