"""Where the bytes of artifacts lie: the same bytes once, however many artifacts have them."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from changes.base.db import Base


class StoredFile(Base):
    __tablename__ = "stored_file"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # In the blob store.
    key: Mapped[str]
    # When an artifact came that has these bytes; what is new is about to be used.
    date_used: Mapped[datetime] = mapped_column(index=True)
