"""An AWS service without a twin -> an honest disposition with a way out, from the catalogue's mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from toolkit.clouds import services
from toolkit.outcomes import Disposition, DispositionKind, Text, text

if TYPE_CHECKING:
    from toolkit.translate import Context

_KEYS = {"kinesis": "kinesis_msk", "wafv2": "waf"}


def way_out(ctx: Context, service: str, reason: Text | str) -> Disposition:
    """The disposition of a service at the context's cloud: what takes its place, and the work it means.

    A way that rests on the catalogue's own judgement says so.
    """
    held = services()[_KEYS.get(service, service)]
    way = held.ways.get(ctx.cloud.name) or held.ways.get("infomaniak")
    own = held.self_hosted
    target = way.target if way and way.target.casefold() != "same" else own
    told = {
        "managed": "{target} (managed by the provider)",
        "openstack": "{target}",
        "builtin": "{target} (included)",
        "manual": "{target} (ordered or designed by hand)",
        "selfhosted": "{target}, on servers of your own",
        "none": "no product of the provider; of your own: {own}",
    }[way.kind if way else "none"]
    return Disposition(
        cast("DispositionKind", held.disposition if held.disposition != "rehost" else "replatform"),
        reason,
        way_out=text(
            told + (" (our judgement)" if way and way.status == "inferred" else ""),
            target=text(target),
            own=text(own or "nothing known"),
        ),
        work=held.work,
        alternatives=(text("Of your own: {own}.", own=text(own)),)
        if own and way and way.kind != "selfhosted"
        else (),
    )
