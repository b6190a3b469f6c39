"""Addresses of streams as they may be shown: what is printed, logged or made a folder's name holds no password."""

from __future__ import annotations

import re

_HIDDEN = "…"
# As cameras take them, in the query or in the path: ?user=admin&password=x, /user=admin_password=x_channel=1.
_SECRET = re.compile(
    r"(?i)(?<![a-z])((?:password|passwd|passwort|passphrase|pass|pwd|pw|psw|token|secret|key|auth|signature|sig)=)"
    r".*?(?=[&;/?#]|_[a-z]+=|\.sdp|$)"
)


def without_password(location: str) -> str:
    """The address of a stream with "…" for the password in it, if there is one; anything else as it is."""
    scheme, mark, rest = location.partition("://")
    if not mark:
        return location
    end = _end_of_host(rest)
    user, at, host = rest[:end].rpartition("@")
    if at and ":" in user:
        user = f"{user.partition(':')[0]}:{_HIDDEN}"
    path = _SECRET.sub(rf"\1{_HIDDEN}", rest[end:])
    return f"{scheme}://{user}{at}{host}{path}"


def name_of(location: str) -> str:
    """What a folder for a stream or device may be called: the last part of its path, or its host where it has none,
    without what file systems do not allow."""
    address = without_password(location)
    rest = address.partition("://")[2] or address
    end = _end_of_host(rest) if "://" in address else 0
    parts = [part for part in re.split(r"[?#]", rest[end:])[0].split("/") if part]
    if parts:
        last = parts[-1]
        name = last.rpartition(".")[0] or last
    else:
        name = rest[:end].rpartition("@")[2]
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._") or "stream"


def _end_of_host(rest: str) -> int:
    """Where the path or query begins. A password that was not written as it should be may hold a slash, which then is
    before an @; and so may a path after a port, of which less is shown rather than a password."""
    end = _first(rest, "/?#")
    if "@" in rest[:end] or ":" not in rest[:end] or rest.startswith("["):
        return end
    is_port = rest[:end].rpartition(":")[2].isdigit()
    at = rest.rfind("@", end, _first(rest, "?") if is_port else len(rest))
    return end if at < 0 else at + 1 + _first(rest[at + 1 :], "/?#")


def _first(text: str, signs: str) -> int:
    """The place of the first of these signs; the end where there is none."""
    return next((place for place, sign in enumerate(text) if sign in signs), len(text))
