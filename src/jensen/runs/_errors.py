"""What goes wrong with a run folder."""


class RunError(RuntimeError):
    """A run folder that cannot be read or used; the message names the remedy."""


class UntrustedCodeError(RunError, ValueError):
    """A run folder names a .py file outside jensen that may not be imported: it is not trusted, or
    it is not the file that the run was fitted with."""
