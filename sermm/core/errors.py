"""The one error for bad input; the command line prints it without a traceback and exits with 2."""

# The exit status of what was interrupted, as a shell gives it after Ctrl-C.
INTERRUPTED = 130


class InputError(ValueError):
    """Wrong use or wrong input: names the file or key, what is wrong, and the way out."""
