"""Whose code is trusted with secrets, and with a machine. Pure."""

from changes.projects.options import EVERYBODY


def is_trusted(*, has_patch: bool, has_rights: bool, who: str) -> bool:
    """What lies in the repository is, since somebody who may write there let it in. A patch is when
    whoever hands it in has rights on the project, or the project trusts everybody who may ask for builds.
    """
    return not has_patch or has_rights or who == EVERYBODY
