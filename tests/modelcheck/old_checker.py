"""Explicit-state check of the real MongoDB store: its code runs, call by call, against a database in memory.

Every interleaving is explored, breadth first, with states hashed. A state is (database, what was told, messages in
flight, processes, lost budget, clock). A process is a real coroutine; its local state is its program and what its calls
returned so far (replayed, and cached). A call on several documents is carried out document by document, in any order,
with other calls in between. A process may stop anywhere (it is never scheduled again), and wake up anywhere.

Budgeted: the reply of a write is lost at any point (the rest of it arrives later, part by part, or never). With
`dretry`, the driver repeats a retryable write by itself, if the store lets it: the second copy's definite reply is told,
and what that copy refused may still be carried out by the first one. With `unavail`, a call is surely not carried out.
With `stale`, an election lets reads show less than was acknowledged, until the next write is. Timers fire at any time.

In every state, all processes are stopped, the real recovery runs until no movement is open, and the books are checked;
then each late message is delivered, and recovery runs again.

`python -m tests.modelcheck` runs the configurations. The code is terse; a readable form is still to be written.
"""

import asyncio
import time
from asyncio import events
from collections import deque

import msgspec
from tests.simulation.mongo.matcher import matches
from tests.simulation.mongo.server import _indexed, aggregated, arrange, project
from tests.simulation.mongo.updater import updated

from flashreserve.core.quotas import NO_QUOTAS
from flashreserve.stores.unreadable import UnreadableItems
from flashreserve.stores.mongo import MongoStore, product_import, recovery, reserve_movement, product_writes
from flashreserve.stores.mongo.database import DRIVER_RETRIES_WRITES
from flashreserve.stores.mongo.documents import INDEXES
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

recovery.ABANDONED_AFTER_MS = -(10**15)  # whoever recovers may do so at any time
product_import.ABANDONED_AFTER_MS = -(10**15)

UNIQUE = [i for i in INDEXES if i.unique]
FAR = 10**9

# ------------------------------------------------------------------------------------------------ interning
ENC = msgspec.json.Encoder(order="deterministic")


class Table:
    def __init__(s):
        s.ids = {}
        s.vals = []

    def add(s, key, val):
        i = s.ids.get(key)
        if i is None:
            i = s.ids[key] = len(s.vals)
            s.vals.append(val)
        return i


class G:  # everything global to one check
    pass


def reset(cfg):
    G.docs, G.dbs, G.parts, G.ops, G.res, G.ghosts = Table(), Table(), Table(), Table(), Table(), Table()
    G.locs = Table()  # local states: key (prog, hist) -> (pending, ghostlist)
    G.step, G.exec, G.inv, G.quiet, G.final = {}, {}, {}, {}, {}
    G.cfg = cfg
    G.replays = 0


def canon(coll, doc):
    if coll == "products":
        doc = dict(doc)
        if not G.cfg.get("moves"):
            doc["moves"] = 0
        ints = []
        for i in doc["intents"]:
            i = dict(i)
            i["at"] = 0
            ints.append(i)
        ints.sort(key=lambda i: (i["f"], i["owner"]))
        doc["intents"] = ints
    return doc


def docid(coll, doc):
    doc = canon(coll, doc)
    return G.docs.add((coll, ENC.encode(doc)), doc)


def dbid(entries):  # entries: dict (coll, id) -> docid
    t = tuple(sorted(entries.items()))
    return G.dbs.add(t, dict(t))


def docs_of(db, coll):
    return {k[1]: G.docs.vals[d] for k, d in G.dbs.vals[db].items() if k[0] == coll}


def resid(val):
    if isinstance(val, Exception):
        key = ("exc", type(val).__name__)
    elif isinstance(val, tuple) and val and val[0] == "fire":
        key = val
    else:
        key = ENC.encode(val)
    return G.res.add(key, val)


# ------------------------------------------------------------------------------------------------ the server, part by part
def ukeys(index, doc):
    from itertools import product

    if index.where is not None and not matches(doc, index.where):
        return set()
    return set(product(*[_indexed(doc, p) for p, _ in index.keys]))


def refused_by_unique(db, coll, doc):
    for index in UNIQUE:
        if index.collection != coll:
            continue
        mine = ukeys(index, doc)
        if mine:
            for id_, other in docs_of(db, coll).items():
                if id_ != doc["_id"] and ukeys(index, other) & mine:
                    return True
    return False


def candidates(docs, query):
    i = query.get("_id")
    if isinstance(i, str):
        return [docs[i]] if i in docs else []
    if isinstance(i, dict) and "$in" in i:
        return [docs[x] for x in sorted(set(i["$in"])) if x in docs]
    return [docs[x] for x in sorted(docs)]


def do(db, part):
    """One atomic step of the server: (db', result)."""
    kind, coll = part[0], part[1]
    docs = docs_of(db, coll)
    if kind == "ins":
        doc = part[2]
        if doc["_id"] in docs or refused_by_unique(db, coll, doc):
            return db, "dup"
        e = dict(G.dbs.vals[db])
        e[coll, doc["_id"]] = docid(coll, doc)
        return dbid(e), "ok"
    if kind == "upd":
        _, _, query, update, fields = part
        for d in candidates(docs, query):
            if matches(d, query):
                after = updated(d, query, update)
                e = dict(G.dbs.vals[db])
                e[coll, d["_id"]] = i = docid(coll, after)
                after = G.docs.vals[i]
                shown = project(after, fields) if fields else after
                if coll == "products" and G.cfg.get("blur") and fields is not None and "available" in shown:
                    shown = {**shown, "available": FAR}  # nobody decides by it: it is only learnt
                return dbid(e), ["ok", shown]
        return db, "none"
    if kind == "find":
        _, _, query, fields, order, most = part
        found = [d for d in candidates(docs, query) if matches(d, query)]
        return db, arrange(found, fields, order, most)
    if kind == "all":  # a scan's look at one document
        return db, [docs[part[2]]] if part[2] in docs else []
    raise NotImplementedError(kind)


def execute(db, p):
    k = (db, p)
    r = G.exec.get(k)
    if r is None:
        d2, res = do(db, G.parts.vals[p])
        r = G.exec[k] = (d2, resid(res))
    return r


def part(*p):
    return G.parts.add(repr(p), p)


def ids_in(query):
    i = query.get("_id")
    if isinstance(i, str):
        return [i]
    if isinstance(i, dict) and set(i) == {"$in"}:
        return sorted(set(i["$in"]))
    return None


def make_op(op):
    """(name, parts, write, retryable, combine)."""
    name = op[0]
    if name == "insert_many":
        _, coll, docs = op
        return name, tuple(part("ins", coll, d) for d in docs), True, True
    if name == "fou":
        _, coll, query, update, fields = op
        return name, (part("upd", coll, query, update, fields),), True, True
    if name == "bulk":
        _, coll, ups = op
        return name, tuple(part("upd", coll, q, u, {"_id": 1}) for q, u in ups), True, True
    if name == "update_many":
        _, coll, query, update = op
        ids = ids_in(query)
        if ids is None:
            ids = G.cfg["universe"].get(coll, [])
        return name, tuple(part("upd", coll, {**query, "_id": i}, update, {"_id": 1}) for i in ids), True, False
    if name == "find":
        _, coll, query, fields, order, most, current = op
        ids = ids_in(query)
        if G.cfg.get("torn") and ids is not None and len(ids) > 1 and not most:
            return name, tuple(part("find", coll, {**query, "_id": i}, fields, None, 0) for i in ids), False, False
        return name, (part("find", coll, query, fields, order, most),), False, False
    if name == "agg":
        _, coll, pipe = op
        return name, tuple(part("all", coll, i) for i in G.cfg["universe"][coll]), False, False
    if name in ("clock", "timer"):
        return name, (), False, False
    raise NotImplementedError(name)


def combine(op, results):
    name = op[0]
    if name == "insert_many":
        return [i for i, r in enumerate(results) if r == "dup"]
    if name == "fou":
        return None if results[0] == "none" else results[0][1]
    if name in ("bulk", "update_many"):
        return None
    if name == "find":
        if len(results) == 1:
            return results[0]
        return arrange([d for r in results for d in r], None, op[4], op[5])
    if name == "agg":
        return aggregated([d for r in results for d in r], op[2])
    raise NotImplementedError(name)


# ------------------------------------------------------------------------------------------------ running the real code
class Timer:
    def __init__(s, loop, seq, cb, args):
        s.loop, s.seq, s.cb, s.args = loop, seq, cb, args

    def cancel(s):
        s.loop.pending.pop(s.seq, None)

    def cancelled(s):
        return s.seq not in s.loop.pending

    def when(s):
        return 0.0


class Handle:
    __slots__ = ("cb", "args", "ctx", "off")

    def __init__(s, cb, args, ctx):
        s.cb, s.args, s.ctx, s.off = cb, args, ctx, False

    def cancel(s):
        s.off = True

    def cancelled(s):
        return s.off


class SteppedLoop(asyncio.AbstractEventLoop):
    def __init__(s):
        s.ready = deque()
        s.pending = {}  # seq -> (op, future or timer)
        s.seq = 0
        s.errors = []
        s.issued = []
        s.contexts = {}
        import contextvars

        s.ctx = contextvars.Context()

    def time(s):
        return 0.0

    def call_soon(s, cb, *args, context=None):
        h = Handle(cb, args, s.ctx if context is None else context)
        s.ready.append(h)
        return h

    def call_later(s, delay, cb, *args, context=None):
        t = Timer(s, s.seq, cb, args)
        s.pending[s.seq] = (("timer",), t)
        s.issued.append(("timer",))
        s.seq += 1
        return t

    def call_at(s, when, cb, *args, context=None):
        return s.call_later(0, cb, *args)

    def create_future(s):
        return asyncio.Future(loop=s)

    def create_task(s, coro, *, name=None, context=None):
        import contextvars

        context = contextvars.copy_context() if context is None else context
        task = asyncio.Task(coro, loop=s, name=name, context=context)
        s.contexts[task] = context
        return task

    def get_debug(s):
        return False

    def is_running(s):
        return True

    def is_closed(s):
        return False

    def call_exception_handler(s, context):
        s.errors.append(repr(context.get("exception") or context.get("message")))

    def drain(s):
        n = 0
        while s.ready:
            h = s.ready.popleft()
            if not h.off:
                h.ctx.run(h.cb, *h.args)
            n += 1
            if n > 100000:
                raise RuntimeError("goes round in circles")

    def ask(s, op):
        f = s.create_future()
        s.pending[s.seq] = (op, f)
        s.issued.append(op)
        s.seq += 1
        return f

    def deliver(s, seq, value):
        op, f = s.pending.pop(seq)
        if op[0] == "timer":
            s.call_soon(f.cb, *f.args)
        elif isinstance(value, Exception):
            f.set_exception(type(value)("lost" if isinstance(value, StoreOutcomeUnknownError) else "away"))
        else:
            f.set_result(value)
        s.drain()


class FakeDatabase:
    def __init__(s, loop):
        s.loop = loop

    async def find(s, collection, query, *, fields=None, order=None, most=0, current=False):
        return list(await s.loop.ask(("find", collection, tidy(query), fields, order, most, current)))

    async def aggregate(s, collection, pipeline):
        return list(await s.loop.ask(("agg", collection, pipeline)))

    async def insert_many(s, collection, documents):
        return list(await s.loop.ask(("insert_many", collection, list(documents))))

    async def find_one_and_update(s, collection, query, update, *, fields=None):
        return await s.loop.ask(("fou", collection, tidy(query), update, fields))

    async def update_many(s, collection, query, update):
        await s.loop.ask(("update_many", collection, tidy(query), update))

    async def bulk_update(s, collection, updates):
        await s.loop.ask(("bulk", collection, list(updates)))

    async def ensure_indexes(s, indexes, *, create):
        pass

    async def now_ms(s):
        return 0

    async def close(s):
        pass


def tidy(query):
    i = query.get("_id")
    if isinstance(i, dict) and "$in" in i:
        return {**query, "_id": {**i, "$in": sorted(set(i["$in"]))}}
    return query


class CountedIds:
    def __init__(s, name):
        s.name, s.n = name, 0

    def new(s):
        s.n += 1
        return f"{s.name}{s.n}"


class Env:
    """What a program has: the fake database, ids of its own, the clock, and ghosts to tell."""

    def __init__(s, name, loop):
        s.loop, s.database, s.ids, s.told = loop, FakeDatabase(loop), CountedIds(name), []

    async def clock(s):
        return await s.loop.ask(("clock",))

    def tell(s, *ghost):
        s.told.append(ghost)

    def store(s, known=()):
        store = MongoStore(s.database, s.ids, G.cfg.get("quotas", NO_QUOTAS))
        store._known.learn(known)
        return store


def replay(prog, hist):
    """The calls pending after that history, and what was told."""
    G.replays += 1
    name, fn = G.cfg["programs"][prog]
    loop = SteppedLoop()
    before = events._get_running_loop()
    events._set_running_loop(loop)
    try:
        env = Env(name, loop)
        task = loop.create_task(fn(env))
        loop.drain()
        for seq, r in hist:
            loop.deliver(seq, G.res.vals[r])
        if task.done() and task.exception() is not None:
            env.tell("error", repr(task.exception()))
        for e in loop.errors:
            env.tell("error", e)
        issued = tuple(G.ops.add(repr(op), (op, make_op(op))) for op in loop.issued)
        pending = [(seq, issued[seq]) for seq in sorted(loop.pending)]
        told = tuple(env.told)
        if not task.done() and not loop.pending:
            told += (("error", "stuck: waits for nothing"),)
        # let go
        for t in asyncio.all_tasks(loop):
            t._log_destroy_pending = False
            loop.contexts[t].run(t.get_coro().close)
        loop.ready.clear()
        return tuple(pending), told, issued
    finally:
        events._set_running_loop(before)


def local(prog, hist):
    k = (prog, hist)
    i = G.locs.ids.get(k)
    if i is None:
        pending, told, issued = replay(prog, hist)
        if not pending:  # over: one state for all ends of the same tale
            i = G.locs.add(("over", prog, told), (pending, told, None))
        else:  # what came back in another order, and led to the same calls one after the other, is the same state
            i = G.locs.add((prog, frozenset(hist), issued, pending, told), (pending, told, k))
        G.locs.ids[k] = i
    return i


def step(lid, seq, r):
    """The local state after the call `seq` returned result `r`, and what was told on the way."""
    k = (lid, seq, r)
    got = G.step.get(k)
    if got is None:
        _, told, (prog, hist) = G.locs.vals[lid]
        l2 = local(prog, hist + ((seq, r),))
        got = G.step[k] = (l2, G.locs.vals[l2][1][len(told) :])
    return got


def run_alone(db, prog, clock=FAR):
    """The program from its beginning to its end with nobody else there."""
    lid = local(prog, ())
    while G.locs.vals[lid][0]:
        seq, o = G.locs.vals[lid][0][0]
        op, (name, parts, _, _) = G.ops.vals[o]
        if name == "clock":
            r = resid(clock)
        elif name == "timer":
            r = resid(("fire",))
        else:
            rs = []
            for p in parts:
                db, x = execute(db, p)
                rs.append(G.res.vals[x])
            r = resid(combine(op, rs))
        lid, _ = step(lid, seq, r)
    return db, G.locs.vals[lid][1]


# ------------------------------------------------------------------------------------------------ what must hold
def rule_one(db):
    """Rule 1, exact, at every instant; and no oversell."""
    products, ress = docs_of(db, "products"), docs_of(db, "reservations")
    for pid, p in products.items():
        live = moving = 0
        open_f = {i["f"] for i in p["intents"] if i["kind"] == "release"}
        for d in ress.values():
            if d["status"] == "VOID":
                continue
            units = sum(x["quantity"] for x in d["lines"] if x["product_id"] == pid)
            if d["status"] in ("PENDING", "CONFIRMED"):
                live += units
            elif d.get("released_by") in open_f:
                moving += units
        for i in p["intents"]:
            for item in i.get("items", ()):
                d = ress.get(item["id"])
                if d is None or d["status"] == "VOID" or d["taken_by"] != i["f"]:
                    moving += item["quantity"]
        if p["available"] < 0:
            return f"available below 0 on {pid}"
        if live > p["stocked"]:
            return f"OVERSELL on {pid}: live {live} > stocked {p['stocked']}"
        if p["available"] != p["stocked"] - live - moving:
            kind = "LEAK" if p["available"] < p["stocked"] - live - moving else "OVERCREDIT"
            return f"{kind} (rule 1) on {pid}: available {p['available']}, stocked {p['stocked']}, live {live}, moving {moving}"
        limit = p["per_customer_limit"]
        if limit is not None and not G.cfg.get("nolimit"):
            by = {}
            for d in ress.values():
                if d["status"] in ("PENDING", "CONFIRMED"):
                    n = sum(x["quantity"] for x in d["lines"] if x["product_id"] == pid)
                    c = sum(x.startswith("limit:") and f":{pid}:" in x for x in d["claims"])
                    if n != c:
                        return f"limit {limit} on {pid}, but {d['_id']} has {n} units and {c} claims"
                    by[d["user_id"]] = by.get(d["user_id"], 0) + n
            if any(n > limit for n in by.values()):
                return f"limit of {limit} exceeded on {pid}"
    return None


def told_true(db, gid):
    """What was told is so."""
    ress = docs_of(db, "reservations")
    products = docs_of(db, "products")
    for g in G.ghosts.vals[gid]:
        kind = g[0]
        if kind == "error":
            return f"error: {g[1]}"
        if kind == "ack":
            d = ress.get(g[1])
            if d is None or d["status"] == "VOID":
                return f"{g[1]} was acknowledged and isn't there"
        elif kind == "confirmed":
            if ress[g[1]]["status"] != "CONFIRMED":
                return f"{g[1]} was told CONFIRMED, is {ress[g[1]]['status']}"
        elif kind in ("EXPIRED", "CANCELLED"):
            if ress[g[1]]["status"] != kind:
                return f"{g[1]} was told {kind}, is {ress[g[1]]['status']}"
        elif kind == "extended":
            if ress[g[1]]["extensions"] < g[2]:
                return f"{g[1]} was told extension {g[2]}"
        elif kind == "nothing":  # told that nothing was taken: no reservation of this customer
            n = sum(d["status"] != "VOID" and d["user_id"] == g[1] for d in ress.values())
            if n > g[2]:
                return f"{g[1]} was told that nothing was taken, but has {n}"
        elif kind == "not-cancelled":  # told Unavailable to a cancel, and nobody else cancels
            if g[1] in ress and ress[g[1]]["status"] == "CANCELLED":
                return f"cancelling {g[1]} was answered 'unavailable' (nothing was written), and it is CANCELLED"
        elif kind == "not-restocked":
            if any(a["key"] == g[2] for a in products[g[1]]["adjustments"]):
                return f"restock {g[2]} was refused, and was carried out"
        elif kind == "restocked":
            if sum(a["key"] == g[2] for a in products[g[1]]["adjustments"]) != 1:
                return f"restock {g[2]} was told, and isn't there once"
        elif kind == "audit":
            if g[1]:
                return f"the audit found {g[1]}"
        elif kind == "imported":
            for p in g[1]:
                if p not in products or "batch" in products[p]:
                    return f"{p} was told imported and isn't shown"
        elif kind == "not-imported":
            for p in g[1]:
                if p in products and "batch" not in products[p]:
                    return f"{p} was told not imported and is shown"
    check = G.cfg.get("check")
    return check(ress, products, G.ghosts.vals[gid]) if check else None


def invariant(db, gid):
    k = (db, gid)
    if k not in G.inv:
        G.inv[k] = rule_one(db) or told_true(db, gid)
    return G.inv[k]


ROUNDS = 14


def quiesce(db):
    got = G.quiet.get(db)
    if got is None:
        d = db
        err = None
        for _ in range(ROUNDS):
            if not any(p["intents"] for p in docs_of(d, "products").values()) and not any(
                b["state"] in ("open", "committed") for b in docs_of(d, "batches").values()
            ):
                break
            d, _ = run_alone(d, G.cfg["quiet"])
        else:
            err = "STUCK: movements that recover never finishes"
        got = G.quiet[db] = (d, err)
    return got


def final(db, msgs, gid):
    k = (db, msgs, gid)
    if k not in G.final:
        d, e = quiesce(db)
        if e is None:
            e = invariant(d, gid)
        if e is None:
            for i, m in enumerate(msgs):
                if i and msgs[i - 1] == m:
                    continue
                d2, _ = execute(d, m)
                e = final(d2, msgs[:i] + msgs[i + 1 :], gid)
                if e:
                    e += " [after late %s]" % short(G.parts.vals[m])
                    break
        G.final[k] = e
    return G.final[k]


# ------------------------------------------------------------------------------------------------ exploring
UNK = StoreOutcomeUnknownError("lost")
AWAY = StoreUnavailableError("away")


def short(p):
    s = repr(p)
    return s if len(s) < 260 else s[:257] + "..."


def add_ghosts(gid, told):
    told = tuple(t for t in told)
    if not told:
        return gid
    s = frozenset(G.ghosts.vals[gid]) | set(told)
    return G.ghosts.add(s, s)


def check(name, cfg, maxs=2_000_000, tmax=240, show=True):
    """Explore; returns what is wrong, None if nothing is."""
    reset(cfg)
    cfg.setdefault("universe", {})
    cfg["programs"] = list(cfg["procs"])
    cfg["quiet"] = len(cfg["programs"])
    cfg["programs"].append(("Z", quiet_program))
    for attr, value in cfg.get("patch", {}).items():
        mod, field = attr.split(".")
        import importlib

        m = (
            importlib.import_module(f"flashreserve.stores.mongo.{mod}")
            if mod != "limits"
            else importlib.import_module("flashreserve.core.limits")
        )
        cfg.setdefault("_undo", []).append((m, field, getattr(m, field)))
        setattr(m, field, value)
    try:
        return _check(name, cfg, maxs, tmax, show)
    finally:
        for m, field, value in cfg.pop("_undo", []):
            setattr(m, field, value)


async def quiet_program(env):
    if G.cfg.get("imports"):
        await product_import.recover(env.database, FAR, 100)
    await recovery.recover(env.database, env.ids, UnreadableItems(), FAR, 100)


def _check(name, cfg, maxs, tmax, show):
    t0 = time.time()
    entries = {}
    for coll, docs in cfg["init"].items():
        for d in docs:
            entries[coll, d["_id"]] = docid(coll, d)
    db = dbid(entries)
    gid = G.ghosts.add(frozenset(), frozenset())
    n = len(cfg["procs"])
    pl = []
    for i in range(n):
        lid = local(i, ())
        gid = add_ghosts(gid, G.locs.vals[lid][1])
        pl.append((lid, ()))
    s0 = (db, gid, (), tuple(pl), cfg.get("lost", 0), (0, None))
    seen = {s0: None}
    queue = deque([s0])
    trans = 0
    bug = None
    capped = False
    ticks = cfg.get("ticks", ())
    unavail, dretry = cfg.get("unavail", False), cfg.get("dretry", False) and DRIVER_RETRIES_WRITES
    names = [p[0] for p in cfg["procs"]]
    t_step = cfg.get("t_step", 1000)
    while queue:
        s = queue.popleft()
        db, gid, msgs, pl, lost, cv = s
        clock, view = cv
        e = invariant(db, gid) or final(db, msgs, gid)
        if e:
            bug = (s, e)
            break
        nxt = []
        if clock < len(ticks):
            nxt.append((("clock", ticks[clock]), (db, gid, msgs, pl, lost, (clock + 1, view))))
        if cfg.get("stale"):
            if view is None:
                nxt.append(
                    (
                        ("SO FAR THE NEXT PRIMARY KNOWS TO BE COMMITTED",),
                        (db, gid, msgs, pl, lost, (clock, ("snap", db))),
                    )
                )
            elif view[0] == "snap" and view[1] != db:
                nxt.append(
                    (
                        ("ELECTION: majority reads see what was known then",),
                        (db, gid, msgs, pl, lost, (clock, ("stale", view[1]))),
                    )
                )
            elif view[0] == "stale":
                nxt.append((("the new primary catches up",), (db, gid, msgs, pl, lost, (clock, ("done",)))))
        acked = (clock, ("done",)) if view is not None and view[0] == "stale" else cv
        for i, m in enumerate(msgs):
            if i and msgs[i - 1] == m:
                continue
            d2, r = execute(db, m)
            nxt.append((("LATE", m, r), (d2, gid, msgs[:i] + msgs[i + 1 :], pl, lost, cv)))
        for i, (lid, progress) in enumerate(pl):
            for seq, o in G.locs.vals[lid][0]:
                op, (opname, parts, write, retryable) = G.ops.vals[o]
                if opname == "clock" or opname == "timer":
                    r = resid((0 if clock == 0 else ticks[clock - 1]) if opname == "clock" else ("fire",))
                    l2, told = step(lid, seq, r)
                    nxt.append(
                        (
                            (names[i], o, opname, told),
                            (db, add_ghosts(gid, told), msgs, put(pl, i, l2, without(progress, seq)), lost, cv),
                        )
                    )
                    continue
                done, retried = (), False
                for q in progress:
                    if q[0] == seq:
                        _, done, retried = q
                did = dict(done)
                todo = [j for j in range(len(parts)) if j not in did]
                if not todo:  # a command that touches nothing
                    r = resid(combine(op, []))
                    l2, told = step(lid, seq, r)
                    nxt.append(
                        (
                            (names[i], o, "nothing", told),
                            (db, add_ghosts(gid, told), msgs, put(pl, i, l2, without(progress, seq)), lost, cv),
                        )
                    )
                for j in todo if not cfg.get("inorder") else todo[:1]:
                    if not write and not (op[0] == "find" and op[6]) and view is not None and view[0] == "stale":
                        r = execute(view[1], parts[j])[1]
                        d2 = db
                    else:
                        d2, r = execute(db, parts[j])
                    m2 = msgs
                    if retried and G.res.vals[r] in ("dup", "none"):
                        m2 = tuple(sorted((*msgs, parts[j])))
                    if len(todo) == 1:
                        rs = [G.res.vals[r if x == j else did[x]] for x in range(len(parts))]
                        l2, told = step(lid, seq, resid(combine(op, rs)))
                        nxt.append(
                            (
                                (names[i], o, j, r, told),
                                (
                                    d2,
                                    add_ghosts(gid, told),
                                    m2,
                                    put(pl, i, l2, without(progress, seq)),
                                    lost,
                                    acked if write else cv,
                                ),
                            )
                        )
                    else:
                        p2 = tuple(sorted((*without(progress, seq), (seq, tuple(sorted((*done, (j, r)))), retried))))
                        nxt.append(((names[i], o, j, r, ()), (d2, gid, m2, put(pl, i, lid, p2), lost, cv)))
                if lost and write:
                    rest = tuple(parts[j] for j in todo)
                    l2, told = step(lid, seq, resid(UNK))
                    nxt.append(
                        (
                            (names[i], o, "REPLY LOST, %d of %d parts in flight" % (len(rest), len(parts)), told),
                            (
                                db,
                                add_ghosts(gid, told),
                                tuple(sorted((*msgs, *rest))),
                                put(pl, i, l2, without(progress, seq)),
                                lost - 1,
                                cv,
                            ),
                        )
                    )
                    if dretry and retryable and not done and not retried:
                        p2 = tuple(sorted((*progress, (seq, (), True))))
                        nxt.append(
                            (
                                (names[i], o, "THE DRIVER SENDS IT AGAIN, first copy in flight", ()),
                                (db, gid, msgs, put(pl, i, lid, p2), lost - 1, cv),
                            )
                        )
                if lost and unavail and not done and not retried:
                    l2, told = step(lid, seq, resid(AWAY))
                    nxt.append(
                        (
                            (names[i], o, "UNAVAILABLE, surely not sent", told),
                            (db, add_ghosts(gid, told), msgs, put(pl, i, l2, without(progress, seq)), lost - 1, cv),
                        )
                    )
        for lab, x in nxt:
            trans += 1
            if x not in seen:
                seen[x] = (s, lab)
                queue.append(x)
        if len(seen) > maxs or time.time() - t0 > tmax:
            capped = True
            break
    dt = time.time() - t0
    verdict = "VIOLATION: " + bug[1] if bug else ("CAPPED, no violation so far" if capped else "ok (exhausted)")
    print(
        f"{name:58} {len(seen):9d} states {trans:10d} trans {len(G.dbs.vals):7d} dbs {len(G.locs.vals):7d} locals {dt:6.1f}s {verdict}",
        flush=True,
    )
    if bug and show:
        tr = []
        s = bug[0]
        while seen[s] is not None:
            tr.append(seen[s][1])
            s = seen[s][0]
        for i, l in enumerate(reversed(tr)):
            print("  %3d. %s" % (i + 1, label(l)))
        print("   => ", {k: v for k, v in ((k, G.docs.vals[d]) for k, d in G.dbs.vals[bug[0][0]].items())})
        print("      in flight:", [short(G.parts.vals[m]) for m in bug[0][2]], " told:", set(G.ghosts.vals[bug[0][1]]))
    return bug[1] if bug else None


def label(l):
    if l[0] == "clock":
        return f"clock -> {l[1]}"
    if len(l) == 1:
        return l[0]
    if l[0] == "LATE":
        return f"LATE {short(G.parts.vals[l[1]])} -> {short(G.res.vals[l[2]])}"
    op = G.ops.vals[l[1]][0]
    if len(l) == 5:
        return f"{l[0]}: {short(op)} part {l[2]} -> {short(G.res.vals[l[3]])}  {l[4] or ''}"
    return f"{l[0]}: {short(op)} {l[2]}  {l[3] or ''}"


def without(progress, seq):
    return tuple(q for q in progress if q[0] != seq)


def put(pl, i, lid, progress):
    return (*pl[:i], (lid, progress), *pl[i + 1 :])
