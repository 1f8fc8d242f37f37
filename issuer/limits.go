package issuer

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Bounds of a header, on every path. The server that the handler is put in bounds its bytes altogether.
const (
	maxFields  = 100     // lines
	maxCareful = 4       // lines of each field that decides something
	maxLine    = 8 << 10 // bytes of each line of such a field
)

// decisive are the fields that this package reads.
func decisive() []string { return []string{"Authorization", "Accept", "Content-Type", "If-None-Match"} }

// limits is what callers may do here, on all paths together. Addresses are counted before anything else is looked at.
// Clients are counted once they have proved who they are, and asked about before: so who has reached his measure costs no
// comparison, and nobody uses up the measure of somebody else whose id he knows.
type limits struct {
	addresses *pace[netip.Addr]
	clients   *pace[measured]
	turned    metric.Int64Counter
}

// measured is whose measure is used: a client, and of public clients, which anybody can say that he is, each address.
type measured struct {
	client string
	from   netip.Addr
}

func newLimits(c Config, m metric.Meter) (limits, error) {
	turned, err := m.Int64Counter("coatcheck_issuer_turned_away",
		metric.WithDescription("Requests that were answered before anything of them was looked at, by reason."))
	return limits{newPace[netip.Addr](c.AddressRate, c.AddressBurst), newPace[measured](c.ClientRate, c.ClientBurst), turned}, err
}

// arrive looks at where a request comes from, and at how much of a header it has. Such refusals are counted and not logged:
// the log would be what a flood fills.
func (l limits) arrive(r *http.Request, from netip.Addr) *refusal {
	no := checkHeader(r.Header)
	if from.IsValid() && no == nil {
		if wait := l.addresses.take(network(from), time.Now()); wait > 0 {
			no = &refusal{outcome: rateReached, why: "too many requests from this address: wait and ask again", retry: wait}
		}
	}
	if no != nil {
		l.turned.Add(r.Context(), 1, metric.WithAttributes(attribute.String("outcome", string(no.outcome))))
	}
	return no
}

// checkHeader bounds what is read of a header.
func checkHeader(h http.Header) *refusal {
	lines := 0
	for _, values := range h {
		lines += len(values)
	}
	for _, name := range decisive() {
		for _, line := range h[name] {
			if len(line) > maxLine {
				return refuse(headerTooLarge, "a header field is longer than 8 KiB")
			}
		}
		if len(h[name]) > maxCareful {
			return refuse(headerTooLarge, "a header field is there too often")
		}
	}
	if lines > maxFields {
		return refuse(headerTooLarge, "more than 100 header lines")
	}
	return nil
}

// ask looks whether a client has reached its measure, before anything is compared for it.
func (l limits) ask(known *clients.Known, from netip.Addr, now time.Time) *refusal {
	if known == nil {
		return nil
	}
	return tooFast(l.clients.wait(measuredAs(known, from), now))
}

// enter counts a request of a client that has said who it is.
func (l limits) enter(known *clients.Known, from netip.Addr, now time.Time) *refusal {
	return tooFast(l.clients.take(measuredAs(known, from), now))
}

func tooFast(wait time.Duration) *refusal {
	if wait <= 0 {
		return nil
	}
	return &refusal{outcome: rateReached, why: "this client asks too fast: wait and ask again", retry: wait}
}

func measuredAs(known *clients.Known, from netip.Addr) measured {
	if known.Public && from.IsValid() {
		return measured{known.ID, network(from)}
	}
	return measured{client: known.ID}
}

// peerOf is the other end of the connection; not valid: the listener has no addresses.
func peerOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap()
}

// network is what one party can hold of addresses: one of IPv4, a /64 of IPv6.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	return netip.PrefixFrom(a, 64).Masked().Addr()
}
