"""Signs a webhook's request, so that its receiver knows who sent it and that nobody changed it.

``X-Signature: t=1793620800,v1=5257a869…``: the HMAC-SHA256, in hexadecimal digits, of the time,
a full stop and the body as it was sent, under the secret that both sides know. The time is that
of the try, in seconds since 1970: a receiver refuses what is older than a few minutes, so that a
request that somebody has recorded is worth nothing later.
"""

import hashlib
import hmac
from typing import Final

from pydantic import SecretStr

HEADER: Final = "X-Signature"


def signature(secret: SecretStr, body: bytes, at: int) -> str:
    """The header's value for a body that is sent now.

    Args:
        at: Seconds since 1970.
    """
    signed = b"%d.%b" % (at, body)
    digest = hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
