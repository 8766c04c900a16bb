"""A process that talks to the Hub whose address its environment holds: a line of JSON in, what became of it out."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from bertkit import hub
from bertkit.errors import BertkitError
from bertkit.hub import patience

WAITED: list[float] = []


def act(asked: dict[str, Any]) -> Any:
    """Push a folder's files, fetch, or do both with a trained model."""
    if asked["do"] == "push":
        files = {path.name: path for path in sorted(Path(asked["folder"]).iterdir())}
        options = {name: asked[name] for name in ("private", "replaces") if name in asked}
        pushed = hub.push(asked["repo"], files, message="one commit", wait=WAITED.append, **options)
        return {"url": pushed.url, "revision": pushed.revision, "removed": list(pushed.removed)}
    if asked["do"] == "fetch":
        return str(hub.folder_of(asked["repo"], revision=asked.get("revision")))
    if asked["do"] == "push_folder":
        from bertkit.stages.publish import push_folder

        card, pushed = push_folder(Path(asked["folder"]), asked["repo"], **asked.get("options", {}))
        return {"card": card, **pushed}
    import bertkit

    return bertkit.load(asked["repo"], device="cpu", num_threads=1).predict(asked["texts"])


def main() -> None:
    logging.basicConfig(stream=sys.stderr)
    for line in sys.stdin:
        WAITED.clear()
        try:
            asked = json.loads(line)
            patience._ATTEMPTS, patience._ANSWER_WITHIN = asked.get("attempts", 4), asked.get("answer_within", 60)
            answer: dict[str, Any] = {"done": act(asked)}
        except BertkitError as e:
            answer = {"error": str(e), "remedy": e.remedy, "exit_code": e.exit_code}
        sys.stdout.write(json.dumps({**answer, "waited": WAITED}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
