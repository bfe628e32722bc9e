"""The one error that a user's mistake raises."""


class InputError(ValueError):
    """Bad input from the user: one line that names the file, what was wrong and what to do. Commands exit with 2."""
