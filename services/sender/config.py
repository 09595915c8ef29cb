"""How is the sender configured?"""

from __future__ import annotations

from pydantic import DirectoryPath, Field, field_validator

from services.common.domain.lanes import Lane
from services.common.domain.limiter import START_TO_WRITE_SECONDS
from services.common.domain.pair_limit import MOST_BURST, PairPolicy
from services.common.platform.config import CaFile, Secret, SublaneSettings
from services.common.platform.tokens import TokenBox
from services.sender.media import links


class SenderSettings(SublaneSettings):
    """`PARLEY_*` of the sender."""

    postgres_dsn: Secret = Field(description="libpq DSN of role parley_sender")
    postgres_pool: int = Field(4, ge=2, le=64, description="Connections to Postgres")
    graph_url: str = Field("https://graph.facebook.com", pattern=r"^https?://[^/]+$", description="Base address, no version")
    graph_ca_file: CaFile | None = Field(None, description="Who signed its certificate; none: whomever this machine trusts")
    graph_version: str = Field("v25.0", pattern=r"^v\d+\.\d+$")
    token_key: Secret = Field(description="base64 of 32 bytes: the key of the access tokens")

    sender_connect_seconds: float = Field(2.0, gt=0, le=30, description="Longest wait for a connection to Meta")
    sender_answer_seconds: float = Field(10.0, gt=0, le=60, description="Longest wait for an answer, from the write")
    sender_jitter_seconds: float = Field(
        0.015, ge=0.005, le=0.05, description="Variation of the delay to Meta until it is measured"
    )
    sender_pair_seconds: float = Field(6.0, gt=0, le=60, description="One message to the same person each so many seconds")
    sender_pair_burst: int = Field(1, ge=1, le=MOST_BURST, description="Messages to the same person at once, borrowed from later")
    sender_inflight_seconds: float = Field(2.0, gt=0, le=30, description="A number's calls in flight: its rate for so long")
    sender_registry_seconds: float = Field(2.0, gt=0, le=60, description="How often numbers, limits and tokens are read again")
    sender_settle_seconds: float = Field(0.5, gt=0, le=60, description="How often evidence for lost answers is looked for")

    sender_template_seconds: float = Field(600.0, gt=0, description="How often an account's list of templates is read")
    sender_template_demand_seconds: float = Field(60.0, gt=0, description="How soon it is read again for a command that waits")

    sender_otp_horizon_seconds: float = Field(20.0, gt=0, description="otp: how long evidence is waited for")
    sender_transactional_horizon_seconds: float = Field(120.0, gt=0, description="transactional: the same")
    sender_bulk_horizon_seconds: float = Field(900.0, gt=0, description="bulk: the same")
    sender_otp_lifetime_seconds: float = Field(600.0, gt=0, description="otp: a command without expires_at lives so long")
    sender_transactional_lifetime_seconds: float = Field(86_400.0, gt=0, description="transactional: the same")
    sender_bulk_lifetime_seconds: float = Field(7 * 86_400.0, gt=0, description="bulk: the same")

    media_dir: DirectoryPath | None = Field(None, description="What `file` in a command is a path below; none: refused")
    media_spool_dir: DirectoryPath | None = Field(None, description="Room for media on its way; none: the system's")
    media_hosts: str = Field("", description="Hosts whose links are fetched, *.example.com allowed; none: every public one")

    @field_validator("media_hosts")
    @classmethod
    def _is_list(cls, value: str) -> str:
        links.host_rules(value)
        return value

    @field_validator("token_key")
    @classmethod
    def _is_key(cls, value: Secret) -> Secret:
        TokenBox.from_base64(value.get_secret_value())
        return value

    @property
    def pair_policy(self) -> PairPolicy:
        """How often one person may be written to."""
        return PairPolicy(
            interval_seconds=self.sender_pair_seconds, burst=self.sender_pair_burst, jitter_seconds=self.sender_jitter_seconds
        )

    @property
    def remembered_seconds(self) -> float:
        """How long an attempt can count for a limit, from its STARTED row: until its exchange is over, and then for the pair.

        W + J + D of the number's limit is less than that; a little more is what the take-over lasts.
        """
        return START_TO_WRITE_SECONDS + self.sender_answer_seconds + max(1.05, self.pair_policy.remembered_seconds) + 0.2

    @property
    def horizons(self) -> dict[Lane, float]:
        """How long each lane waits for evidence before an unknown outcome is given up as unresolved."""
        return {
            Lane.OTP: self.sender_otp_horizon_seconds,
            Lane.TRANSACTIONAL: self.sender_transactional_horizon_seconds,
            Lane.BULK: self.sender_bulk_horizon_seconds,
        }

    @property
    def lifetimes(self) -> dict[Lane, float]:
        """How long a command of each lane lives that names no end itself."""
        return {
            Lane.OTP: self.sender_otp_lifetime_seconds,
            Lane.TRANSACTIONAL: self.sender_transactional_lifetime_seconds,
            Lane.BULK: self.sender_bulk_lifetime_seconds,
        }
