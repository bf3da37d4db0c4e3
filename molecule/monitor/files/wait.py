#!/usr/bin/env python3
"""Wait until what is named is so; exit code 1 and what was seen last when it does not come."""

import json
import mailbox
import sys
import time
import urllib.request


def asked(port: int, path: str) -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return json.load(reply)


def alerts() -> dict[tuple[str, str], str]:
    return {
        (a["labels"]["alertname"], a["labels"].get("host", "")): a["annotations"]["summary"]
        for a in asked(9093, "/api/v2/alerts?active=true")
    }


def targets() -> object:
    held = asked(9090, "/api/v1/targets?state=active")["data"]["activeTargets"]
    return sorted(f"{t['labels']['job']} {t['labels']['host']} {t['health']}" for t in held)


def rules() -> object:
    held = [r for g in asked(9090, "/api/v1/rules")["data"]["groups"] for r in g["rules"]]
    return (
        len(held),
        sorted({r["health"] for r in held}),
        sorted(r["name"] + r.get("lastError", "") for r in held if r["health"] != "ok"),
    )


def mails() -> list[str]:
    return [str(m["subject"]) for m in mailbox.Maildir("/var/mail/sink", create=False)]


def main(what: str, *words: str) -> int:
    until = time.monotonic() + 90
    while True:
        try:
            match what:
                case "targets":
                    seen = targets()
                    right = seen == list(words)
                case "rules":
                    seen = rules()
                    right = seen[0] >= int(words[0]) and seen[1] == ["ok"]
                case "fires":
                    seen = alerts()
                    right = any(name == words[0] and host == words[1] for name, host in seen)
                case "rests":
                    seen = alerts()
                    right = not any(name == words[0] and host == words[1] for name, host in seen)
                case "mail":
                    seen = mails()
                    right = words[0] in seen
        except OSError as error:
            seen, right = error, False
        if right:
            print(seen)
            return 0
        if time.monotonic() > until:
            print(seen, file=sys.stderr)
            return 1
        time.sleep(2)


sys.exit(main(*sys.argv[1:]))
