"""Pages that builds made, as reports: shown from addresses that open nothing but the files of one step.

Such a page may run scripts, in a world of its own: the browser gives it an origin that nobody else has, so
it reads no cookie and no page of ours, and it may ask for nothing but the files beside it. The address is a
secret that is good for some hours. With ARTIFACT_URL it is an address on another host, too, to which a
browser never brings our cookies.
"""

import hmac
import mimetypes
import re
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit
from uuid import UUID

from fastapi import Request

from changes.base import clock, secrets
from changes.base.errors import NotFound
from changes.base.process import settings

VALID_FOR = timedelta(hours=8)
PREFIX = "/files/"
HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{20,64})")
MAY = "sandbox allow-scripts allow-popups allow-modals allow-downloads"
OTHERWISE = "application/octet-stream"
# The machine's own table may be anything; these are what reports are made of.
KNOWN = {
    ".css": "text/css",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "text/xml",
}
IN_UTF8 = ("text/", "application/json", "image/svg")


def address(step_id: UUID, name: str) -> str:
    """Where the file is shown, and beside it, under their own names, the others of its step."""
    ends = int((clock.now() + VALID_FOR).timestamp())
    token = f"{step_id.hex}.{ends:x}.{signature(step_id.hex, ends)}"
    return f"{settings.get().artifact_url or ''}{PREFIX}{token}/{quote(name)}"


def step_of(token: str) -> UUID:
    """NotFound for what we did not make, or what is over."""
    found = TOKEN.fullmatch(token)
    if found is None:
        raise NotFound("There is no such address.")
    step, ends = found[1], int(found[2], 16)
    if not hmac.compare_digest(signature(step, ends), found[3]):
        raise NotFound("There is no such address.")
    if ends < clock.now().timestamp():
        raise NotFound("This address was good for some hours; open the file from its page again.")
    return UUID(step)


def signature(step: str, ends: int) -> str:
    return secrets.derive(f"files of {step} until {ends}")


def refuse_other_host(request: Request) -> None:
    """Where they have a host of their own, ours does not show them."""
    own = settings.get().artifact_url
    if own is not None and request.headers.get("host", "").lower() != urlsplit(own).netloc.lower():
        raise NotFound("Files are not shown here.")


def headers(request: Request, token: str, name: str) -> dict[str, str]:
    beside = f"{origin_of(request)}{PREFIX}{token}/"
    policy = (
        f"{MAY}; default-src {beside} 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'none';"
        f" base-uri {beside}; frame-ancestors 'self' {base_origin()}"
    )
    return {
        "Content-Type": media_type(name),
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Its scripts have no origin that we could name, and whoever knows the address may read it anyway.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "private, max-age=300",
    }


def origin_of(request: Request) -> str:
    own = settings.get().artifact_url
    if own is not None:
        return own
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if HOST.fullmatch(host) else base_origin()


def base_origin() -> str:
    parts = urlsplit(settings.get().base_url)
    return f"{parts.scheme}://{parts.netloc}"


def media_type(name: str) -> str:
    ending = PurePosixPath(name).suffix.lower()
    found = KNOWN.get(ending) or mimetypes.types_map.get(ending, OTHERWISE)
    return f"{found}; charset=utf-8" if found.startswith(IN_UTF8) else found
