"""Do the sender's own store, recorder and settler keep every promise, whatever order things happen in? On a real Postgres.

The same game as in `tests/unit/sender/test_model.py`, played with the real statements: Hypothesis chooses what happens next, a
process that dies is memory that is dropped, Meta is a script, and its webhooks are rows of the read models.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, ClassVar, Final, LiteralString, TypeVar

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from services.common.domain import lane_shares
from services.common.domain.lane_shares import Shares
from services.common.domain.lanes import Lane
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.records import SendOutcome
from services.common.domain.resending import BY_OPERATOR
from services.common.platform import postgres as platform_postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.common.platform.tokens import TokenBox
from services.sender import options
from services.sender.commands import TakenIn, fingerprint
from services.sender.distrust import Distrust, judged
from services.sender.findings import finding_of
from services.sender.judging import Call
from services.sender.knowledge import Candidate, Knowledge
from services.sender.numbers import Numbers
from services.sender.outcomes import Attempt
from services.sender.recorder import Recorder
from services.sender.response import Result, classify, no_answer, not_sent
from services.sender.settle import Settler
from services.sender.store import Batch, OwnerLost, Pick, Settled, Store
from tests.support.gate import gated
from tests.support.sending import PERSON, TOKEN_KEY, UNSHARED, WABA, text

T = TypeVar("T")

ENDED: Final = ("accepted", "refused", "rejected", "expired", "unresolved")
UNDELIVERABLE: Final = 131026
PAIRS: Final = PairPolicy(burst=45)
_ANSWERS: Final = {
    "no id": (200, b"{}"),
    "rejected": (400, b'{"error": {"code": 100}}'),
    "throttled": (429, b'{"error": {"code": 130429}}'),
    "lie": (400, b'{"error": {"code": 131053}}'),
}
FATES: Final = st.sampled_from(["accepted", "answer lost", "no id", "request lost", "rejected", "throttled", "lie", "not sent"])
_GAMES: Final = count(1)


async def unheeded(_attempt: Attempt, _code: int | None) -> None:
    """No message here shows media."""


@dataclass(slots=True)
class Exchange:
    """A call as one process knows it, and what Meta's answer would be; None while Meta has not decided."""

    call: Call
    answer: Result | None = None


@dataclass(slots=True)
class Owner:
    """A sender's memory."""

    recorder: Recorder
    settler: Settler
    distrust: Distrust
    epoch: int | None = None
    exchanges: list[Exchange] = field(default_factory=list)


class Ledger:
    """The database, and the loop in which the real code runs."""

    def __init__(self, dsn: str) -> None:
        self.runner = asyncio.Runner()
        self.pool = platform_postgres.pool(dsn, service="machine", probing=True)
        self.run(self.pool.open())
        self.codec = Codec()
        self.store = Store(self.pool, self.codec)
        self.connection = psycopg.connect(dsn, autocommit=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, values)
        return cursor.fetchall() if cursor.description is not None else []

    def owner(self) -> Owner:
        """A process as it is after its start."""
        distrust = Distrust(self.store)
        recorder = Recorder(self.store, distrust, abandon=asyncio.Event(), told=asyncio.Event())
        numbers = Numbers(self.pool, TokenBox.from_base64(TOKEN_KEY), jitter_seconds=0.0, pair_policy=PAIRS, sharing=UNSHARED)
        horizons = dict.fromkeys(Lane, 3600.0)
        told = asyncio.Event()
        settler = Settler(
            self.store, recorder, numbers, distrust, heed_late=unheeded, horizons=horizons, every_seconds=1.0, told=told
        )
        return Owner(recorder=recorder, settler=settler, distrust=distrust)

    def close(self) -> None:
        self.connection.close()
        self.run(self.pool.close())
        self.runner.close()


class Game(RuleBasedStateMachine):
    """One command, two senders, one Meta."""

    ledger: ClassVar[Ledger]
    """Of this test; Hypothesis makes a game out of nothing but its class."""

    def __init__(self) -> None:
        super().__init__()
        self.number = str(10_000_000 + next(_GAMES))
        self.shard = int(self.number)
        self.owners = [self.ledger.owner(), self.ledger.owner()]
        self.taken: dict[str, str] = {}
        """What Meta accepted: attempt id -> wamid."""
        self.failed: set[str] = set()
        self.by_hand = False
        self.is_told_off_twice = False
        self.ledger.sql("DELETE FROM sender.distrusted_codes")
        self.ledger.sql(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token, tenant_id) VALUES (%s, %s, '', 'bold')",
            self.number,
            WABA,
        )
        self.ledger.sql(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at) VALUES (%s, %s, now())",
            self.number,
            PERSON,
        )

    @initialize(policy=st.sampled_from(["hold", "resend_once"]))
    def publish(self, policy: str) -> None:
        message = text(phone_number_id=self.number, policy=policy)
        self.command = TakenIn(
            message=message,
            shard=self.shard,
            lane=Lane.TRANSACTIONAL,
            fingerprint=fingerprint(message),
            pair=PERSON,
            appended_at=now_ms(),
            expires_at=now_ms() + 3_600_000,
            send_at=None,
            not_before=None,
            options=options.of(message),
        )
        assert self.ledger.run(self.ledger.store.take_in([self.command])) == {message.command_id}

    @rule()
    def publish_again(self) -> None:
        assert self.ledger.run(self.ledger.store.take_in([self.command])) == set()

    @rule(who=st.integers(0, 1), adopts=st.booleans())
    def take_over(self, who: int, adopts: bool) -> None:
        """The shard is ours; we may die before we look at what the last owner left."""
        owner = self.owners[who]
        owner.epoch = self.ledger.run(self.ledger.store.take_over([self.shard], str(who)))[self.shard]
        if adopts:
            self.ledger.run(owner.settler.adopt([self.shard]))

    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        self.owners[who] = self.ledger.owner()

    @rule(who=st.integers(0, 1))
    def start(self, who: int) -> None:
        owner = self.owners[who]
        if owner.epoch is None:
            return
        calls: list[Call] = []

        def judge(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
            batch, calls[:] = gated(candidates, known, retries_left=10)
            return batch

        pick = Pick(limit=10, sending=True, orders=lane_shares.orders(Shares(), 10), pairs=PAIRS)
        starting = self.ledger.store.start(self.number, self.shard, owner.epoch, pick=pick, judge=judge)
        try:
            self.ledger.run(starting)
        except OwnerLost:
            owner.epoch = None
            return
        owner.exchanges += [Exchange(call) for call in calls]

    @rule(who=st.integers(0, 1), fate=FATES)
    def write(self, who: int, fate: str) -> None:
        """A call that was started reaches Meta, or does not."""
        for exchange in self.owners[who].exchanges:
            if exchange.answer is None:
                exchange.answer = self._meta(exchange.call.attempt.attempt_id or "", exchange.call.attempt.attempt_no, fate)

    @rule(who=st.integers(0, 1))
    def record(self, who: int) -> None:
        owner = self.owners[who]
        done, owner.exchanges = owner.exchanges, [one for one in owner.exchanges if one.answer is None]
        findings = [
            finding_of(
                one.call.attempt, judged(one.answer, owner.distrust.codes), at=now_ms(), waba_id=WABA, horizon_seconds=3600.0
            )
            for one in done
            if one.answer is not None
        ]
        self.ledger.run(owner.recorder.write(findings))

    @rule(who=st.integers(0, 1), fate=FATES)
    def go_through(self, who: int, fate: str) -> None:
        """All of an attempt in a row, as it mostly is: what takes several of them is reached in a few steps."""
        if self.owners[who].epoch is None:
            self.take_over(who, adopts=True)
        self.time_passes()
        self.start(who)
        self.write(who, fate)
        self.record(who)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), status=st.sampled_from(["sent", "failed"]))
    def webhook(self, data: Any, status: str) -> None:
        self._webhook(data.draw(st.sampled_from(sorted(self.taken))), status)

    @rule(who=st.integers(0, 1))
    def settle(self, who: int) -> None:
        if self.owners[who].epoch is not None:
            self.ledger.run(self.owners[who].settler.settle_all([self.shard], lambda *_: None))

    @rule()
    def time_passes(self) -> None:
        """Horizons and waits are over, and every call that is under way is too old to be."""
        self.ledger.sql("UPDATE sender.send_commands SET next_action_at = now() WHERE phone_number_id = %s", self.number)

    @rule()
    def all_time_is_over(self) -> None:
        self.ledger.sql("UPDATE sender.send_commands SET expires_at = now() WHERE phone_number_id = %s", self.number)

    @rule()
    def ask_by_hand(self) -> None:
        asked = self.ledger.sql(
            "INSERT INTO sender.resends (command_id, period, shard, asked_by, why) SELECT command_id, period, shard, 'me', 'why'"
            " FROM sender.send_commands WHERE phone_number_id = %s AND state = ANY(%s) RETURNING 1",
            self.number,
            list(BY_OPERATOR),
        )
        self.by_hand = self.by_hand or bool(asked)

    @invariant()
    def nothing_is_doubled_lost_or_misreported(self) -> None:
        if not hasattr(self, "command"):
            return
        [(state, doubt)] = self.ledger.sql(
            "SELECT state, possible_duplicate FROM sender.send_commands WHERE command_id = %s", self.command.message.command_id
        )
        known = {row[0] for row in self._attempts()}
        assert set(self.taken) <= known, "accepted without a record"
        if self.is_told_off_twice:
            return  # Meta refused what it took: then nobody can know, until its webhook comes
        assert len(self.taken) <= 1 or doubt, "accepted twice"
        assert len(self.taken) <= 2 or self.by_hand, "sent again more than once"
        assert not self.taken or state not in ("refused", "rejected", "expired"), "told as failed although accepted"

    def teardown(self) -> None:
        """All webhooks come, all waits end: the command has to end, as what it is."""
        if not hasattr(self, "command"):
            return
        for attempt_id in self.taken:
            self._webhook(attempt_id, "sent")
        self.take_over(0, adopts=True)
        for _ in range(6):
            self.all_time_is_over()
            self.time_passes()
            self.settle(0)
            self.start(0)
            self.write(0, "not sent")
            self.record(0)
        [(state, wamid, twice)] = self.ledger.sql(
            "SELECT state, wamid, is_duplicate FROM sender.send_commands WHERE phone_number_id = %s", self.number
        )
        assert state in ENDED, "stuck"
        assert (state == "accepted") is bool(self.taken), "not what Meta took"
        assert wamid is None or wamid in self.taken.values()
        assert twice is (len(self.taken) > 1)
        kinds = Counter(one.kind for one in self._told())
        assert kinds[state], "ended, and nobody was told"
        assert kinds["duplicate_confirmed"] == (len(self.taken) > 1), "a second acceptance and its event are not one"
        assert kinds["late_failure"] == bool(self.failed), "each code of a command once"
        assert self.by_hand or kinds["resent"] <= (self.command.message.policy == "resend_once")

    def _meta(self, attempt_id: str, attempt_no: int, fate: str) -> Result:
        if fate in ("accepted", "answer lost", "no id", "lie"):
            self.taken[attempt_id] = f"wamid.{uuid.uuid4()}"
        if fate == "lie":
            self.is_told_off_twice = True
        if fate == "accepted":
            answer = {"messages": [{"id": self.taken[attempt_id]}]}
            return classify(200, orjson.dumps(answer), attempt_no=attempt_no)
        if fate in _ANSWERS:
            status, body = _ANSWERS[fate]
            return classify(status, body, attempt_no=attempt_no)
        if fate == "not sent":
            return not_sent("refused", attempt_no=attempt_no)
        return no_answer("ServerDisconnectedError")

    def _webhook(self, attempt_id: str, status: str) -> None:
        if status == "failed":
            self.failed.add(attempt_id)
        self.ledger.sql(
            "INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at,"
            " phone_number_id, waba_id, biz_opaque_callback_data, error_code, raw)"
            " VALUES (%s, %s, now(), '', 'message', %s, now(), %s, %s, %s, %s, '{}')",
            self.taken[attempt_id],
            status,
            str(uuid.uuid4()),
            self.number,
            WABA,
            attempt_id,
            UNDELIVERABLE if status == "failed" else None,
        )

    def _attempts(self) -> list[tuple[Any, ...]]:
        return self.ledger.sql("SELECT attempt_id FROM sender.send_attempts WHERE phone_number_id = %s", self.number)

    def _told(self) -> list[SendOutcome]:
        rows = self.ledger.sql("SELECT value, event_id FROM sender.outbox WHERE shard = %s ORDER BY seq", self.shard)
        told = {event_id: self.ledger.codec.decode(bytes(value)) for value, event_id in rows}
        return [one for one in told.values() if isinstance(one, SendOutcome)]


@pytest.fixture
def ledger(postgres: str) -> Iterator[Ledger]:
    made = Ledger(postgres)
    made.run(made.store.keep_periods())
    made.sql("INSERT INTO registry.tenants (tenant_id, name, resend_once) VALUES ('bold', 'Bold', '{transactional}')")
    yield made
    made.close()


def play(ledger: Ledger, game: type[Game], *, examples: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    game.ledger = ledger
    run_state_machine_as_test(
        game,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
            phases=phases,
        ),
    )


def test_whatever_happens_nothing_is_doubled_lost_misreported_or_stuck(ledger: Ledger) -> None:
    play(ledger, Game, examples=300)


class Forgetful(Store):
    """A ledger that does not know what an earlier owner left without an outcome."""

    async def orphans(self, shards: Sequence[int], started_seconds: float) -> list[Attempt]:
        del shards, started_seconds
        return []


class Silent(Store):
    """A ledger that tells nobody of a second acceptance."""

    async def settle(self, given: Sequence[Settled]) -> dict[tuple[str, int], tuple[bool, bool]]:
        return await super().settle([replace(one, duplicate=one.accepted) for one in given])


class Hopeful(Game):
    """A sender that takes a lost answer for a lost request."""

    def _meta(self, attempt_id: str, attempt_no: int, fate: str) -> Result:
        answer = super()._meta(attempt_id, attempt_no, fate)
        return not_sent("hoped", attempt_no=attempt_no) if fate == "answer lost" else answer


class Doubtful(Game):
    """A game of lost answers in which a second attempt is allowed: hundreds of games at large see one second acceptance."""

    @initialize(policy=st.just("resend_once"))
    def publish(self, policy: str) -> None:
        super().publish(policy)

    @rule(who=st.integers(0, 1), fate=st.sampled_from(["accepted", "answer lost"]))
    def go_through(self, who: int, fate: str) -> None:
        self.time_passes()
        self.settle(who)
        super().go_through(who, fate)


@pytest.mark.parametrize(
    ("store", "game", "seen"),
    [
        pytest.param(
            Store, Hopeful, "accepted twice|although accepted|not what Meta took", id="sends again what it does not know about"
        ),
        pytest.param(Forgetful, Game, "stuck", id="forgets what the last owner started"),
        pytest.param(Silent, Doubtful, "second acceptance", id="does not tell of a second acceptance"),
    ],
)
def test_a_planted_bug_is_seen(ledger: Ledger, store: type[Store], game: type[Game], seen: str) -> None:
    ledger.store = store(ledger.pool, ledger.codec)
    with pytest.raises(AssertionError, match=seen):
        play(ledger, game, examples=2_000, phases=(Phase.generate,))
