"""The outbox that a 1C programmer would write (facts/onec.md §A7): posts Interests to an inbox, batch by batch.

Simple on purpose: one request after another in the caller's thread, nothing is sent twice, a refused batch is lost.
"""

import json
import random
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sandbox.onec.interests import Values

TIMEOUT_S = 30.0
LONGEST_ANSWER = 2000
UNREACHABLE = 0


def pushed(items: Sequence[Values], *, url: str, token: str, batch: int = 100, shuffle: int | None = None) -> Values:
    """POST `{"items": [...]}`; the answer counts items, requests and statuses, 0 being no answer at all.

    `shuffle` is the seed of a random order, None keeps them by Interest and stage.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not an address: {url!r}")
    ordered = list(items)
    if shuffle is not None:
        random.Random(shuffle).shuffle(ordered)
    batches = [ordered[start : start + batch] for start in range(0, len(ordered), batch)]
    answers = [_posted(url, token, some) for some in batches]
    statuses = Counter(str(answer["status"]) for answer in answers)
    return {"items": len(ordered), "requests": len(answers), "statuses": dict(statuses), "answers": answers}


def _posted(url: str, token: str, items: list[Values]) -> dict[str, Any]:
    content = json.dumps({"items": items}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310 - checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return {"status": answer.status, "items": len(items), "answer": _read(answer.read())}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "items": len(items), "answer": _read(error.read())}
    except OSError as error:
        return {"status": UNREACHABLE, "items": len(items), "answer": str(error)}


def _read(content: bytes) -> Any:
    text = content.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text[:LONGEST_ANSWER]
