"""What all of admin's tables share."""

from sqlalchemy import BigInteger, Column, Integer, MetaData

metadata = MetaData()


def id_column() -> Column[int]:
    """A row number: grows with every row, and so is the order in which things were made."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
