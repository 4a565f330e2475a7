"""The one exception that a user's mistake raises."""


class UsageError(ValueError):
    """A mistake in what the user typed or supplied.

    The message is one line that names the file, key or argument, what was wrong with it and what
    is allowed. The command line prints it without a traceback.
    """
