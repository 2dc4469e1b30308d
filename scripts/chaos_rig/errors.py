"""What can go wrong with the rig itself, or on the way to a server."""


class RigFailed(Exception):
    """The rig could not do its work: this says nothing about the product."""


class Unanswered(Exception):
    """No answer came, or "try again" did: whether it was done is not known."""
