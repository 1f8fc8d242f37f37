package main

// mutants are the safeguards of the protocol, each taken out. A simulation that names no number of worlds has 500.
var mutants = []mutant{
	{
		name: "no seq check on fills", model: "no-seq-check", red: simulation, file: "revocation/mark.go",
		old: `t.Seq < s.at.Seq || `, new: ``,
	},
	{
		name: "fills of another incarnation", model: "same-incarnation", red: tests, run: "./revocation", file: "revocation/mark.go",
		old: `t.Incarnation != s.incarnation || `, new: ``,
	},
	{
		name: "lease from the answer", model: "lease-from-arrival", red: simulation, file: "revocation/pull.go",
		old: "	sent := f.moment(time.Now())\n	answers := f.log.Pull(asking, after, f.name)\n",
		new: "	answers := f.log.Pull(asking, after, f.name)\n	sent := f.moment(time.Now())\n",
	},
	{
		name: "take's lease from the answer", model: "take-for-ever", red: simulation, file: "exchange/fill.go",
		old: `until: asked.Add(taken.Lease)`, new: `until: time.Now().Add(taken.Lease)`,
	},
	{
		name: "no flush on divergence", model: "no-flush", red: simulation, file: "revocation/apply.go",
		old: "	case a.Flush:\n		f.flush(s, a.Keys)\n", new: "	case a.Flush:\n",
	},
	{
		name: "position without its id", model: "no-flush", red: simulation, file: "store/memory_shard.go",
		old: `s.log[i].before != after.ID || `, new: ``,
	},
	{
		name: "ids used again", model: "ids-reused", red: model, file: "store/memory_shard.go",
		old: `Position{s.head.at.Seq + 1, rand.Text()}`, new: `Position{s.head.at.Seq + 1, r.Name + rand.Text()[:0]}`,
	},
	{
		name: "same incarnation for ever", model: "same-incarnation", red: model, file: "store/memory_open.go",
		old: `s.head.opened, s.head.since = rand.Text(), rand.Text(), `, new: `s.head.opened, s.head.since = "same", rand.Text(), `,
	},
	{
		name: "no journal replay", model: "no-replay", red: simulation, run: "-seeds 5000", file: "revocation/worker_steps.go",
		old: "	if whole {\n", new: "	if false {\n",
	},
	{
		name: "opened without the missing", model: "missing-keeps", red: simulation, file: "store/memory_open.go",
		old: `whole && counts && b.whole`, new: `whole && (!counts || b.whole)`,
	},
	{
		name: "late question after a loss", red: tests, run: "./store -run Memory", file: "store/memory_log.go",
		old: `if mine.done < by.Done {`, new: `if false {`,
	},
	{
		name: "no sleep", model: "no-sleep", red: simulation, file: "revocation/revoker.go",
		old: `return known, r.sleep(ctx, start, until, sleep)`, new: "_, _ = until, sleep\n	return known, nil",
	},
	{
		name: "no fence", model: "no-fence", red: simulation, file: "store/memory_open.go",
		old: `if m.replica || s.head == nil || s.head.opened != m.replication {`, new: `if s.head == nil {`,
	},
	{
		name: "fence by role only", model: "fence-role-only", red: simulation, file: "store/memory_open.go",
		old: `s.head == nil || s.head.opened != m.replication {`, new: `s.head == nil {`,
	},
	{
		name: "fence by replication id only", model: "fence-replication-only", red: simulation, file: "store/memory_open.go",
		old: "	if m.replica || s.head == nil || s.head.opened", new: "	if s.head == nil || s.head.opened",
	},
	{
		name: "put without since", model: "no-since", red: simulation, file: "store/memory_shard.go",
		old: `return max(s.floors[everything], `, new: `return true || max(s.floors[everything], `,
	},
	{
		name: "since of any incarnation", model: "since-any-incarnation", red: tests, run: "./store -run Memory", file: "store/memory_shard.go",
		old: `	var since uint64 // of another incarnation: nobody knows what it has seen`, new: `	since := r.Since.Seq`,
	},
	{
		name: "mint before the log is read", red: tests, run: "./exchange", file: "exchange/deposit.go",
		old: `since.Incarnation == ""`, new: `false`,
	},
	{
		name: "put ignores the tombstone", model: "no-tombstone", red: simulation, file: "store/memory_shard.go",
		old: `s.tombs[r.JTI] > now.Unix() || `, new: ``,
	},
	{
		name: "take ignores floors", red: simulation, file: "store/memory_shard.go",
		old: `return slices.ContainsFunc([]floor{everything, {KindClient, g.client}`, new: `return false && slices.ContainsFunc([]floor{everything, {KindClient, g.client}`,
	},
	{
		name: "no decision at the connection", red: simulation, file: "exchange/pass.go",
		old: "	if good := p.good(now); good > 0 {\n		return good, nil\n	}\n	return p.settle(ctx, p.exchange.key(p.reference))",
		new: "	return p.good(now), nil",
	},
	{
		name: "lease without the wall clock", model: "suspended-edge", red: tests, run: "./revocation", file: "revocation/lease.go",
		old: `return l.runs - max(now.mono-l.sent.mono, wall)`, new: `return l.runs - (now.mono - l.sent.mono)`,
	},
	{
		name: "lease by a page that is not last", model: "lease-on-more", red: tests, run: "./revocation", file: "revocation/apply.go",
		old: "	if a.More {\n		return errBehind\n	}\n", new: "",
	},
	{
		name: "revoked keys are believed", red: tests, run: "./exchange", file: "exchange/fill.go",
		old: `if x.revocations.KeyRevoked(`, new: `if false && x.revocations.KeyRevoked(`,
	},
	{
		name: "DEL is not first", model: "del-late", red: tests, run: "./store -run Redis", file: "store/lua/revoke.lua",
		old: "local found = redis.call('DEL', KEYS[5])\n", new: "redis.call('HSET', KEYS[4], 'mutant', '1')\nlocal found = redis.call('DEL', KEYS[5])\n",
	},
	{
		name: "WAIT on another connection", model: "wait-elsewhere", red: tests, run: "./store -run Redis", file: "store/redis_log.go",
		old: `wait = p.Do(ctx, "WAIT"`, new: `wait = r.client.Do(ctx, "WAIT"`,
	},
	{
		name: "done again without a write", model: "wait-without-write", red: model, file: "store/lua/revoke.lua",
		old: "  redis.call('DEL', KEYS[7])\n  write_enrolment(KEYS[4], ARGV[6], journal, done)\n  return answer('0')", new: "  return answer('0')",
	},
	{
		name: "Redis without the fence", model: "no-fence", red: tests, run: "./store -run Redis", file: "store/lua/head.lua",
		old: `if not h or h.opened ~= master() then`, new: `if not h then`,
	},
	{
		name: "no sleep, real processes", model: "no-sleep", red: nemesis, run: "-nemesis 20s -workers 12 -least 1", file: "revocation/revoker.go",
		old: `return known, r.sleep(ctx, start, until, sleep)`, new: "_, _ = until, sleep\n	return known, nil",
	},
	{
		name: "a lease that was lowered is forgotten", red: tests, run: "./revocation", file: "revocation/worker.go",
		old: `max(w.told.hear(time.Now(), max(s.Lease, s.Sleep)), w.r.config.Lease)`, new: `max(s.Lease, s.Sleep, w.r.config.Lease)`,
	},
	{
		name: "a lease that was raised between", red: tests, run: "./revocation", file: "revocation/worker_lease.go",
		old: `if w.lowering.id != s.LeaseID {`, new: `if w.lowering.id == "" {`,
	},
	{
		name: "an issuer taken off the list", red: tests, run: "./store -run Memory", file: "store/memory_open.go",
		old: `slices.Contains(o.Issuers, issuer) || o.Life > 0`, new: `slices.Contains(o.Issuers, issuer) || true || o.Life > 0`,
	},
	{
		name: "memory for what ends grants", red: tests, run: "./store -run Guard", file: "store/guard.go",
		old: `g.full.Store(&refused)`, new: `_ = refused`,
	},
	{
		name: "an issuer with another clock", red: tests, run: "./store -run Redis", file: "store/lua/revoke.lua",
		old: `if math.abs(now - tonumber(ARGV[14])) > slack then return {number, 'clock'} end`, new: ``,
	},
}
