/*
 * One shard of the revocation protocol: two issuers with journals, a master and its replica (which is also the backup),
 * and edges that cache. One token T is followed through it. README.md says what is left out, and why that is sound.
 *
 * Every step is one d_step: a script in the store, or what one process does with one message. Between a request, its
 * execution and its answer anything may happen, or nothing ever again: that is delay, loss, pause and partition at once.
 * Time is a countdown in every timer, and Tick moves all of them together. Each step has a name, at its head; the table
 * in README.md says which function takes it. What is switched by a name in capitals is a row of table.txt.
 */
#ifndef DISASTERS
#define DISASTERS 2 /* restarts, restores, promotions and FLUSHALLs together */
#endif
#ifndef EDGES
#define EDGES 1
#endif
#ifndef L
#define L 2 /* ticks of a lease */
#endif

/* What an entry ends: everything, nothing that matters (c of A's journal, b of B's), or T. */
#define ALL 0
#define C 1
#define T 2
#define B 3

/* Issuer A has c as number 1 and T as number 2; issuer B has b as number 1. */
#define IA 0
#define IB 1

/* The call that revokes T. */
#define IDLE 0
#define CALLED 1  /* it is in A's journal */
#define COPYING 2 /* WAIT */
#define SLEEPS 3
#define ACKED 4
#define FORGOTTEN 5 /* acknowledged, and lost by A's disk */

byte epoch; /* disasters so far: what is "fresh" or "random" in the protocol is made of it */

/* The nodes. What follows `head` is data: it is copied to the replica, and comes back from a backup. */
typedef Node {
  bit master;
  unsigned replid : 2;
  bit head;
  unsigned seq : 4;
  unsigned opened : 2;
  unsigned inc : 2;
  unsigned all : 4;   /* floor of everything */
  unsigned floor : 4; /* floor of T's client */
  bit rec;            /* T's record, */
  unsigned born : 4;  /* and the seq at which it was put */
  bit tomb;
  byte jour[2]; /* by issuer: the journal enrolled, 0: none; */
  byte done[2]; /* its last number in this shard; */
  byte vote[2]; /* the replication id under which it voted that everything is in here; 0: it did not */
  int ids;      /* of the entries, four bits each */
};
Node node[2];

/* The issuers. */
bit expired;       /* c: nothing that it named is alive, the journal has forgotten it */
bit byClient;      /* T is revoked by its client, not by its jti */
unsigned call : 3; /* the call that revokes T */
unsigned sleep : 2;
unsigned minting : 2; /* 0 not begun, 1 on its way to the store, 2 done or refused */
unsigned sinceSeq : 4;
unsigned sinceInc : 2;
byte mine[2]; /* id of the own journal */
#ifdef SLOW_VOTE
byte know[2]; /* replication id of the closed master into which everything was brought */
#endif

/* The edges. */
typedef Follower {
  unsigned posSeq : 4; /* 0: nothing was read */
  unsigned posId : 4;
  unsigned posInc : 2;
  unsigned lease : 2;
  bit cached;
  bit pull; /* an answer is on its way */
  unsigned pullLeft : 2;
  unsigned pullSeq : 4;
  unsigned pullId : 4;
  unsigned pullInc : 2;
  bit pullDrop; /* it names T, or says FLUSH */
  bit pullMore;
  bit take; /* an answer is on its way, and says that T lives */
  unsigned takeLeft : 2;
  unsigned takeSeq : 4;
  unsigned takeInc : 2;
#ifdef PUSH_LOSSY
  bit pushed; /* an invalidation on its way */
#endif
};
Follower at[EDGES];

#ifdef REUSE_IDS
#define NEWID(e) (1 + e)
#else
#define NEWID(e) (1 + e + 4 * epoch)
#endif
#define NAMED(id) ((id - 1) % 4)
#define SLOT(s) (4 * ((s) - 1))
#define ID(n, s) ((node[n].ids >> SLOT(s)) & 15)
#ifdef SAME_INCARNATION
#define NEWINC 1
#else
#define NEWINC (1 + epoch)
#endif

#define OPEN(n) (node[n].head && node[n].master && node[n].opened == node[n].replid)
#define SHUT(n) (node[n].master && !(node[n].head && node[n].opened == node[n].replid))
/* Whether a node answers to edges. */
#if defined(NO_FENCE)
#define ANSWERS(n) node[n].head
#elif defined(FENCE_ROLE_ONLY)
#define ANSWERS(n) (node[n].head && node[n].master)
#elif defined(FENCE_REPLICATION_ONLY)
#define ANSWERS(n) (node[n].head && node[n].opened == node[n].replid)
#else
#define ANSWERS(n) OPEN(n)
#endif
/* What a put may rest on: the seq that its issuer had read before, in this incarnation. */
#if defined(NO_SINCE)
#define SINCE(n) node[n].seq
#elif defined(SINCE_ANY_INCARNATION)
#define SINCE(n) sinceSeq
#else
#define SINCE(n) (sinceInc == node[n].inc -> sinceSeq : 0)
#endif
#define ALIVE(n) (node[n].rec && node[n].all <= node[n].born && node[n].floor <= node[n].born)

/* ---- witnesses: that what the promise forbids afterwards does happen before ---- */
#ifndef WITNESS
#define WITNESS 0
#endif
#define SEEN(w, condition) assert(WITNESS != w || !(condition))

/* ---- what the scripts and the other steps do ---- */

byte k; /* scratch of one step; always 0 between steps, so that it makes no states */
byte number;

inline append(n, e) {
  node[n].seq = node[n].seq + 1;
  assert(node[n].seq <= 8);
  node[n].ids = node[n].ids | (NEWID(e) << SLOT(node[n].seq))
}

/* What the next number of issuer i is for node n; 0: it has everything. */
#define HAS_T (mine[IA] == 1 && call != IDLE && call != FORGOTTEN)
#define HAS_C (mine[IA] == 1 && !expired)
#define NEXT_A(n) (HAS_C && node[n].done[IA] == 0 -> 1 : (HAS_T && node[n].done[IA] < 2 -> 2 : 0))
#ifdef NO_B
#define NEXT_B(n) 0
#else
#define NEXT_B(n) (node[n].done[IB] == 0 -> 1 : 0)
#endif
#define NEXT(n, i) (i == IA -> NEXT_A(n) : NEXT_B(n))
#define HAS(n, i) (node[n].jour[i] == mine[i])
#if defined(NO_REPLAY)
#define BROUGHT_IN(n, i) true
#elif defined(SLOW_VOTE)
#define BROUGHT_IN(n, i) know[i] == node[n].replid
#else
#define BROUGHT_IN(n, i) (HAS(n, i) && NEXT(n, i) == 0)
#endif
#define ALL_VOTED(n) (node[n].vote[IA] == node[n].replid VOTES node[n].vote[IB] == node[n].replid)
#ifdef ONE_VOTE
#define VOTES ||
#else
#define VOTES &&
#endif

#ifdef DEL_LATE
#define ROOM false /* the memory is full, and a script that does not begin with DEL is refused */
#else
#define ROOM true
#endif

inline revoke(n, i) {
  number = NEXT(n, i);
  node[n].done[i] = number;
  if
  :: i == IB -> append(n, B)
  :: i == IA && number == 1 -> append(n, C)
  :: i == IA && number == 2 ->
     append(n, T);
     if
     :: byClient -> node[n].floor = node[n].seq
     :: else ->
        node[n].rec = 0; node[n].born = 0;
#ifndef NO_TOMBSTONE
        node[n].tomb = 1
#endif
     fi;
     if :: call == CALLED -> answered() :: else fi;
#ifdef PUSH_LOSSY
     at[0].pushed = 1;
#endif
  fi;
  number = 0
}

/* The script's answer reaches the revoker: it waits for the replica, or sleeps. */
inline answered() {
#if defined(WAIT) && !defined(WAIT_ELSEWHERE)
  call = COPYING
#else
  rests()
#endif
}

inline rests() {
#ifdef NO_SLEEP
  call = ACKED
#else
  call = SLEEPS; sleep = L
#endif
}

inline reopen(n, ends) {
  if
  :: ends ->
     append(n, ALL);
#ifndef MISSING_KEEPS
     node[n].all = node[n].seq
#endif
  :: else
  fi;
  node[n].head = 1; node[n].opened = node[n].replid; node[n].inc = NEWINC;
  node[n].vote[IA] = 0; node[n].vote[IB] = 0;
#ifdef SLOW_VOTE
  know[IA] = 0; know[IB] = 0
#endif
}

inline copy(from, to) {
  node[to].head = node[from].head; node[to].seq = node[from].seq; node[to].ids = node[from].ids;
  node[to].opened = node[from].opened; node[to].inc = node[from].inc;
  node[to].all = node[from].all; node[to].floor = node[from].floor;
  node[to].rec = node[from].rec; node[to].born = node[from].born; node[to].tomb = node[from].tomb;
  for (k : 0 .. 1) {
    node[to].jour[k] = node[from].jour[k]; node[to].done[k] = node[from].done[k]; node[to].vote[k] = node[from].vote[k]
  }
  k = 0
}

inline erase(n) {
  node[n].head = 0; node[n].seq = 0; node[n].ids = 0; node[n].opened = 0; node[n].inc = 0;
  node[n].all = 0; node[n].floor = 0; node[n].rec = 0; node[n].born = 0; node[n].tomb = 0;
  for (k : 0 .. 1) { node[n].jour[k] = 0; node[n].done[k] = 0; node[n].vote[k] = 0 }
  k = 0
}

/* Whatever waited for an answer of the master waits no longer, and asks again. */
inline disaster() {
  epoch++;
  if :: call == COPYING -> call = CALLED :: else fi
}

/* ---- who does it ---- */

#define CALM (epoch < DISASTERS && node[0].master != node[1].master)

/* After the last disaster a node that is not the master answers to nobody and will not become one: it is forgotten. */
inline forget(n) {
#ifdef KEEP
  skip
#else
  if
  :: epoch == DISASTERS -> erase(n); node[n].replid = 0
  :: else
  fi
#endif
}

/* What happens to the two nodes; n is the one that is the master. */
inline fate(n) {
  if
  /* Replicate: the replica has caught up. */
  :: d_step { (node[n].master && !node[1 - n].master && node[1 - n].replid > 0) ->
       copy(n, 1 - n);
       node[1 - n].replid = node[n].replid;
       if :: call == COPYING && node[n].done[IA] == 2 -> rests() :: else fi }
  /* Promote: the replica becomes the master, with what it has. The old one is demoted, or cannot be reached (A2). */
  :: d_step { (node[n].master && CALM) ->
       disaster();
       node[1 - n].master = 1;
       node[1 - n].replid = 1 + epoch;
#ifndef SPLIT_BRAIN
       node[n].master = 0;
#endif
       forget(n) }
#ifndef PROMOTIONS_ONLY
  /* Restart: with all data; only the replication id is new. */
  :: d_step { (node[n].master && CALM) -> disaster(); node[n].replid = 1 + epoch; forget(1 - n) }
  /* Restore: it starts with what the backup has. */
  :: d_step { (node[n].master && CALM) -> disaster(); copy(1 - n, n); node[n].replid = 1 + epoch; forget(1 - n) }
  /* FlushAll: the replication id stays. */
  :: d_step { (node[n].master && CALM) -> disaster(); erase(n); forget(1 - n) }
#endif
  fi
}

/* Issuer i, as far as it is concerned with node n. */
inline worker(i, n) {
  if
  /* Work: one entry of the journal, into an open shard, or under a fence into a closed one. */
  :: d_step { (ROOM && OPEN(n) && HAS(n, i) && NEXT(n, i) > 0) -> revoke(n, i) }
#ifndef NO_REPLAY
  :: d_step { (ROOM && SHUT(n) && node[n].head && HAS(n, i) && NEXT(n, i) > 0) -> revoke(n, i) }
#ifdef SLOW_VOTE
  /* BroughtIn: the issuer has seen that a closed shard lacks nothing; it votes later. */
  :: d_step { (SHUT(n) && HAS(n, i) && NEXT(n, i) == 0 && know[i] != node[n].replid) -> know[i] = node[n].replid }
#endif
#endif
  /* Vote: that nothing is missing. A vote "gap" is as good as none here: OpenMissing may come at any time. */
  :: d_step { (SHUT(n) && BROUGHT_IN(n, i) && node[n].vote[i] != node[n].replid) -> node[n].vote[i] = node[n].replid }
#ifdef VOTE_BLIND
  :: d_step { (SHUT(n) && !HAS(n, i) && node[n].vote[i] != node[n].replid) -> node[n].vote[i] = node[n].replid }
#endif
  /* Enrol: in an open shard only; the whole journal is brought in. */
  :: d_step { (OPEN(n) && !HAS(n, i)) -> node[n].jour[i] = mine[i]; node[n].done[i] = 0 }
  /* Open: all have voted that nothing is missing. */
  :: d_step { (i == IA && SHUT(n) && node[n].head && ALL_VOTED(n)) -> reopen(n, false) }
  /* OpenMissing: without votes, or an empty store. What was issued before ends. */
  :: d_step { (i == IA && SHUT(n)) -> reopen(n, true) }
  /* Again: the answer was lost, or the entry was brought in by replay; the script says that the number is done. */
  :: d_step { (i == IA && call == CALLED && node[n].master && HAS(n, IA) && node[n].done[IA] == 2) ->
#ifdef WAIT_WITHOUT_WRITE
       rests()
#else
       answered()
#endif
     }
  fi
}

inline caller() {
  if
  /* Call: it is in the journal from here on. */
  :: d_step { (call == IDLE && minting > 0 && mine[IA] == 1) -> call = CALLED; byClient = 0 }
#ifdef MINT
  :: d_step { (call == IDLE && minting > 0) -> call = CALLED; byClient = 1 }
#endif
  /* Expire: the journal drops what names nothing alive. Before any disaster it makes no difference. */
  :: d_step { (epoch > 0 && !expired) -> expired = 1 }
#ifdef WAIT
  /* LoseAnswer: the connection broke, or the replica was too slow. */
  :: d_step { (call == COPYING) -> call = CALLED }
#endif
#ifdef LOSE_JOURNAL
  /* LoseJournal: the disk is replaced. Issuer A starts with an empty journal that has another id. */
  :: d_step { (call == ACKED && mine[IA] == 1) -> mine[IA] = 2 }
#endif
#ifdef LOSE_ENTRY
  /* LoseEntry: what was synced is not there after all (A7), under the same id. */
  :: d_step { (call == ACKED) -> call = FORGOTTEN }
#endif
  fi
}

/* One mint of T: what the grant rests on is looked at, and the record arrives at any time later, or never. */
inline mint(n) {
  if
  /* Since: */
  :: d_step { (minting == 0 && call == IDLE && OPEN(n)) -> minting = 1; sinceSeq = node[n].seq; sinceInc = node[n].inc }
  /* Put: refused under a tombstone, and under a floor that the issuer had not read. */
  :: d_step { (minting == 1 && OPEN(n)) ->
       k = SINCE(n);
       if
       :: node[n].tomb || node[n].floor > k || node[n].all > k
       :: else -> node[n].rec = 1; node[n].born = node[n].seq; SEEN(6, true)
       fi;
       k = 0; sinceSeq = 0; sinceInc = 0;
#ifdef PUT_AGAIN
       minting = 1
#else
       minting = 2
#endif
     }
  fi
}

#define USABLE(e) (at[e].cached && at[e].lease > 0)
#ifdef TAKE_FOREVER
#define FRESH(e) (at[e].take)
#else
#define FRESH(e) (at[e].take && at[e].takeLeft > 0)
#endif
#ifdef NO_SEQ_CHECK
#define LATEST(e) true
#else
#define LATEST(e) (at[e].takeSeq >= at[e].posSeq)
#endif

inline forgetPull(e) {
  at[e].pull = 0; at[e].pullLeft = 0; at[e].pullSeq = 0; at[e].pullId = 0; at[e].pullInc = 0;
  at[e].pullDrop = 0; at[e].pullMore = 0
}

inline forgetTake(e) {
  at[e].take = 0; at[e].takeLeft = 0; at[e].takeSeq = 0; at[e].takeInc = 0
}

/* The lease is counted from here. The edge counts from when it asked, which is earlier: what holds here, holds there. */
inline answerPull(e, n, to) {
  at[e].pull = 1; at[e].pullLeft = L;
  at[e].pullInc = node[n].inc;
  at[e].pullSeq = to;
  at[e].pullMore = (to < node[n].seq);
  at[e].pullId = ID(n, to);
  for (k : 1 .. 8) {
    if
    :: k > at[e].posSeq && k <= to && (NAMED(ID(n, k)) == T || NAMED(ID(n, k)) == ALL) -> at[e].pullDrop = 1
    :: else
    fi
  }
  k = 0
}

#define KNOWN(e, n) (at[e].posSeq > 0 && at[e].posSeq <= node[n].seq && ID(n, at[e].posSeq) == at[e].posId)

inline edge(e) {
  if
#ifdef PUSH_LOSSY
  /* Push: a message for each revocation, which may be lost, and a heartbeat. */
  :: d_step { (at[e].pushed) -> at[e].pushed = 0; at[e].cached = 0; at[e].posSeq = at[e].posSeq + 1 }
  :: d_step { (at[e].pushed) -> at[e].pushed = 0 }
  :: d_step { (OPEN(0) || OPEN(1)) -> at[e].lease = L }
#else
  /* ReceivePull: what it names first, then the position, then the lease. */
  :: d_step { (at[e].pull) ->
       if :: at[e].pullDrop -> at[e].cached = 0 :: else fi;
       at[e].posSeq = at[e].pullSeq; at[e].posId = at[e].pullId; at[e].posInc = at[e].pullInc;
#ifdef LEASE_FROM_REPLY
       at[e].pullLeft = L;
#endif
       if
#ifndef LEASE_ON_MORE
       :: at[e].pullMore
#endif
       :: else -> at[e].lease = at[e].pullLeft
       fi;
       forgetPull(e) }
  /* LosePull: the answer is late beyond patience. That a request is lost, needs no step. */
  :: d_step { (at[e].pull) -> forgetPull(e) }
#endif
  /* ReceiveTake: the answer is kept, or only good for the requests that wait for it. */
  :: d_step { (at[e].take) ->
       if
       :: LATEST(e) && at[e].takeInc == at[e].posInc -> at[e].cached = 1
       :: else
       fi;
       forgetTake(e) }
  /* LoseTake: as LosePull. */
  :: d_step { (at[e].take) -> forgetTake(e) }
  /* Decide: the request goes through. */
  :: d_step { (USABLE(e) || FRESH(e)) ->
       assert(call < ACKED);
       SEEN(1, USABLE(e));
       SEEN(2, FRESH(e) && at[e].lease == 0);
       SEEN(4, USABLE(e) && epoch > 0 && at[e].posInc > 1);
       SEEN(5, USABLE(e) && call == SLEEPS) }
  fi
}

/* Where the messages of edge e arrive: at any node that it can reach. */
inline network(e, n) {
  if
#ifndef PUSH_LOSSY
  /* Pull: from a position that is known here. */
  :: d_step { (!at[e].pull && ANSWERS(n) && KNOWN(e, n)) -> answerPull(e, n, node[n].seq) }
  /* PullPage: a page that is not the last one. */
  :: d_step { (!at[e].pull && ANSWERS(n) && KNOWN(e, n) && at[e].posSeq + 1 < node[n].seq) -> answerPull(e, n, at[e].posSeq + 1) }
  /* Flush: from a position that is not. */
  :: d_step { (!at[e].pull && ANSWERS(n) && !KNOWN(e, n)) ->
       answerPull(e, n, node[n].seq);
#ifndef NO_FLUSH
       at[e].pullDrop = 1
#endif
     }
#endif
  /* Take */
  :: d_step { (!at[e].take && ANSWERS(n)) ->
       if
       :: ALIVE(n) -> at[e].take = 1; at[e].takeLeft = L; at[e].takeSeq = node[n].seq; at[e].takeInc = node[n].inc
       :: else -> forgetTake(e)
       fi }
  fi
}

#if EDGES == 2
#define TIMED (TIMERS(0) || TIMERS(1) || sleep > 0)
#else
#define TIMED (TIMERS(0) || sleep > 0)
#endif
#define TIMERS(e) (at[e].lease > 0 || at[e].pullLeft > 0 || at[e].takeLeft > 0)
#define PASSES(t) t = (t > 0 -> t - 1 : 0)

/* The answer to whoever asked for the revocation. */
inline passed() {
  PASSES(sleep);
  if
  :: call == SLEEPS && sleep == 0 -> call = ACKED; SEEN(3, true); SEEN(7, epoch > 0)
  :: else
  fi
}

inline clock() {
  if
  /* Tick */
  :: d_step { (TIMED) ->
       for (k : 0 .. EDGES - 1) { PASSES(at[k].lease); PASSES(at[k].pullLeft); PASSES(at[k].takeLeft) }
       k = 0;
       passed() }
#ifdef SUSPEND
  /* Suspend: the edge's clock stands still (A4). */
  :: d_step { (sleep > 0) -> passed() }
#endif
  fi
}

/* Nobody can let T through any more, now or later: the rest of such a run is of no interest. */
#if EDGES == 2
#define GONE (minting == 2 && !node[0].rec && !node[1].rec && !HELD(0) && !HELD(1))
#else
#define GONE (minting == 2 && !node[0].rec && !node[1].rec && !HELD(0))
#endif
#define HELD(e) (at[e].cached || at[e].take)

init {
  d_step {
    /* Both nodes have the same: the shard was opened once, T was put, both issuers are enrolled. */
    node[0].master = 1;
    for (k : 0 .. 1) {
      node[k].replid = 1; node[k].head = 1; node[k].seq = 1; node[k].opened = 1; node[k].inc = 1; node[k].all = 1;
      node[k].ids = NEWID(ALL);
      node[k].jour[IA] = 1; node[k].jour[IB] = 1;
#ifndef MINT
      node[k].rec = 1; node[k].born = 1
#endif
    }
    mine[IA] = 1; mine[IB] = 1;
#ifndef MINT
    minting = 2;
#endif
#ifdef NO_C
    expired = 1;
#endif
#ifdef PUSH_LOSSY
    at[0].posSeq = 1; at[0].posInc = 1;
#endif
  }
  do
  :: atomic { (!GONE) -> if
  :: fate(0)
  :: fate(1)
  :: worker(IA, 0)
  :: worker(IA, 1)
  :: worker(IB, 0)
  :: worker(IB, 1)
  :: caller()
#ifdef MINT
  :: mint(0)
  :: mint(1)
#endif
  :: edge(0)
  :: network(0, 0)
  :: network(0, 1)
#if EDGES == 2
  :: edge(1)
  :: network(1, 0)
  :: network(1, 1)
#endif
  :: clock()
  fi }
  od
}
