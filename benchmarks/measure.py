#!/usr/bin/env python3
"""Measure one or several gateways (systems under test, SUT) with wrk.

One system, already running (its children are found by themselves):
  ./measure.py one --name mine --pid 1234 --url http://127.0.0.1:8080
One system, started here on the SUT core and stopped afterwards:
  ./measure.py one --name mine --cmd './gateway -c x.yaml' --url http://127.0.0.1:8080 --reps 3
Several, interleaved, order shuffled each round:
  ./measure.py matrix systems.json --rounds 3 [--only regex]
Table of what a results file holds:
  ./measure.py table run/results.jsonl [--base nginx-plain]

Primary figure: us CPU per request = delta(utime+stime of the SUT's processes) / requests
that wrk completed. `sut_core` is the SUT's own CPU time / wall time (exact), `load_core` how busy the
load core was (ticks): quote req/s as "saturated" only where sut_core is near 100 %.
"""
import argparse, json, os, random, resource, re, shlex, signal, statistics as st, subprocess, sys, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.environ.get("LAB_RUN", os.path.join(HERE, "run"))
TCK = os.sysconf("SC_CLK_TCK")

def tree(pids):
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                f = open("/proc/%s/stat" % d).read().rsplit(")", 1)[1].split()
                kids.setdefault(int(f[1]), []).append(int(d))
            except OSError:
                pass
    out, todo = [], list(pids)
    while todo:
        p = todo.pop()
        if p not in out and os.path.exists("/proc/%d" % p):
            out.append(p); todo += kids.get(p, [])
    return out

def cpu(pids):
    """(user, system) seconds. The sum comes from the scheduler's exact run time."""
    u = s = 0
    for p in pids:
        try:
            f = open("/proc/%d/stat" % p).read().rsplit(")", 1)[1].split()
            u += int(f[11]); s += int(f[12])
        except OSError:
            pass
    return u / TCK, s / TCK

def rss(pids):
    tot = 0
    for p in pids:
        try:
            for l in open("/proc/%d/smaps_rollup" % p):
                if l.startswith("Pss:"): tot += int(l.split()[1])
        except OSError:
            pass
    return tot / 1024

def ctxt(pids):
    v = n = 0
    for p in pids:
        try:
            for t in os.listdir("/proc/%d/task" % p):
                for l in open("/proc/%d/task/%s/status" % (p, t)):
                    if l.startswith("voluntary_ctxt"): v += int(l.split()[1])
                    if l.startswith("nonvoluntary_ctxt"): n += int(l.split()[1])
        except OSError:
            pass
    return v, n

def cores():
    out = {}
    for l in open("/proc/stat"):
        m = re.match(r"cpu(\d+) (.*)", l)
        if m:
            v = list(map(int, m[2].split()))
            out[int(m[1])] = (sum(v[:8]) - v[3] - v[4], sum(v[:8]), v[7])
    return out

def services():
    """pids of what lab.sh started (upstream, stubs, Redis)"""
    out = []
    for f in os.listdir(RUN):
        if f.endswith(".pid.lab"):
            try: out.append(int(open(os.path.join(RUN, f)).read()))
            except (OSError, ValueError): pass
    return tree(out)

def busy_s():
    return sum(v[0] for v in cores().values()) / TCK

def wait_quiet(limit=180):
    """wait until nothing else uses the machine (other builds, other helpers)"""
    end = time.time() + limit
    while time.time() < end:
        b = busy_s(); time.sleep(0.4)
        if busy_s() - b < 0.06: return True
    return False

def wrk(a, url, secs, conns, env):
    e = dict(os.environ, LAB_REFS=os.path.join(RUN, "refs.txt")); e.update(env)
    cmd = ["taskset", "-c", a.load_core, "wrk", "-t1", "-c%d" % conns, "-d%ds" % secs, "--timeout", "5s",
           "-s", env.get("LAB_SCRIPT", os.path.join(HERE, "tokens.lua")), url]
    p = subprocess.run(cmd, env=e, capture_output=True, text=True, cwd=HERE)
    m = re.search(r"WRKJSON (\{.*\})", p.stdout)
    if not m: raise RuntimeError("wrk failed: " + p.stdout[-500:] + p.stderr[-500:])
    return json.loads(m[1])

def wait_up(url, hdr, secs=40):
    end = time.time() + secs
    while time.time() < end:
        try:
            r = urllib.request.Request(url, headers=hdr)
            return urllib.request.urlopen(r, timeout=2).status
        except Exception as e:
            last = e
            time.sleep(0.1)
    raise RuntimeError("no 200 from %s: %s" % (url, last))

def first_ref(wenv):
    return open(wenv.get("LAB_REFS", os.path.join(RUN, "refs.txt"))).readline().strip()

def start(a, s):
    log = open(os.path.join(RUN, "sut-%s.log" % s["name"]), "ab")
    env = dict(os.environ); env.update({k: str(v) for k, v in s.get("env", {}).items()})
    env["LAB_RUN"] = RUN
    cwd = os.path.join(HERE, s.get("cwd", "."))
    cmd = s["cmd"].replace("$RUN", RUN).replace("$HERE", HERE)
    for c in s.get("pre", []):
        subprocess.run(c.replace("$RUN", RUN).replace("$HERE", HERE), shell=True, cwd=cwd, check=True)
    return subprocess.Popen(["taskset", "-c", s.get("sut_core", a.sut_core)] + shlex.split(cmd), cwd=cwd, env=env,
                            stdout=log, stderr=log, start_new_session=True)

def stop(p):
    try: p.send_signal(signal.SIGTERM)
    except OSError: pass
    try: p.wait(4)
    except subprocess.TimeoutExpired:
        for q in tree([p.pid]):
            try: os.kill(q, signal.SIGKILL)
            except OSError: pass
        p.wait()

def one(a, s, pids=None):
    """s: {name, url, cmd?, env?, wrk_env?, conns?, check?}; returns the result record"""
    proc = None
    if pids is None:
        proc = start(a, s); pids = [proc.pid]
    try:
        url = s["url"]; wenv = {k: str(v).replace("$RUN", RUN) for k, v in s.get("wrk_env", {}).items()}
        auth = {"Authorization": "Bearer " + s.get("bearer", first_ref(wenv)), "Host": "api.lab.invalid"}
        wait_up(url + wenv.get("LAB_PATH", "/v1/orders/42"), auth)
        swap = None
        if s.get("check", True):  # the upstream's /echo answers the Authorization header that it got
            try:
                got = urllib.request.urlopen(urllib.request.Request(url + "/echo", headers=auth), timeout=3).read().decode()
                swap = bool(re.match(r"Bearer [\w-]+\.[\w-]+\.[\w-]+$", got.strip()))
            except Exception as e:
                swap = "error: %s" % e
        conns = int(s.get("conns", a.conns))
        wrk(a, url, int(s.get("warm", a.warm)), conns, wenv)
        ps = tree(pids); load = s.get("watch", {})
        sv = services()
        ch = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        q0, t0, s0, h0 = busy_s(), time.time(), sum(cpu(sv)), ch()
        c0, k0, v0 = cpu(ps), cores(), ctxt(ps)
        r = wrk(a, url, a.secs, conns, wenv)
        c1, k1, v1 = cpu(ps), cores(), ctxt(ps)
        # CPU time of anything that is neither the SUT nor the lab: a sign of a disturbed run
        foreign = (busy_s() - q0) - (sum(c1) - sum(c0)) - (sum(cpu(sv)) - s0) - (ch() - h0)
        foreign = round(100 * foreign / (time.time() - t0), 1)
        n = max(1, r["requests"])
        busy = lambda c: round(100 * (k1[c][0] - k0[c][0]) / max(1, k1[c][1] - k0[c][1]), 1)
        steal = round(100 * sum(k1[c][2] - k0[c][2] for c in k1) / max(1, sum(k1[c][1] - k0[c][1] for c in k1)), 2)
        errs = {k: r[k] for k in r if k.startswith("err_") and r[k]}
        lc = int(a.load_core.split(",")[0])
        return {"name": s["name"], "us": round(1e6 * (c1[0] - c0[0] + c1[1] - c0[1]) / n, 2),
                "us_user": round(1e6 * (c1[0] - c0[0]) / n, 2), "us_sys": round(1e6 * (c1[1] - c0[1]) / n, 2),
                "rps": round(n / (r["duration_us"] / 1e6)), "p50_ms": r["p50_us"] / 1e3, "p99_ms": r["p99_us"] / 1e3,
                "max_ms": r["max_us"] / 1e3, "rss_mb": round(rss(ps), 1), "sut_core": round(100 * (sum(c1) - sum(c0)) / (r["duration_us"] / 1e6), 1), "load_core": busy(lc),
                "steal": steal, "cs_req": round((v1[0] - v0[0] + v1[1] - v0[1]) / n, 3), "conns": conns,
                "requests": n, "errors": errs, "foreign": foreign, "swap": swap, "t": int(time.time())}
    finally:
        if proc: stop(proc)

def load_results(path):
    by = {}
    for l in open(path):
        r = json.loads(l)
        by.setdefault(r["name"], []).append(r)
    return by

def table(path, base="nginx-plain", only=None, sort=True):
    by = load_results(path)
    med = {k: st.median([r["us"] for r in v]) for k, v in by.items()}
    b = med.get(base)
    print("| system | runs | us CPU/req (min-max) | user+sys | x base | req/s | p50 ms | p99 ms | RSS MiB | SUT core % | load core % | swap | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    m = lambda v, k: st.median([r[k] for r in v])
    for k in (sorted(med, key=med.get) if sort else med):
        if only and not re.search(only, k): continue
        v = by[k]; us = [r["us"] for r in v]
        errs = sum(sum(r["errors"].values()) for r in v)
        print("| %s | %d | %.1f (%.1f-%.1f) | %.1f+%.1f | %s | %d | %.2f | %.2f | %.0f | %.0f | %.0f | %s | %s |" % (
            k, len(v), med[k], min(us), max(us), m(v, "us_user"), m(v, "us_sys"), "%.2f" % (med[k] / b) if b else "-",
            m(v, "rps"), m(v, "p50_ms"), m(v, "p99_ms"), m(v, "rss_mb"), m(v, "sut_core"), m(v, "load_core"),
            {True: "yes", False: "no", None: "-"}.get(v[-1]["swap"], "err"), errs or "0"))

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="what", required=True)
    def common(p):
        p.add_argument("--secs", type=int, default=5); p.add_argument("--warm", type=int, default=2)
        p.add_argument("--conns", type=int, default=64)
        p.add_argument("--sut-core", default="0"); p.add_argument("--load-core", default="1")
        p.add_argument("--out", default=os.path.join(RUN, "results.jsonl"))
        p.add_argument("--max-foreign", type=float, default=5.0, help="redo a run in which other processes used more than this %% of a core")
    p = sub.add_parser("one"); common(p)
    p.add_argument("--name", required=True); p.add_argument("--url", required=True)
    p.add_argument("--pid", type=int, action="append"); p.add_argument("--cmd"); p.add_argument("--reps", type=int, default=1)
    p.add_argument("--no-check", action="store_true", help="do not ask the upstream's /echo for the swapped header")
    p.add_argument("--refs", type=int, default=10000, help="size of the set of references that is cycled over")
    p = sub.add_parser("matrix"); common(p)
    p.add_argument("systems", nargs="+"); p.add_argument("--rounds", type=int, default=3); p.add_argument("--only")
    p.add_argument("--base", default="nginx-plain")
    p = sub.add_parser("table"); p.add_argument("file"); p.add_argument("--base", default="nginx-plain"); p.add_argument("--only")
    a = ap.parse_args()
    if a.what == "table":
        return table(a.file, a.base, a.only)
    def keep(r):
        with open(a.out, "a") as f: f.write(json.dumps(r) + "\n")
        print("%-28s %7.2f us (%.1f+%.1f) %7d req/s p50 %.2f p99 %.2f ms rss %.0f sut %.0f%% load %.0f%% foreign %.1f%% swap=%s %s" % (
            r["name"], r["us"], r["us_user"], r["us_sys"], r["rps"], r["p50_ms"], r["p99_ms"], r["rss_mb"],
            r["sut_core"], r["load_core"], r["foreign"], r["swap"], r["errors"] or ""), flush=True)
    if a.what == "one":
        s = {"name": a.name, "url": a.url, "cmd": a.cmd, "check": not a.no_check, "wrk_env": {"LAB_N": a.refs}}
        for _ in range(a.reps): keep(one(a, s, a.pid))
        return
    systems = [s for f in a.systems for s in json.load(open(f))]
    systems = [s for s in systems if not a.only or re.search(a.only, s["name"])]
    for rnd in range(a.rounds):
        random.shuffle(systems)
        for s in systems:
            try:
                for _ in range(4):  # a run that something else disturbed is thrown away and done again
                    wait_quiet()
                    r = one(a, s)
                    if r["foreign"] < a.max_foreign: break
                    print("%-28s disturbed (%.1f %% of a core), again" % (s["name"], r["foreign"]), flush=True)
                keep(r)
            except Exception as e: print("%-28s FAILED: %s" % (s["name"], str(e)[:300]), flush=True)
    table(a.out, a.base)

main()
