package issuer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// An argon2id comparison takes tens of milliseconds and mebibytes, and anybody can ask for one. So that one attacker locks
// out nobody else:
const (
	slowWait = 2 * time.Second // for a turn
	// Comparisons that run or wait: one address leaves the others room in front of a client, and one client in front of all.
	maxSlowPerAddress = 4
	maxSlowPerClient  = 16
	maxSlow           = 64
	// Wrong secrets that one address may try against slow hashes: so many at once, and then one in three seconds.
	slowFailures     = 20
	slowFailuresRate = 1.0 / 3
	maxRemembered    = 4096 // clients whose last right secret is known; 32 bytes each
)

// slowGate makes argon2id comparisons, within bounds. They are made for a client that exists and for an id that does not
// alike, so that nothing about it tells which. Who comes with the secret that was right the last time does not wait: he is
// known by a MAC of it, under a key of this process that is nowhere else.
type slowGate struct {
	places   chan struct{} // one for each comparison that may run at a time
	failures *pace[netip.Addr]
	key      hidden[[32]byte]

	mu        sync.Mutex         // guards all below
	waiting   int                // or running
	clients   map[string]int     // of those, by the id that was claimed
	addresses map[netip.Addr]int // and by where they come from
	right     map[string][32]byte
}

func newSlowGate() *slowGate {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return &slowGate{
		// Half of the cores: minting goes on while somebody tries passwords.
		places:   make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		failures: newPace[netip.Addr](slowFailuresRate, slowFailures),
		key:      hide(key),
		clients:  map[string]int{}, addresses: map[netip.Addr]int{}, right: map[string][32]byte{},
	}
}

// compare compares a secret that was sent for an id; own: the hash is that of this client, and not a decoy. An address that is
// not known (not valid) counts for nobody.
func (g *slowGate) compare(ctx context.Context, from netip.Addr, id string, h clients.SecretHash, own bool, secret hidden[string]) (bool, *refusal) {
	key := g.key()
	mac := h.MAC(key[:], secret)
	if g.remembers(id, mac) {
		return true, nil
	}
	if from.IsValid() {
		from = network(from)
		if wait := g.failures.wait(from, time.Now()); wait > 0 {
			return false, &refusal{outcome: rateReached, why: "too many wrong secrets from this address: wait and ask again", retry: wait}
		}
	}
	if no := g.enter(from, id); no != nil {
		return false, no
	}
	defer g.leave(from, id)
	turn := time.NewTimer(slowWait)
	defer turn.Stop()
	select {
	case g.places <- struct{}{}:
	case <-turn.C:
		return false, unavailableNow("too many clients authenticate at the same time", nil)
	case <-ctx.Done():
		return false, unavailableNow("too many clients authenticate at the same time", ctx.Err())
	}
	matched := h.Matches(secret)
	<-g.places
	if matched && own {
		g.remember(id, mac)
	}
	if !matched && from.IsValid() {
		g.failures.take(from, time.Now())
	}
	return matched, nil
}

// enter counts who waits, and sends away who is one too many: an address or a client by its own doing (429), anybody when
// all is taken (503).
func (g *slowGate) enter(from netip.Addr, id string) *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case from.IsValid() && g.addresses[from] >= maxSlowPerAddress:
		return &refusal{outcome: rateReached, why: "too many clients authenticate from this address at the same time", retry: time.Second}
	case g.clients[id] >= maxSlowPerClient:
		return &refusal{outcome: rateReached, why: "this client authenticates too often at the same time", retry: time.Second}
	case g.waiting >= maxSlow:
		return unavailableNow("too many clients authenticate at the same time", nil)
	}
	g.waiting++
	g.clients[id]++
	g.addresses[from]++
	return nil
}

func (g *slowGate) leave(from netip.Addr, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.clients[id]--; g.clients[id] == 0 {
		delete(g.clients, id)
	}
	if g.addresses[from]--; g.addresses[from] == 0 {
		delete(g.addresses, from)
	}
}

func (g *slowGate) remembers(id string, mac [32]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.right[id]
	return ok && subtle.ConstantTimeCompare(last[:], mac[:]) == 1
}

// remember notes the secret that was right; the hash is part of the MAC, so a client's next secret begins anew.
func (g *slowGate) remember(id string, mac [32]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.right[id]; !known && len(g.right) >= maxRemembered {
		for other := range g.right {
			delete(g.right, other)
			break
		}
	}
	g.right[id] = mac
}
