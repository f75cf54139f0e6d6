"""Reading sweeps without driving one: what the commands that only look use.

The ledger is read where it can be reached. Where it cannot, the mirror is, and `source` says so.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Literal
from weakref import finalize

from sqlalchemy import Connection

from orchestrator.domain.curves import Curves
from orchestrator.domain.plugin import load_source
from orchestrator.domain.trial import Trial
from orchestrator.errors import LedgerUnreachable, PluginError, UnknownSweep
from orchestrator.plan.reuse import Reusable, Wanted, reusable
from orchestrator.ports import Attempt, Member, SweepRecord, Teacher, Whereabouts
from orchestrator.tracking import queries, streaming, writes
from orchestrator.tracking.database import Database
from orchestrator.tracking.from_mlflow import MirrorReader
from orchestrator.tracking.locks import is_held
from orchestrator.tracking.places import ledger_at, store_at
from orchestrator.tracking.rows import Decoder
from orchestrator.tracking.schema import curves, lessons, whereabouts


class Reader:
    """Sweeps as the ledger has them, else as MLflow has them; `source` says which.

    From MLflow come settled trials only, without rounds and attempts. Raises `LedgerDamaged`, and
    `UnknownSweep` for an id that is not there; `Unreachable` when neither answers.
    """

    def __init__(self, store: str, ledger: str | None = None) -> None:
        place = store_at(store)
        self._reads: LedgerReader | MirrorReader
        self.source: Literal["ledger", "mlflow"] = "ledger"
        try:
            self._reads = LedgerReader(ledger_at(ledger, place))
        except LedgerUnreachable:
            self._reads, self.source = MirrorReader(place), "mlflow"

    def sweeps(self) -> list[SweepRecord]:
        """Every sweep, newest first. One that runs without a living driver is `interrupted`."""
        return self._reads.sweeps()

    def sweep(self, sweep: str) -> SweepRecord:
        """One sweep by its whole id."""
        return self._reads.sweep(sweep)

    def members(self, sweep: str) -> list[Member]:
        """Every trial of a sweep, in order of round, then of recording.

        Plug-in files that the sweep came with are loaded where one of their kinds is not known.
        """
        try:
            return self._reads.members(sweep)
        except PluginError:
            plugins = self.sweep(sweep).plugins
            if not plugins:
                raise
            for name, source in plugins:
                load_source(name, source)
            return self._reads.members(sweep)

    def teachers(self, sweep: str, trials: Sequence[Trial]) -> dict[str, Teacher]:
        """How these trials, from which members of a sweep learn, stand, by key; MLflow has not
        heard of them.
        """
        return self._reads.teachers(sweep, trials) if isinstance(self._reads, LedgerReader) else {}

    def curves(self, sweep: str, keys: Sequence[str]) -> dict[str, Curves]:
        """Learning curves of those trials of a sweep that have any."""
        return self._reads.curves(sweep, keys)

    @contextmanager
    def table(self, sweep: str) -> Iterator[tuple[list[str], Iterator[Member]]]:
        """Names of all measures, and the settled trials by arm, d, k, n, round and recording.

        Of a ledger the trials pass through one by one, however many there are; both are of one
        state of it. Raises `PluginError` where a plug-in is not known here.
        """
        if isinstance(self._reads, LedgerReader):
            with self._reads.table(sweep) as found:
                yield found
            return
        settled = [one for one in self.members(sweep) if one.settled is not None]
        results = [one.settled.result for one in settled if one.settled]
        yield (
            sorted({name for result in results if result for name in result.measures}),
            iter(sorted(settled, key=_place)),
        )

    def attempts(self, keys: Sequence[str]) -> dict[str, list[Attempt]]:
        """Every attempt at those trials, oldest first, whichever sweep made it."""
        return self._reads.attempts(keys)

    def losses(self, sweep: str) -> list[tuple[str, int, int]]:
        """How the sweep's attempts that gave no result ended: reason, their number, charges."""
        return self._reads.losses(sweep)

    def whereabouts(self, sweep: str) -> tuple[float, list[Whereabouts]] | None:
        """When a sweep's driver last noted where its packs are, and that; None without a driver."""
        return self._reads.whereabouts(sweep)

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """Trials with a result that a sweep of these arms may ask for; MLflow is not asked."""
        return self._reads.reusable(arms, seed) if isinstance(self._reads, LedgerReader) else []

    def builds(self, sweep: str) -> list[dict[str, str]]:
        """The versions with which a sweep's results were made, the latest last; only a ledger knows
        them.
        """
        return self._reads.builds(sweep) if isinstance(self._reads, LedgerReader) else []

    def lag(self, sweep: str) -> int:
        """How many outbox entries of a sweep MLflow has not been told."""
        return self._reads.lag(sweep)

    def close(self) -> None:
        """Close the connections."""
        self._reads.close()


class LedgerReader:
    """Sweeps of a ledger, at the time of asking. Raises `LedgerUnreachable`, `LedgerDamaged`."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, create=False)
        finalize(self, self._database.close)  # dropped unclosed, it would hold a team's connection
        self._decoder = Decoder(self._database.name)

    def sweeps(self) -> list[SweepRecord]:
        """See `Reader.sweeps`."""
        with self._database.reading() as connection:
            records = queries.sweep_records(connection)
        return [self._as_it_stands(record) for record in records]

    def sweep(self, sweep: str) -> SweepRecord:
        """See `Reader.sweep`."""
        with self._database.reading() as connection:
            record = queries.sweep_record(connection, sweep)
        if record is None:
            raise UnknownSweep(f"no sweep has the id {sweep!r}; see: phasefront list")
        return self._as_it_stands(record)

    def members(self, sweep: str) -> list[Member]:
        """See `Reader.members`. Raises `PluginError` when a plug-in is not known here.

        What a driver that is gone left running is waiting.
        """
        with self._database.reading() as connection:
            rows = queries.member_rows(connection, sweep)
            found = [queries.member_of(row, self._decoder) for row in rows]
        if any(one.state == "running" for one in found) and not is_held(self._database, sweep):
            return [
                replace(one, state="waiting") if one.state == "running" else one for one in found
            ]
        return found

    def teachers(self, sweep: str, trials: Sequence[Trial]) -> dict[str, Teacher]:
        """See `Reader.teachers`."""
        keys, has_lessons = [trial.key for trial in trials], self._database.has(lessons)
        is_running = is_held(self._database, sweep)
        with self._database.reading() as connection:
            settled = queries.settled(connection, self._decoder, sweep, keys)
            begun = queries.begun(connection, sweep, keys) if is_running else set()
            kept = queries.lessons_of(connection, keys) if has_lessons else {}
        found = {}
        for trial in trials:
            key, one = trial.key, settled.get(trial.key)
            open_state = "running" if key in begun else "waiting"
            state = open_state if one is None else "gap" if one.is_gap else "done"
            found[key] = Teacher(trial, state, *kept.get(key, ("", 0)), one)  # type: ignore[arg-type]
        return found

    def curves(self, sweep: str, keys: Sequence[str]) -> dict[str, Curves]:
        """See `Reader.curves`. A ledger of an older version has none."""
        if not self._database.has(curves):
            return {}
        with self._database.reading() as connection:
            return queries.curves_at(connection, keys)

    @contextmanager
    def table(self, sweep: str) -> Iterator[tuple[list[str], Iterator[Member]]]:
        """See `Reader.table`."""
        with self._database.reading() as connection:
            names = streaming.measures_of(connection, sweep)
            yield names, self._streamed(connection, sweep)

    def _streamed(self, connection: Connection, sweep: str) -> Iterator[Member]:
        with closing(streaming.table_parts(connection, sweep)) as parts:
            for rows, cells in parts:
                decoder = Decoder(self._database.name)  # a cell's trials stand together: none stays
                for cell in cells:
                    decoder.learn(cell)
                for row in rows:
                    yield queries.member_of(row, decoder)

    def attempts(self, keys: Sequence[str]) -> dict[str, list[Attempt]]:
        """See `Reader.attempts`."""
        with self._database.reading() as connection:
            return queries.attempts_at(connection, keys)

    def losses(self, sweep: str) -> list[tuple[str, int, int]]:
        """See `Reader.losses`."""
        with self._database.reading() as connection:
            return queries.losses(connection, sweep, writes.NO_LOSS)

    def whereabouts(self, sweep: str) -> tuple[float, list[Whereabouts]] | None:
        """See `Reader.whereabouts`. A ledger of an older version has no such notes."""
        if not self._database.has(whereabouts) or not is_held(self._database, sweep):
            return None
        with self._database.reading() as connection:
            return queries.whereabouts_of(connection, sweep)

    def reusable(self, arms: Sequence[Wanted], seed: int) -> list[Reusable]:
        """See `Reader.reusable`."""
        with self._database.reading() as connection:
            return reusable(arms, queries.answered(connection, arms, seed))

    def builds(self, sweep: str) -> list[dict[str, str]]:
        """See `Reader.builds`."""
        with self._database.reading() as connection:
            return [json.loads(one) for one in queries.builds_of(connection, sweep)]

    def lag(self, sweep: str) -> int:
        """See `Reader.lag`."""
        with self._database.reading() as connection:
            return queries.lag(connection, sweep)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _as_it_stands(self, record: SweepRecord) -> SweepRecord:
        if record.status != "running" or is_held(self._database, record.id):
            return record
        return replace(record, status="interrupted", stopped_by="interrupted")


def _place(member: Member) -> tuple[int, int, int, int]:
    point = member.trial.cell.point
    return member.arm, point.d, point.k, point.n
