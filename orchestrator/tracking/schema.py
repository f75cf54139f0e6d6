"""The ledger's tables. One schema for SQLite and PostgreSQL; version 5.

A trial has one row, whichever sweeps ask for it; a sweep's claim on it is a member, and so is its
giving up: a result is everybody's, a gap is of the sweep that could not fill it. What the outbox
says of trials is a log that is marked and never shortened: its order is the order in which a cell's
trials are counted, so that a figure sent twice is the same figure. Entries of figures and artifacts
go once they are told; of figures the newest stay.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

SCHEMA_VERSION = 5
"""Raised when a table changes. An older ledger gets what it lacks (`ADDED`) when a sweep is next
opened in it; one of a later version is refused and left untouched."""

metadata = MetaData()

_serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

ledger_schema = Table("ledger_schema", metadata, Column("version", Integer, primary_key=True))

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("spec_json", Text, nullable=False),
    Column("spec_source", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started", Double, nullable=False),  # seconds since the epoch, like every time here
    Column("stopped_by", String(16)),
    Column("ended", Double),
    Column("plugins", Text, nullable=False),  # JSON [[module, source], …]
    Column("mlflow_run", String(64)),
)

cells = Table(
    "cells",
    metadata,
    Column("key", String(32), primary_key=True),  # hash of all that follows
    Column("target", Text, nullable=False),  # canonical JSON of the settings
    Column("learner", Text, nullable=False),
    Column("target_revision", Integer, nullable=False),
    Column("learner_revision", Integer, nullable=False),
    Column("d", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("k", BigInteger, nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("versions", Text, nullable=False),  # JSON {package: version}
)

trials = Table(
    "trials",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("cell", String(32), ForeignKey("cells.key"), nullable=False),
    Column("repeat", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),  # open, done
    Column("attempt", Integer, nullable=False),  # the newest begun; once done, the one committed
    Column("outcome", String(16)),
    Column("measures", Text),  # JSON; shortest digits that read back to the same float
    Column("seconds", Double),
    Column("settled", Double),
    Column("place", Text),
    Column("build", String(16), ForeignKey("builds.id")),
    Column("checksum", String(16)),  # of what was settled; see `rows.checksum`
    Index("trials_by_cell", "cell"),
)

curves = Table(  # learning curves of the trials that have any; only pictures need them
    "curves",
    metadata,
    Column("key", String(32), ForeignKey("trials.key"), primary_key=True),
    Column("points", Text, nullable=False),  # JSON {measure: [steps, values]}
)

members = Table(
    "members",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("key", String(32), ForeignKey("trials.key"), nullable=False),
    Column("arm", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("cached", Boolean, nullable=False),
    PrimaryKeyConstraint("sweep", "key"),
    Index("members_by_key", "key"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("key", String(32), ForeignKey("trials.key"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("given_up", Double, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON
    Column("checksum", String(16), nullable=False),
    PrimaryKeyConstraint("sweep", "key"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", String(32), ForeignKey("trials.key"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("reason", Text),
    Column("charge", Integer, nullable=False),
    Column("place", Text, nullable=False),
    PrimaryKeyConstraint("key", "attempt"),
    Index(
        "attempts_open",
        "sweep",
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
)

rounds = Table(
    "rounds",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("asks", Text, nullable=False),
    Column("checksum", String(16), nullable=False),
    PrimaryKeyConstraint("sweep", "number"),
)

reusable = Table(  # what a sweep could reuse when it was first opened; see `plan.reuse`
    "reusable",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), primary_key=True),
    Column("trials", Text, nullable=False),  # JSON
    Column("checksum", String(16), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _serial, primary_key=True, autoincrement=True),
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("kind", String(8), nullable=False),  # trial, gap, sweep, settle, metrics, note, artifact
    Column("subject", Text, nullable=False),  # a trial's key, or an artifact's path
    Column("payload", Text),
    Column("queued", Double, nullable=False),
    Column("sent", Boolean, nullable=False),
    Index(
        "outbox_unsent",
        "sweep",
        "id",
        sqlite_where=text("sent = 0"),
        postgresql_where=text("NOT sent"),
    ),
    Index("outbox_by_subject", "subject"),
    sqlite_autoincrement=True,
)

figures = Table(
    "figures",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("published", Double, nullable=False),
    PrimaryKeyConstraint("sweep", "name"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("sweep", "path"),
)

drivers = Table(
    "drivers",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),  # counts the openings; fences every write
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", Double, nullable=False),
)

whereabouts = Table(  # where a driver's packs are, for whoever looks on; nothing depends on it
    "whereabouts",
    metadata,
    Column("sweep", String(64), ForeignKey("sweeps.id"), primary_key=True),
    Column("noted", Double, nullable=False),
    Column("packs", Text, nullable=False),  # JSON, see `rows.whereabouts_row`
)

lessons = Table(  # where what a trial taught was written; the file may be gone since
    "lessons",
    metadata,
    Column("key", String(32), ForeignKey("trials.key"), primary_key=True),
    Column("name", Text, nullable=False),  # of the file in the trial's folder: its checksum
    Column("kept", Double, nullable=False),
    Column("times", Integer, nullable=False),  # how often it was made: again where it was lost
)

ADDED = {2: (reusable,), 3: (whereabouts,), 4: (curves,), 5: (lessons,)}
"""Tables by the version that brought them; version 1 had all the others."""
