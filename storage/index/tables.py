"""The tables of the index. A change of them needs a new ``SCHEMA_VERSION``.

An index of an older version is thrown away and made again from the store and the spool: it
holds nothing that is not there too.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table

from storage.index.entry import MAX_TEXT_CHARS

SCHEMA_VERSION = 1

metadata = MetaData()

#: One row: which version the tables have.
schema = Table("call_index_schema", metadata, Column("version", Integer, primary_key=True))

calls = Table(
    "calls",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("carrier_call_id", String(MAX_TEXT_CHARS)),
    Column("agent_id", String(MAX_TEXT_CHARS), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("from_number", String(MAX_TEXT_CHARS)),
    Column("to_number", String(MAX_TEXT_CHARS)),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("status", String(16), nullable=False),
    Column("end_cause", String(32)),
    Column("recording_key", String(MAX_TEXT_CHARS)),
    Column("transcript_key", String(MAX_TEXT_CHARS)),
    Column("record_key", String(MAX_TEXT_CHARS)),
    Column("server_id", String(36)),
    Column("version", Integer, nullable=False),
    Index("calls_by_time", "started_at_ms", "session_id"),
    Index("calls_by_agent", "agent_id", "started_at_ms", "session_id"),
    Index("calls_by_carrier_call_id", "carrier_call_id"),
    Index("calls_by_from_number", "from_number", "started_at_ms"),
    Index("calls_by_to_number", "to_number", "started_at_ms"),
    Index("calls_by_server", "server_id"),
)
