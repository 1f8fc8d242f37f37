package gateway

// outcome is what logs and metrics say of a visit. Each field is from a closed set: names of the configuration and
// constants of this package and package exchange; nothing that a client can choose.
type outcome struct {
	route    string // "none": none matched
	decision string
	reason   string
	cache    string
}

const (
	decisionAllow   = "allow"   // it went upstream
	decisionDeny    = "deny"    // the request is to blame
	decisionError   = "error"   // we or an upstream are
	decisionHandler = "handler" // a handler of Use has answered; the status says how
)

// Reasons beside the names of the table of problems and the reasons of package exchange.
const (
	reasonSwapped  = "swapped"
	reasonPublic   = "public"
	reasonLastHop  = "last_hop" // OPTIONS with Max-Forwards: 0
	reasonAnswered = "answered" // decisionHandler has no other
	reasonAudience = "audience" // the grant has no share for the route's audience
	// An answer has been cut (revoked and expired are such reasons too, see exchange.Watch).
	reasonLeaseLost     = "lease_lost"     // nobody knows whether its grant is revoked
	reasonStreamExpired = "stream_expired" // it was a stream on a public route
)

func (v *visit) outcome() outcome {
	o := outcome{route: "none", cache: string(v.source)}
	if v.route != nil {
		o.route = v.route.Name
	}
	switch {
	case v.refused != nil && (v.refused.code.problem().status >= 500):
		o.decision, o.reason = decisionError, v.refused.why()
	case v.refused != nil && v.allowed:
		o.decision, o.reason = decisionAllow, v.refused.why() // the client's end of it failed, or its grant has ended
	case v.refused != nil:
		o.decision, o.reason = decisionDeny, v.refused.why()
	case !v.allowed:
		o.decision, o.reason = decisionHandler, reasonAnswered
	case v.lastHop:
		o.decision, o.reason = decisionAllow, reasonLastHop
	case v.share == nil:
		o.decision, o.reason = decisionAllow, reasonPublic
	default:
		o.decision, o.reason = decisionAllow, reasonSwapped
	}
	return o
}
