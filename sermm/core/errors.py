"""The one error for bad input; the command line prints it without a traceback and exits with 2."""


class InputError(ValueError):
    """Wrong use or wrong input: names the file or key, what is wrong, and the way out."""
