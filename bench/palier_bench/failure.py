"""What makes a run of the benchmark fail."""


class Failure(Exception):
    """A wrong answer, a socket error, a proxy that does not start: told to the user, exit code 1."""
