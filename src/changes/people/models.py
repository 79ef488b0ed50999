"""People: those who sign in (users), those who write code (authors), and the keys they hold."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.people.rules import Scope


class User(Identified, Base):
    __tablename__ = "user"

    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False, server_default="false")
    # Patterns of project slugs this person may administer.
    project_permissions: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    # "", "light" or "dark".
    theme: Mapped[str] = mapped_column(default="", server_default="")
    is_colorblind: Mapped[bool] = mapped_column(default=False, server_default="false")
    # Nobody signs in as a disabled user, and none of their tokens opens anything.
    date_disabled: Mapped[datetime | None]


class Author(Identified, Base):
    """Somebody named in a commit; need not be able to sign in."""

    __tablename__ = "author"

    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)


class AuthorAddress(Base):
    """Another address under which somebody writes code; they or administrators say so, no repository does."""

    __tablename__ = "author_address"

    # In lower case.
    email: Mapped[str] = mapped_column(primary_key=True)
    author_id: Mapped[UUID] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"), index=True)


class Token(Identified, Base):
    """A key for programs. Only a digest is kept, so a stolen database opens nothing."""

    __tablename__ = "token"

    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    scope: Mapped[Scope] = mapped_column(Numbered(Scope))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    date_last_used: Mapped[datetime | None]
    date_revoked: Mapped[datetime | None]

    user: Mapped[User | None] = relationship(lazy="joined")


class SignInLink(Identified, Base):
    """A link that signs one person in, once."""

    __tablename__ = "sign_in_link"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(unique=True)
    date_expires: Mapped[datetime]
    date_used: Mapped[datetime | None]


class WebSession(Identified, Base):
    """Somebody signed in with a browser; the cookie carries a secret whose digest stands here."""

    __tablename__ = "web_session"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(unique=True)
    date_last_used: Mapped[datetime | None]
    date_expires: Mapped[datetime]
    # Of the browser that signed in, so that its owner knows it again.
    user_agent: Mapped[str] = mapped_column(default="", server_default="")
    address: Mapped[str] = mapped_column(default="", server_default="")


class Tries(Base):
    """How many tries a key has had since its window began."""

    __tablename__ = "tries"

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    date_window_began: Mapped[datetime]


class ProviderVisit(Base):
    """Somebody who was sent to a provider to sign in there, and has not come back yet."""

    __tablename__ = "provider_visit"

    digest: Mapped[str] = mapped_column(primary_key=True)
    nonce: Mapped[str]
    verifier: Mapped[str]
    landing: Mapped[str]
    date_expires: Mapped[datetime]


class AdminMessage(Identified, Base):
    """A word of the administrators to everybody; there is one row at most."""

    __tablename__ = "admin_message"

    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    message: Mapped[str]

    user: Mapped[User | None] = relationship(lazy="joined")
