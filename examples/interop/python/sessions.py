"""Reads, touches and ends sessions that session-redis wrote. The format is described in docs/format.md."""

import base64
import hashlib
import hmac
import json
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

MAX_HEADER = 406
MAX_RECORD = MAX_HEADER + 262_144
SETTLED = 600_000  # a younger index entry may belong to a login that is still under way

SCRIPTS = Path(__file__).resolve().parents[3] / "session-redis/src/scripts"
TOUCH, DELETE = (SCRIPTS.joinpath(f"{name}.lua").read_text() for name in ("touch", "delete"))


class StoreTrouble(Exception):
    """The store cannot answer, or another version wrote what it holds. Answer 503, and leave the cookie alone."""


@dataclass
class Session:
    id: bytes
    user: str | None
    data: dict[str, Any]
    created_at: int
    expires_at: int
    deadline: int
    authentication: dict[str, int] | None


class Sessions:
    """`idle` in milliseconds, and `prefix` and `realm`, as the Rust application has them."""

    def __init__(self, url: str, prefix="session", realm="", idle=24 * 3_600_000, margin=300_000):
        self.redis = Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3)
        self.prefix, self.realm = prefix.encode(), realm.encode()
        self.idle, self.margin = idle, margin

    async def open(self, token: str | None, now: int | None = None) -> Session | None:
        """The session of this token. `token` is the value of the cookie, as it came."""
        now = now or _now()
        if not re.fullmatch(r"[A-Za-z0-9_-]{64}", token or ""):
            return None
        raw = base64.urlsafe_b64decode(token)
        id, secret = raw[:16], raw[16:]
        if not any(id) or not any(secret):
            return None

        stored = await self._call("GETRANGE", self._key(b"s", id), 0, MAX_RECORD)
        record = _read_record(stored) if stored else None
        if record is None:  # not there, or cannot be read: nobody is authenticated, and it is kept
            return None
        if now >= record["expires_at"] or now >= record["deadline"]:
            return None

        # The secret is verified before a byte of the payload is looked at.
        digest = hashlib.sha256(b"session/1" + bytes([len(self.realm)]) + self.realm + raw).digest()
        previous = record["previous"]
        current = hmac.compare_digest(digest, record["hash"])
        in_grace = previous and hmac.compare_digest(digest, previous[0]) and now < previous[1]
        if not current and not in_grace:
            return None

        data = _read_payload(record["payload"])
        if data is None:
            return None
        subject = record["subject"]
        user = subject[1 + subject[0] :].decode() if subject else None
        times = (record["created_at"], record["expires_at"], record["deadline"])
        return Session(id, user, data, *times, record["authentication"])

    async def touch(self, session: Session, now: int | None = None) -> bool:
        """Prolongs a session that is used. Writes once in a tenth of the idle time, the same value for a herd."""
        now = now or _now()
        if now + self.idle - session.expires_at < self.idle / 10:
            return True
        step = self.idle // 20
        target = min((now + self.idle) // step * step, session.deadline)
        if target <= session.expires_at:
            return True
        expires = struct.pack(">q", target)
        answer = await self._run(TOUCH, session.id, expires, now, self.margin, 1)
        if answer not in (0, 1):
            raise StoreTrouble("the record cannot be read")
        return answer == 1

    async def end(self, session: Session, now: int | None = None) -> None:
        """Ends the session: after it no server opens it any more."""
        removed = await self._run(DELETE, session.id, "", "1")
        head = _read_record(removed[0], head_only=True) if removed else None
        if head and head["subject"] and head["created_at"] < (now or _now()) - SETTLED:
            try:
                await self._call("ZREM", self._key(b"u", head["subject"]), session.id)
            except StoreTrouble:
                pass  # it expires by itself

    async def close(self) -> None:
        await self.redis.aclose()

    def _key(self, kind: bytes, name: bytes) -> bytes:
        return b":".join((self.prefix, kind, name))

    async def _run(self, script: str, id: bytes, *args):
        rest = (1, self._key(b"s", id), *args)
        try:
            return await self._call("EVALSHA", hashlib.sha1(script.encode()).hexdigest(), *rest)
        except StoreTrouble as trouble:
            if not isinstance(trouble.__cause__, NoScriptError):
                raise
            return await self._call("EVAL", script, *rest)

    async def _call(self, *command):
        try:
            return await self.redis.execute_command(*command)
        except (RedisError, OSError) as error:
            raise StoreTrouble("the session store failed") from error


def _read_record(stored: bytes, head_only: bool = False) -> dict[str, Any] | None:
    """The parts of a stored record, or None for what is none. `head_only` when the payload is not there."""
    if not 69 <= len(stored) <= MAX_RECORD or stored[:3] != b"SES" or stored[3] == 0:
        return None
    if stored[3] != 1:
        raise StoreTrouble("the record has a later format")
    at = 68

    def take(length: int) -> bytes:
        nonlocal at
        if at + length > len(stored):
            raise IndexError
        at += length
        return stored[at - length : at]

    def number(length: int) -> int:
        return int.from_bytes(take(length), "big")

    expires_at, deadline, created_at = struct.unpack_from(">3q", stored, 12)
    try:
        subject = take(number(1))
        flags = number(1)
        if flags & ~7:
            return None
        length = number(3)
        authentication = {"at": number(6), "level": number(1)} if flags & 1 else None
        if flags & 2:
            take(number(1))  # the credential tag
        previous = (take(32), number(6)) if flags & 4 else None
    except IndexError:
        return None
    payload = stored[at:]
    if not head_only and len(payload) != length:
        return None
    return {
        "expires_at": expires_at,
        "deadline": deadline,
        "created_at": created_at,
        "hash": stored[36:68],
        "subject": subject,
        "authentication": authentication,
        "previous": previous,
        "payload": payload,
    }


def _read_payload(payload: bytes) -> dict[str, Any] | None:
    """The data in a payload, or None for what is none."""
    if len(payload) < 5 or payload[:2] != b"\xd5S":
        return None
    if payload[2:5] != b"\x01\x01\x00":
        raise StoreTrouble("the payload has a format that is not read here")
    try:
        data = json.loads(payload[5:].decode())["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _now() -> int:
    return time.time_ns() // 1_000_000
