"""The lab's answers as tables."""

from __future__ import annotations

from typing import Any


def up_table(made: dict[str, Any]) -> str:
    lines = [
        f"lab       {made['folder']}",
        f"like      {made['like']}, region {made['region']}",
        f"Keystone  {made['auth_url']}",
        f"clouds    {made['clouds']}: {', '.join(made['projects'])}, lab, lab-admin",
        f"seconds   {', '.join(f'{stage} {s}' for stage, s in made['seconds'].items())}",
    ]
    if made["lacks"]:
        lines.append(f"lacks     {', '.join(made['lacks'])}: this cloud has no such service")
    if made["without"]:
        lines.append(f"without   {', '.join(made['without'])}: this cloud has it, the lab cannot")
    return "\n".join(lines)


def status_table(found: dict[str, Any]) -> str:
    if not found["up"]:
        return f"{found['folder']}: down"
    lines = [f"{found['folder']}: up, like {found['like']}, {found['memory_mib']} MiB in {found['processes']} processes", ""]  # fmt: skip
    lines += [f"{each['name']:<12}{'answers' if each['answers'] else 'SILENT':<9}{each['url']:<26}{each['version']}" for each in found["services"]]  # fmt: skip
    lines.append("")
    running = [each["name"] for each in found["daemons"] if each["up"]]
    lines.append(f"{len(running)} of {len(found['daemons'])} daemons run: {', '.join(running)}")
    lines += [f"amiss: {each}" for each in found["amiss"]]
    return "\n".join(lines)


def quota_table(found: dict[str, Any]) -> str:
    rows = [f"{kind:<22}{'no limit' if limit < 0 else limit}" for kind, limit in found["quotas"].items()]  # fmt: skip
    return "\n".join([f"project {found['project']}", *rows])
