"""The target as it is, against the plan."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.console import FOLDER, JSON, Look, answer, at, say, then


@click.command()
@FOLDER
@click.option("--stack", default="", help="Only this stack of the plan.")
@click.option(
    "--reach", "key", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Also try the paths: SSH private key of the servers.",
)  # fmt: skip
@click.option(
    "--user", default="debian", show_default=True, help="User on the servers, for --reach."
)
@JSON
def verify(folder: Path, stack: str, key: Path | None, user: str, as_json: bool) -> None:
    """Read the target back, without Pulumi and its state, and compare it with the plan. Changes nothing."""
    from toolkit.config import load
    from toolkit.render.verification import verification_markdown
    from toolkit.verify.check import must_look
    from toolkit.verify.check import verify as run
    from toolkit.verify.report import verification_table
    from toolkit.workspace import PLAN, read_plan, write

    plan = read_plan(folder / PLAN)
    said, comparison = run(folder, plan, stack)
    if key is not None:
        from toolkit.verify.reach import reach, reasons

        hosts = folder / ".repatria/known_hosts"
        hosts.parent.mkdir(mode=0o700, exist_ok=True)
        say("trying the paths: from here to floating IPs, and from server to server over SSH")
        reach(said, comparison, key, user, hosts)
        for each in reasons(said["reach"]["not_tried"]):
            say(f"not tried from {each}")
    answer(said, as_json, verification_table)
    if not stack:
        language = load(folder).language
        write(folder / "verify.md", verification_markdown({**said, "language": language}))
        say(f"written: {folder / 'verify.md'}")
    if not must_look(said):
        then("commit verify.md; it is the evidence that the target is as planned")
        return
    gone = [each["name"] for each in said["stacks"] if each["state"] == "not there yet"]
    if all(each["state"] == "not run" for each in said["stacks"]):
        say("nothing of this plan can be read back by this version")
        then(f"look at what `repatria apply{at(folder)}` made in the provider's console")
    elif said["findings"]:
        then(f"mend what differs, then `repatria verify{at(folder)}` again")
    else:
        then(f"`repatria apply{at(folder)}`: {len(gone)} stacks are not there yet")
    raise Look
