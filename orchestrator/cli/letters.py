"""A place as people write it: `d=20,n=100,k=1`, or some of these letters."""

import re

from orchestrator.errors import RequestError

_WORD = re.compile(r"([dnk])=(\d{1,12})")


def point(words: str) -> dict[str, int]:
    """The letters that are said, with their numbers. Raises `RequestError`."""
    found = [_WORD.fullmatch(word.strip()) for word in words.split(",")]
    known = {match[1]: int(match[2]) for match in found if match}
    if len(known) < len(found):
        raise RequestError(f"--at {words}: expected d, n and k, each once, such as d=20,n=100,k=1")
    return known
