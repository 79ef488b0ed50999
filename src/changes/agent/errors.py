"""What can go wrong for an agent, by what is to be done about it."""


class AgentError(Exception):
    """The message is a sentence for whoever runs the agent, or whose step it is."""


class ServerAway(AgentError):
    """Temporary: the same call may well succeed a little later."""


class Refused(AgentError):
    """The server will not have this agent: unknown or revoked token, other protocol version."""


class OtherVersion(Refused):
    """The two do not speak the same language; the sentence says which one is too old."""


class StepGone(AgentError):
    """The step is over, or no longer ours: stop it and forget it."""


class NotAccepted(AgentError):
    """The server understood this very message and will never take it."""


class OffsetExpected(AgentError):
    """The server has another number of bytes of this log than we thought."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The server expects byte {offset}.")
        self.offset = offset


class GivenUp(AgentError):
    """Nobody wants the answer any more."""


class BadOffer(AgentError):
    """The step cannot be run as it was offered."""


class BadOptions(AgentError):
    """What it was told cannot be used."""


class HomeInUse(AgentError):
    """Another agent works in this home."""


class NotEnrolled(AgentError):
    """There is neither a stored identity nor a token to get one."""
