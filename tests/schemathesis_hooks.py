"""What `schemathesis.sh` changes of the requests before they are sent."""

from itertools import count

import schemathesis

NUMBERS = count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each request an idempotency key of its own: one that is used for another request is refused, and rightly so."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 1 <= len(key) <= 200 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = f"{key}{next(NUMBERS)}"
