"""The one exception that stands for a user's mistake."""


class WorkbenchError(Exception):
    """A mistake the user can repair: one sentence that says what was wrong, where, and what to do.

    The command line prints the sentence and exits with code 2; notebooks show it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Say it in a notebook; IPython asks an exception for this before it draws a traceback."""
        return [f"WorkbenchError: {self}"]
