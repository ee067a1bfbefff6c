"""The configurations that the checker explores. Their names say what happens in them."""

from tests.modelcheck.checker import *
from tests.modelcheck.checker import G, check
from msgspec.structs import replace
from flashreserve.core.commands import Cancel, Confirm, Edit, Extend, Reserve, Restock, Wanted
from flashreserve.core.model import Line, Product, Reservation, Status
from flashreserve.core import outcomes as O
from flashreserve.core.quotas import Quotas
from flashreserve.stores.mongo.documents import product_document, reservation_document
from flashreserve.stores.mongo import audit


def P(id_, units, taken=0, **k):
    p = Product(
        id=id_,
        name="n",
        price=1,
        currency="EUR",
        stocked=units,
        available=units - taken,
        sale_starts_at=None,
        sale_ends_at=None,
        per_customer_limit=None,
        hold_s=1,
        extensions_max=3,
        created_at=0,
        updated_at=0,
    )
    return replace(p, **k)


def H(id_, user, lines, expires=1000, status="PENDING", claims=(), key=None, **k):
    r = Reservation(
        id=id_,
        user_id=user,
        status=Status(status),
        lines=tuple(Line(p, q, 1, "EUR") for p, q in lines),
        created_at=0,
        expires_at=expires,
        hold_s=1,
        extensions_max=3,
        key=key,
        **k,
    )
    return reservation_document(r, claims, "f0")


def R(id_, user, *lines, key=None):
    return Reserve(id_, user, tuple(Wanted(*l) if isinstance(l, tuple) else Wanted(l, 1) for l in lines), key)


def tell(env, c, o, own):
    t = type(o)
    if t in (O.Reserved, O.Replayed):
        env.tell("ack", o.reservation.id)
    elif t is O.Confirmed:
        env.tell("confirmed", o.reservation.id)
    elif t is O.Extended:
        env.tell("extended", o.reservation.id, o.reservation.extensions)
    elif t is O.Released:
        env.tell(o.reservation.status.value, o.reservation.id)
    elif t is O.Expired:
        env.tell("EXPIRED", o.reservation_id)
    elif t is O.AlreadyCancelled:
        env.tell("CANCELLED", o.reservation_id)
    elif t is O.AlreadyConfirmed:
        env.tell("confirmed", o.reservation_id)
    elif t is O.Restocked:
        env.tell("restocked", o.adjustment.product_id, o.adjustment.key)
    elif t is O.OutcomeUnknown:
        pass
    elif type(c) is Reserve:
        env.tell("nothing", c.user_id, own.get(c.user_id, 0)) if c.key is None or t is not O.Unavailable else None
    elif type(c) is Cancel and t is O.Unavailable and G.cfg.get("judge_cancel"):
        env.tell("not-cancelled", c.reservation_id)
    elif type(c) is Restock and t in (O.StockTaken, O.Unavailable) and G.cfg.get("judge_restock", True):
        env.tell("not-restocked", c.product_id, c.key)


def flush(*cmds, known=(), now=None, own={}, then=()):
    """A flush; `then`: more flushes of the same process, one after the other."""

    async def prog(env):
        store = env.store(known)
        for each in (cmds, *then):
            t = await env.clock() if now is None else now
            try:
                flushed = await store.flush(each, t)
            except StoreOutcomeUnknownError:
                pass
            except StoreUnavailableError:
                for c in each:
                    tell(env, c, O.Unavailable("away"), own)
            else:
                for c, o in zip(each, flushed.outcomes):
                    tell(env, c, o, own)

    return prog


def again(first, second, known=()):
    """A request, and only if its outcome is unknown, the same again under its key. Judged is what the second was told."""

    async def prog(env):
        store = env.store(known)
        try:
            (told,) = (await store.flush([first], 0)).outcomes
        except StoreOutcomeUnknownError:
            told = O.OutcomeUnknown()
        except StoreUnavailableError:
            return
        if type(told) is not O.OutcomeUnknown:
            return tell(env, first, told, {})
        try:
            (told,) = (await store.flush([second], 0)).outcomes
        except (StoreOutcomeUnknownError, StoreUnavailableError):
            return
        if type(told) is not O.Unavailable:
            tell(env, second, told, {})

    return prog


def sweep(most=100, passes=1, now=None):
    async def prog(env):
        store = env.store()
        for _ in range(passes):
            t = await env.clock() if now is None else now
            try:
                await store.release_lapsed(t, most)
            except (StoreOutcomeUnknownError, StoreUnavailableError):
                pass

    return prog


def expire(now=None, most=100):
    """One look for what is due and one flush (or two, in parts) for it: what a step of a sweep consists of."""

    async def prog(env):
        store = env.store()
        t = await env.clock() if now is None else now
        try:
            due = await store._due(t, most)
            if due:
                await store._expire(due, t)
        except (StoreOutcomeUnknownError, StoreUnavailableError):
            pass

    return prog


def recover(passes=1):
    async def prog(env):
        for _ in range(passes):
            try:
                if G.cfg.get("imports"):
                    await product_import.recover(env.database, FAR, 100)
                await recovery.recover(env.database, env.ids, UnreadableItems(), FAR, 100)
            except (StoreOutcomeUnknownError, StoreUnavailableError):
                pass

    return prog


def audit():
    async def prog(env):
        a = await audit.audit(env.database)
        env.tell("audit", "; ".join(map(repr, a.differences)))

    return prog


def add(*products):
    async def prog(env):
        try:
            await product_import.add(env.database, env.ids, products)
        except StoreOutcomeUnknownError:
            pass
        except StoreUnavailableError:
            env.tell("not-imported", tuple(p.id for p in products))
        else:
            env.tell("imported", tuple(p.id for p in products))

    return prog


class Run:
    """What to run: names, or their beginnings (all without), and how far; and what came of it."""

    which, states_max, seconds_max, show = (), 3_000_000, 3600.0, True
    ran, violations = 0, 0


def go(name, maxs=0, tmax=0, show=True, **cfg):
    if Run.which and not any((name + " ").startswith(w + " ") for w in Run.which):
        return
    cfg["init"] = {
        c: [product_document(d) if isinstance(d, Product) else d for d in ds] for c, ds in cfg["init"].items()
    }
    cfg.setdefault("blur", True)
    Run.ran += 1
    Run.violations += check(name, cfg, Run.states_max, Run.seconds_max, Run.show) is not None


def main():
    A1, A2, A3, B1, B2 = P("A", 1), P("A", 2), P("A", 3), P("B", 1), P("B", 2)
    v, w = ("v", recover()), ("w", recover())
    # t: the plain protocol, on the real code
    go(
        "t1 flush known + rec, lost1",
        init=dict(products=[A2]),
        lost=1,
        procs=[("p", flush(R("r1", "u1", "A"), known=[A2])), v],
    )
    go(
        "t2 flush of 2 + 2 rec, lost1",
        init=dict(products=[A2]),
        lost=1,
        procs=[("p", flush(R("r1", "u1", "A"), R("r2", "u2", "A"), known=[A2])), v, w],
    )
    go(
        "t3 flush + rec, lost3, reads may fail",
        init=dict(products=[A2]),
        lost=3,
        unavail=True,
        procs=[("p", flush(R("r1", "u1", "A"), known=[A2])), v],
    )
    go(
        "t4 flush of 2 (stock 1) + flush + rec, lost1",
        init=dict(products=[A1]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u1", "A"), R("r2", "u2", "A"), known=[A2])),
            ("q", flush(R("r3", "u3", "A"), known=[A1])),
            v,
        ],
    )
    # a: one f for baskets and singles
    mixed = flush(R("r1", "u1", "A", "B"), R("r2", "u2", "A"), known=[A2, B1])
    go(
        "a1 basket+single, other single on B, rec, lost1",
        init=dict(products=[A2, B1]),
        lost=1,
        procs=[("p", mixed), ("q", flush(R("r3", "u3", "B"), known=[B1])), v],
    )
    go("a2 basket+single, 2 rec, lost0", init=dict(products=[A2, B1]), procs=[("p", mixed), v, w])
    go(
        "a3 basket+single, rec, lost1, reads may fail",
        init=dict(products=[A2, B1]),
        lost=1,
        unavail=True,
        procs=[("p", mixed), v],
    )
    go(
        "a4 basket falls out at B (gone), single A, 2 rec, lost1",
        init=dict(products=[A2, P("B", 1, 1)], reservations=[H("h", "u9", [("B", 1)], FAR)]),
        lost=1,
        procs=[("p", mixed), v, w],
    )
    go(
        "a5 two mixed flushes, stock 1, rec, lost1",
        init=dict(products=[A1, B1]),
        lost=1,
        maxs=6_000_000,
        tmax=900,
        procs=[
            ("p", flush(R("r1", "u1", "A", "B"), R("r2", "u2", "A"), known=[A2, B1])),
            ("q", flush(R("r3", "u3", "A", "B"), R("r4", "u4", "B"), known=[A1, B2])),
            v,
        ],
    )
    go(
        "a6 basket+single A+single B, rec, lost2",
        init=dict(products=[A2, B2]),
        lost=2,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", flush(R("r1", "u1", "A", "B"), R("r2", "u2", "A"), R("r3", "u3", "B"), known=[A2, B2])), v],
    )
    # b: releases
    pend = [H("h1", "u1", [("A", 1), ("B", 1)]), H("h2", "u2", [("A", 1)])]
    PA, PB = P("A", 2, 2), P("B", 1, 1)
    b = dict(init=dict(products=[PA, PB], reservations=pend), ticks=(1000,))
    go(
        "b1 sweep basket+single, rec, lost1",
        **b,
        lost=1,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire()), v],
    )
    go(
        "b2 sweep basket+single, 2 rec, lost1",
        **b,
        lost=1,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire(now=1000)), v, w],
    )
    go(
        "b3 sweep + confirm basket, rec, lost1",
        **b,
        lost=1,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire()), ("c", flush(Confirm("h1", "u1"))), v],
    )
    go(
        "b4 sweep basket+single, rec, lost2",
        **b,
        lost=2,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire(now=1000)), v],
    )
    go(
        "b5 sweep + cancel of both, rec, lost0",
        **b,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire()), ("c", flush(Cancel("h1", "u1"), Cancel("h2", "u2"))), v],
    )
    bb = dict(init=dict(products=[P("A", 1, 1), PB], reservations=pend[:1]), ticks=(1000,))
    go(
        "b6 sweep + cancel of a basket, rec, lost1",
        **bb,
        lost=1,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire()), ("c", flush(Cancel("h1", "u1"))), v],
    )
    go(
        "b7 sweep + cancel of a basket, 2 rec, lost0",
        **bb,
        inorder=True,
        patch={"flush.TRIES_MAX": 2},
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire(now=1000)), ("c", flush(Cancel("h1", "u1"), now=0)), v, w],
    )
    two = [H("h1", "u1", [("A", 1)]), H("h2", "u2", [("A", 1)])]
    bs = dict(init=dict(products=[PA], reservations=two), patch={"limits.SWEEP_MAX": 1})
    go(
        "b8 2 sweepers one by one, rec, lost0",
        **bs,
        inorder=True,
        procs=[("s", sweep(now=1000)), ("S", sweep(now=1000)), v],
    )
    go(
        "b9 2 sweepers one by one, lost1",
        **bs,
        lost=1,
        inorder=True,
        procs=[("s", sweep(now=1000)), ("S", sweep(now=1000))],
    )
    bp = dict(init=dict(products=[PA], reservations=two), patch={"chunks.PART_MIN": 1})
    go("b10 sweep in two parts, rec, lost1", **bp, lost=1, inorder=True, procs=[("s", sweep(now=1000)), v])
    # c: limits above 1, claims freed and taken again
    L2 = P("A", 3, per_customer_limit=2)
    cl = lambda *k: [f"limit:A:{i}" for i in k]
    c = dict(
        init=dict(products=[P("A", 3, 1, per_customer_limit=2)], reservations=[H("h", "u", [("A", 1)], claims=cl(0))]),
        ticks=(1000,),
    )
    go(
        "c1 limit 2: two flushes over a lapsed hold, lost0",
        **c,
        procs=[("p", flush(R("r1", "u", "A"), own={"u": 9})), ("q", flush(R("r2", "u", ("A", 2)), own={"u": 9}))],
    )
    go(
        "c2 limit 2: two flushes over a lapsed hold, rec, lost1",
        **c,
        lost=1,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[
            ("p", flush(R("r1", "u", "A"), own={"u": 9}, now=1000)),
            ("q", flush(R("r2", "u", ("A", 2)), own={"u": 9}, now=1000)),
            v,
        ],
    )
    go(
        "c3 limit 2: flush of 2 units, sweep, rec, lost1",
        **c,
        lost=1,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", flush(R("r1", "u", ("A", 2)), own={"u": 9})), ("s", expire()), v],
    )
    go(
        "c4 limit 2: flush, cancel, flush of another, lost1",
        **c,
        lost=1,
        inorder=True,
        procs=[
            ("p", flush(R("r1", "u", ("A", 2)), own={"u": 9}, known=[P("A", 6, per_customer_limit=2)], now=0)),
            ("q", flush(Cancel("h", "u"), R("r2", "u", "A"), own={"u": 9}, now=0)),
        ],
    )
    cb = dict(
        init=dict(
            products=[P("A", 3, 1, per_customer_limit=2), PB],
            reservations=[H("h", "u", [("A", 1), ("B", 1)], claims=cl(0))],
        )
    )
    go(
        "c5 limit 2: flush over a lapsed basket, sweep, rec, lost0",
        **cb,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", flush(R("r1", "u", ("A", 2)), own={"u": 9}, now=1000)), ("s", expire(now=1000)), v],
    )
    go(
        "c6 limit 2: flush over a lapsed basket, rec, lost1",
        **cb,
        lost=1,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", flush(R("r1", "u", ("A", 2)), own={"u": 9}, now=1000)), v],
    )
    go(
        "c7 same key in two processes, limit, rec, lost1",
        init=dict(products=[P("A", 2, per_customer_limit=1)]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u", "A", key="k"), now=0, own={"u": 1})),
            ("q", flush(R("r2", "u", "A", key="k"), now=0, own={"u": 1})),
            v,
        ],
    )
    go(
        "c8 same key twice in one process, known, rec, lost2",
        init=dict(products=[P("A", 2, per_customer_limit=1)]),
        lost=2,
        procs=[
            (
                "p",
                flush(
                    R("r1", "u", "A", key="k"),
                    now=0,
                    known=[P("A", 9, per_customer_limit=1)],
                    then=[[R("r2", "u", "A", key="k")]],
                    own={"u": 1},
                ),
            ),
            v,
        ],
    )
    # d: edits of rules
    d = dict(moves=True, blur=False)
    go(
        "d1 limit set while a reserve is under way, rec, lost1",
        **d,
        init=dict(products=[A2]),
        lost=1,
        procs=[("p", flush(R("r1", "u", ("A", 2)), now=0)), ("e", flush(Edit("A", per_customer_limit=1), now=0)), v],
    )
    go(
        "d2 limit set, two reserves, lost1",
        **d,
        init=dict(products=[A2]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u", "A"), now=0, known=[A2], own={"u": 1})),
            ("q", flush(R("r2", "u", "A"), now=0, known=[A2], own={"u": 1})),
            ("e", flush(Edit("A", per_customer_limit=1), now=0)),
        ],
    )
    go(
        "d3 limit raised while reserving, rec, lost1",
        **d,
        init=dict(products=[P("A", 3, per_customer_limit=1)]),
        lost=1,
        procs=[("p", flush(R("r1", "u", ("A", 2)), now=0)), ("e", flush(Edit("A", per_customer_limit=2), now=0)), v],
    )
    go(
        "d4 restock and limit in one flush, reserve, lost1",
        **d,
        init=dict(products=[A1]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1])),
            ("e", flush(Restock("A", "k", 1, "adm"), Edit("A", per_customer_limit=1), now=0)),
        ],
    )
    go(
        "d5 limit set and taken away by two, reserve, lost2",
        **d,
        init=dict(products=[A1]),
        lost=2,
        procs=[
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1])),
            ("e", flush(Edit("A", per_customer_limit=1), now=0)),
            ("f", flush(Edit("A", per_customer_limit=2), now=0)),
        ],
    )
    # e: settlements that ride
    two_flushes = lambda A: flush(R("r1", "u1", "A"), known=[A], now=0, then=[[R("r2", "u2", "A")]])
    go("e1 ride: two flushes, rec, lost2", init=dict(products=[A2]), lost=2, procs=[("p", two_flushes(A2)), v])
    go("e2 ride: two flushes, 2 rec, lost1", init=dict(products=[A2]), lost=1, procs=[("p", two_flushes(A2)), v, w])
    go(
        "e3 ride: two flushes, stock 1, another's flush, rec, lost1",
        init=dict(products=[A1]),
        lost=1,
        procs=[("p", two_flushes(A2)), ("q", flush(R("r3", "u3", "A"), known=[A1], now=0)), v],
    )
    go(
        "e4 ride: three flushes, rec, lost1, unavail",
        init=dict(products=[A3]),
        lost=1,
        unavail=True,
        procs=[
            ("p", flush(R("r1", "u1", "A"), known=[A3], now=0, then=[[R("r2", "u2", "A")], [R("r3", "u3", "A")]])),
            v,
        ],
    )
    go(
        "e5 ride: two flushes, sweep of the first, rec, lost1",
        init=dict(products=[A2]),
        lost=1,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", two_flushes(A2)), ("s", expire(now=1000)), v],
    )
    # g: restock
    go(
        "g1 restock -1, reserve, cancel, lost2",
        init=dict(products=[A1]),
        lost=2,
        unavail=True,
        procs=[
            ("a", flush(Restock("A", "k", -1, "adm"), now=0)),
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1], then=[[Cancel("r1", "u")]])),
        ],
    )
    go(
        "g2 restock +1 by two with one key, reserve of 2, lost2",
        judge_restock=False,
        init=dict(products=[A1]),
        lost=2,
        unavail=True,
        procs=[
            ("a", flush(Restock("A", "k", 1, "adm"), now=0)),
            ("b", flush(Restock("A", "k", 1, "adm"), now=0)),
            ("p", flush(R("r1", "u", ("A", 2)), now=0)),
        ],
    )
    # h: confirm, extend
    one = dict(init=dict(products=[P("A", 1, 1)], reservations=[H("h", "u", [("A", 1)])]), ticks=(1000,))
    go(
        "h1 confirm, sweep, cancel, rec, lost1",
        **one,
        lost=1,
        procs=[("c", flush(Confirm("h", "u"))), ("s", expire()), ("k", flush(Cancel("h", "u"))), v],
        maxs=6_000_000,
        tmax=600,
    )
    go(
        "h2 confirm twice, sweep, rec, lost2",
        **one,
        lost=2,
        procs=[("c", flush(Confirm("h", "u"), then=[[Confirm("h", "u")]])), ("s", expire()), v],
        maxs=6_000_000,
        tmax=600,
    )
    ext = dict(init=dict(products=[P("A", 1, 1)], reservations=[H("h", "u", [("A", 1)])]), ticks=(500, 1000, 1500))
    go(
        "h3 two extensions, sweep, rec, lost1",
        **ext,
        lost=1,
        procs=[("e", flush(Extend("h", "u"))), ("f", flush(Extend("h", "u"))), ("s", expire()), v],
        maxs=6_000_000,
        tmax=600,
    )
    go(
        "h4 extension, confirm, sweep, lost2",
        **ext,
        lost=2,
        procs=[("e", flush(Extend("h", "u"))), ("c", flush(Confirm("h", "u"))), ("s", sweep())],
        maxs=6_000_000,
        tmax=600,
    )
    go(
        "h5 clocks apart: confirm at 0, sweep at 5000, extend at 900, rec, lost1",
        **{**ext, "ticks": ()},
        lost=1,
        procs=[
            ("c", flush(Confirm("h", "u"), now=0)),
            ("e", flush(Extend("h", "u"), now=900)),
            ("s", expire(now=5000)),
            v,
        ],
        maxs=6_000_000,
        tmax=600,
    )
    # i: imports
    I = [P("X", 1), P("Y", 1)]
    go(
        "i1 import of two, rec, lost2, unavail",
        imports=True,
        universe=dict(products=["X", "Y"]),
        init=dict(products=[]),
        lost=2,
        unavail=True,
        procs=[("i", add(*I)), v],
    )
    go(
        "i2 import of two, 2 rec, lost1",
        imports=True,
        universe=dict(products=["X", "Y"]),
        init=dict(products=[]),
        lost=1,
        procs=[("i", add(*I)), v, w],
    )
    # j: an id used twice
    go(
        "j1 one id in two processes, rec, lost1",
        init=dict(products=[A2]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u1", "A"), known=[A2], now=0, own={"u1": 9})),
            ("q", flush(R("r1", "u1", "A"), known=[A2], now=0, own={"u1": 9})),
            v,
        ],
    )
    go(
        "j2 one id in two processes, 2 rec, lost0",
        init=dict(products=[A2]),
        procs=[
            ("p", flush(R("r1", "u1", "A"), known=[A2], now=0, own={"u1": 9})),
            ("q", flush(R("r1", "u1", "A"), known=[A2], now=0, own={"u1": 9})),
            v,
            w,
        ],
    )

    # q: quotas
    def at_most_one(ress, products, ghosts):
        held = [d["user_id"] for d in ress.values() if d["status"] == "PENDING"]
        return "more open holds than allowed" if len(set(held)) < len(held) else None

    q = dict(quotas=Quotas(open_holds_max=1), check=at_most_one)
    go(
        "q1 one open hold a customer: two flushes, rec, lost1",
        **q,
        init=dict(products=[A2]),
        lost=1,
        procs=[
            ("p", flush(R("r1", "u", "A"), now=0, own={"u": 9})),
            ("q", flush(R("r2", "u", "A"), now=0, own={"u": 9})),
            v,
        ],
    )
    go(
        "q2 one open hold a customer: flush over a lapsed one, sweep, rec, lost0",
        **q,
        init=dict(products=[P("A", 2, 1)], reservations=[H("h", "u", [("A", 1)], claims=["open:0"])]),
        procs=[("p", flush(R("r1", "u", "A"), now=1000, own={"u": 9})), ("s", expire(now=1000)), v],
    )
    go(
        "q3 one open hold a customer: confirm, then another, sweep, lost1",
        **q,
        init=dict(products=[P("A", 2, 1)], reservations=[H("h", "u", [("A", 1)], claims=["open:0"])]),
        lost=1,
        procs=[
            ("c", flush(Confirm("h", "u"), now=0)),
            ("p", flush(R("r1", "u", "A"), now=0, own={"u": 9})),
            ("s", expire(now=1000)),
        ],
    )
    # k: the driver repeats by itself
    k = dict(
        init=dict(products=[P("A", 2, 1, per_customer_limit=1)], reservations=[H("h", "u", [("A", 1)], claims=cl(0))]),
        dretry=True,
    )
    go(
        "k1 retried R2 refused by a claim that is freed later",
        **k,
        lost=1,
        procs=[
            ("p", flush(R("r1", "u", "A"), known=[P("A", 9, per_customer_limit=1)], now=0, own={"u": 9})),
            ("s", sweep(now=1000)),
        ],
    )
    go(
        "k2 retried R1, R4: flush, rec",
        init=dict(products=[A2]),
        dretry=True,
        lost=2,
        procs=[("p", flush(R("r1", "u1", "A"), known=[A2], now=0)), v],
    )
    go(
        "k3 retried restock",
        init=dict(products=[A1]),
        dretry=True,
        lost=1,
        procs=[
            ("a", flush(Restock("A", "k", -1, "adm"), now=0)),
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1], then=[[Cancel("r1", "u")]])),
        ],
    )
    go(
        "k4 retried edit",
        **d,
        init=dict(products=[A2]),
        dretry=True,
        lost=1,
        procs=[("p", flush(R("r1", "u", ("A", 2)), now=0)), ("e", flush(Edit("A", per_customer_limit=1), now=0))],
    )
    go(
        "k5 retried release of a basket, rec",
        **bb,
        dretry=True,
        lost=1,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("s", expire(now=1000)), v],
    )
    go(
        "k6 retried extension, two, sweep",
        **ext,
        dretry=True,
        lost=1,
        procs=[("e", flush(Extend("h", "u"))), ("f", flush(Extend("h", "u"))), ("s", sweep())],
    )
    go(
        "n1 key: reserve, unknown, the same key again, stock 1, rec",
        init=dict(products=[A1]),
        lost=2,
        patch={"reserve_movement._TRIES_MAX": 1},
        procs=[("p", again(R("r1", "u1", "A", key="k"), R("r2", "u1", "A", key="k"), known=[A2])), v],
    )
    go(
        "n2 key: the same, another takes the unit and gives it back, rec",
        init=dict(products=[A1]),
        lost=2,
        inorder=True,
        patch={"reserve_movement._TRIES_MAX": 1},
        procs=[
            ("p", again(R("r1", "u1", "A", key="k"), R("r2", "u1", "A", key="k"), known=[A2])),
            ("q", flush(R("r3", "u2", "A"), now=0, known=[A1], own={"u2": 9}, then=[[Cancel("r3", "u2")]])),
            v,
        ],
    )
    go(
        "n3 restock -1, unknown, the same key again, a reserve and its cancellation",
        init=dict(products=[A1]),
        lost=2,
        unavail=True,
        procs=[
            ("a", again(Restock("A", "k", -1, "adm"), Restock("A", "k", -1, "adm"))),
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1], then=[[Cancel("r1", "u")]])),
        ],
    )
    go(
        "n4 restock -1 by two with one key, a reserve and its cancellation, lost1",
        init=dict(products=[A1]),
        lost=1,
        judge_restock=False,
        procs=[
            ("a", flush(Restock("A", "k", -1, "adm"), now=0)),
            ("b", flush(Restock("A", "k", -1, "adm"), now=0)),
            ("p", flush(R("r1", "u", "A"), now=0, known=[A1], then=[[Cancel("r1", "u")]])),
        ],
    )
    # l: caps on open intents
    go(
        "l1 release cap 2, sweep of a basket, rec, lost1",
        **bb,
        lost=1,
        inorder=True,
        patch={"release_movement.RELEASE_INTENTS_MAX": 2},
        procs=[("s", sweep(now=1000)), v],
    )
    go(
        "l2 release cap 2, sweep + cancel, rec, lost0",
        **bb,
        inorder=True,
        patch={"release_movement.RELEASE_INTENTS_MAX": 2},
        procs=[("s", sweep(now=1000)), ("c", flush(Cancel("h1", "u1"), now=0)), v],
    )
    go(
        "l3 reserve cap 1, two flushes, rec, lost1",
        init=dict(products=[A2]),
        lost=1,
        patch={"reserve_movement.RESERVE_INTENTS_MAX": 1, "flush.TRIES_MAX": 3},
        procs=[
            ("p", flush(R("r1", "u1", "A"), known=[A2], now=0)),
            ("q", flush(R("r2", "u2", "A"), known=[A2], now=0)),
            v,
        ],
    )
    # m: the audit, read document by document
    m = dict(moves=True, torn=True, universe=dict(reservations=["h", "r1", "r2", "p1", "p2", "p3", "p4", "p5", "p6"]))
    am = dict(init=dict(products=[P("A", 2, 1)], reservations=[H("h", "u", [("A", 1)])]), **m)
    go(
        "m1 audit while reserving and sweeping",
        **am,
        inorder=True,
        maxs=6_000_000,
        tmax=900,
        procs=[("p", flush(R("r1", "u1", "A"), known=[A2], now=0)), ("s", expire(now=1000)), ("o", audit())],
    )
    go(
        "m2 audit while reserving, rec",
        **am,
        inorder=True,
        procs=[("p", flush(R("r1", "u1", "A"), known=[A2], now=0)), v, ("o", audit())],
    )
    # s: a new primary whose majority reads are older than what was acknowledged (SERVER-53813)
    go(
        "s1 reserve, then cancel, an election in between, rec",
        stale=True,
        init=dict(products=[A2]),
        procs=[("p", flush(R("r1", "u", "A"), known=[A2], now=0, then=[[Cancel("r1", "u")]], own={"u": 9})), v],
    )
    go(
        "s2 reserve, election, rec",
        stale=True,
        init=dict(products=[A2]),
        lost=1,
        procs=[("p", flush(R("r1", "u", "A"), known=[A2], now=0)), v],
    )
    go("s3 sweep of a basket, election, rec", stale=True, **bb, inorder=True, procs=[("s", expire(now=1000)), v])
    # u: 'unavailable' told to a cancel
    go(
        "u1 cancel, lost1, the database goes away",
        **bb,
        judge_cancel=True,
        lost=2,
        unavail=True,
        inorder=True,
        procs=[("c", flush(Cancel("h1", "u1"), now=0)), v],
    )
