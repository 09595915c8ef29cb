"""As whom does Postgres run? It refuses root, so root uses a user namespace, else the account `postgres`."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.sandbox.problems import ProviderError

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
ACCOUNT = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How to start a program that must not be root's: with a prefix, or as another user. Neither: as ourselves."""

    prefix: tuple[str, ...] = ()
    user: str | None = None


def find_account() -> Account:
    """The first way that works on this machine; ProviderError if none does."""
    if os.geteuid() != 0:
        return Account()
    if shutil.which("unshare") and _succeeds((*NAMESPACE, "true")):
        return Account(prefix=NAMESPACE)
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise ProviderError(
            "Postgres does not run as root, and here is neither a user namespace (unshare) nor an account 'postgres': "
            "run as another user."
        ) from None
    return Account(user=ACCOUNT)


def usable_folder(wanted: Path, who: Account) -> Path:
    """`wanted`, made and owned for the account; a folder beside it in the temporary directory if the account cannot reach it.

    The same `wanted` always gives the same folder, so a restart finds its data.
    """
    folder = wanted
    if who.user and not may_enter(wanted.parent, who.user):
        folder = Path(tempfile.gettempdir()) / f"parley-postgres-{hashlib.sha256(str(wanted).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if who.user:
        entry = pwd.getpwnam(who.user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder


def may_enter(path: Path, user: str) -> bool:
    """Whether that user gets to the path; asked only as root, which may become that user."""
    entry = pwd.getpwnam(user)
    run = subprocess.run(
        ["test", "-x", str(path)], user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], cwd="/", timeout=30, check=False
    )
    return run.returncode == 0


def _succeeds(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
