package issuer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tenants are two clients with some tokens each.
func (k *kit) tenants(t testing.TB) (shops, singles []string) {
	t.Helper()
	for range 3 {
		shops = append(shops, k.token(t, shop()).AccessToken)
	}
	for range 2 {
		singles = append(singles, k.token(t, shop("client_id", "single")).AccessToken)
	}
	return shops, singles
}

func (k *kit) alive(t testing.TB, tokens ...string) (n int) {
	t.Helper()
	for _, token := range tokens {
		if _, _, err := k.edge.Swap(t.Context(), token, exchange.Strict); err == nil {
			n++
		}
	}
	return n
}

// inspect reads one grant.
func (k *kit) inspect(t testing.TB, jti string) listedGrant {
	t.Helper()
	w := k.operate(t, "GET", "/v1/tokens/"+jti, "")
	var g listedGrant
	if err := json.Unmarshal(w.Body.Bytes(), &g); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", jti, w.Code, w.Body)
	}
	return g
}

// Each kind ends what it names, all of it and nothing else, and says how much; a dry run says the same and ends nothing.
func TestOperatorsRevokeByEachName(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name                       string
		order                      func(k *kit, g listedGrant) string // of one of shop's tokens
		kind                       revocation.Kind
		found, shopsLeft, allTotal int
		singlesLeft                int
	}{
		{"jti", func(_ *kit, g listedGrant) string { return `"jti":"` + g.JTI + `"` }, revocation.Token, 1, 2, 5, 2},
		{"client", func(*kit, listedGrant) string { return `"client":"shop"` }, revocation.Client, 3, 0, 5, 2},
		{"subject", func(*kit, listedGrant) string { return `"subject":"client:shop"` }, revocation.Subject, 3, 0, 5, 2},
		{"subject handle", func(_ *kit, g listedGrant) string { return `"subject_handle":"` + g.Subject + `"` }, revocation.Subject, 3, 0, 5, 2},
		{"family, by a jti in it", func(_ *kit, g listedGrant) string { return `"family":"` + g.JTI + `"` }, revocation.Family, 1, 2, 5, 2},
		{"family, by its handle", func(_ *kit, g listedGrant) string { return `"family":"` + g.Family + `"` }, revocation.Family, 1, 2, 5, 2},
		{"moment", func(*kit, listedGrant) string { return `"issued_before":"now"` }, revocation.Before, 5, 0, 5, 0},
		{"key", func(_ *kit, g listedGrant) string { return `"key":"` + g.KeyID + `"` }, revocation.Key, 5, 0, 5, 0},
	} {
		k := newKit(t)
		shops, singles := k.tenants(t)
		order := row.order(k, k.inspect(t, k.jti(t, shops[0])))

		dry := k.order(t, "{"+order+`,"dry_run":true}`)
		if calls := k.ended.said(); len(calls) > 0 || k.alive(t, append(shops, singles...)...) != 5 {
			t.Errorf("%s: a dry run asked the revoker %v, or ended something", row.name, calls)
		}
		if !dry.DryRun || dry.Found != row.found || !dry.Complete || dry.Kind != row.kind || dry.Number != 0 || dry.Positions != nil {
			t.Errorf("%s: dry run says %+v, want %d found, all counted", row.name, dry, row.found)
		}

		done := k.order(t, "{"+order+`,"reason":"laptop stolen"}`)
		if got := k.alive(t, shops...); got != row.shopsLeft {
			t.Errorf("%s: %d of shop's tokens are alive, want %d", row.name, got, row.shopsLeft)
		}
		if got := k.alive(t, singles...); got != row.singlesLeft {
			t.Errorf("%s: %d of single's tokens are alive, want %d", row.name, got, row.singlesLeft)
		}
		if done.DryRun || done.Kind != row.kind || done.Name != dry.Name || done.Number != 1 || len(done.Positions) != 1 || done.Positions[0] == 0 {
			t.Errorf("%s: %+v, want number 1 and a position", row.name, done)
		}
		// A bulk count runs beside the revocation and may see less; it never says that it saw all when it did not.
		if done.Complete && done.Found != row.found {
			t.Errorf("%s: found %d and says that is all, want %d", row.name, done.Found, row.found)
		}
		if again := k.order(t, "{"+order+`,"force":true,"dry_run":true}`); again.Found != 0 {
			t.Errorf("%s: a dry run afterwards finds %d live grants, want none", row.name, again.Found)
		}
	}
}

// R6: a family is everything derived from one grant, however often; it ends as a whole, also what is derived later.
func TestR6_FamilyEndsWithAllThatIsDerived(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reference := k.token(t, shop()).AccessToken
	parent := k.inspect(t, k.jti(t, reference))
	derived := func(name string) error {
		return k.store.Put(t.Context(), store.Record{
			JTI: name, Blob: []byte("x"), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute), KeyID: parent.KeyID,
			Client: "another-client", Family: parent.Family, Subject: parent.Subject,
		}, store.Quota{Grants: 10, Bytes: 1 << 20})
	}
	child, grandchild, later := strings.Repeat("c", 32), strings.Repeat("d", 32), strings.Repeat("e", 32)
	for _, name := range []string{child, grandchild} {
		if err := derived(name); err != nil {
			t.Fatal(err)
		}
	}
	// By the youngest, whose own jti does not name the family.
	if a := k.order(t, `{"family":"`+grandchild+`"}`); a.Name != parent.Family {
		t.Errorf("the family of a derived grant is %s, want %s", a.Name, parent.Family)
	}
	for _, name := range []string{parent.JTI, child, grandchild} {
		if _, err := k.store.Take(t.Context(), name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want %v", name, err, store.ErrNotFound)
		}
	}
	if err := derived(later); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("derived after the revocation: %v, want %v", err, store.ErrRevoked)
	}
	// The family of a grant that is gone is named by its jti, as it was when it began.
	k.order(t, `{"jti":"`+parent.JTI+`"}`)
	if a := k.order(t, `{"family":"`+parent.JTI+`"}`); a.Name != parent.Family {
		t.Errorf("the family of a grant that is gone is %s, want %s", a.Name, parent.Family)
	}
}

func TestOrdersAreReadStrictly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	jti := k.jti(t, token)
	inAMinute := time.Now().Add(time.Minute).Format(time.RFC3339)
	for name, row := range map[string]struct{ body, want string }{
		"empty":                    {``, "not valid JSON"},
		"not an object":            {`["jti"]`, "not a JSON object"},
		"nothing named":            {`{}`, "Nothing is named"},
		"nothing named but why":    {`{"reason":"x","dry_run":true}`, "Nothing is named"},
		"two names":                {`{"client":"shop","jti":"` + jti + `"}`, "in one way"},
		"one name twice":           {`{"client":"shop","client":"single"}`, "twice"},
		"twice, by escapes":        {`{"client":"shop","cl\u0069ent":"single"}`, "twice"},
		"other case":               {`{"Client":"shop"}`, `"Client" is not known`},
		"misspelt dry_run":         {`{"client":"shop","dryrun":true}`, `"dryrun" is not known`},
		"dry_run as a string":      {`{"client":"shop","dry_run":"true"}`, "true or false"},
		"dry_run null":             {`{"client":"shop","dry_run":null}`, "true or false"},
		"a number":                 {`{"issued_before":1700000000}`, "must be a string"},
		"an object":                {`{"client":{"id":"shop"}}`, "must be a string"},
		"an array":                 {`{"client":["shop"]}`, "must be a string"},
		"an empty name":            {`{"client":""}`, "not empty"},
		"something behind it":      {`{"client":"shop"}{}`, "not valid JSON"},
		"a comma too many":         {`{"client":"shop",}`, "not valid JSON"},
		"broken UTF-8":             {"{\"client\":\"sh\xffop\"}", "not valid JSON"},
		"a reason of two lines":    {`{"client":"shop","reason":"a\nb"}`, "one line"},
		"a reason of a null":       {`{"client":"shop","reason":"a\u0000b"}`, "Unicode Cc and Cf"},
		"a reason that turns over": {`{"client":"shop","reason":"a\u202eb"}`, "Unicode Cc and Cf"},
		"a reason with a joiner":   {`{"client":"shop","reason":"a\u200db"}`, "Unicode Cc and Cf"},
		"a reason of two lines, u": {`{"client":"shop","reason":"a\u2028b"}`, "one line"},
		"a reason without end":     {`{"client":"shop","reason":"` + strings.Repeat("ü", maxReason+1) + `"}`, "one line"},
		"a short jti":              {`{"jti":"` + jti[1:] + `"}`, "32 characters"},
		"a jti in capitals":        {`{"jti":"` + strings.ToUpper(jti) + `"}`, "32 characters"},
		"a reference for a jti":    {`{"jti":"` + token + `"}`, "does not belong here"},
		"a client with a space":    {`{"client":"sh op"}`, "printable ASCII"},
		"a client without end":     {`{"client":"` + strings.Repeat("x", clients.MaxID+1) + `"}`, "printable ASCII"},
		"a family of odd length":   {`{"family":"abc"}`, "22 characters"},
		"a family of odd letters":  {`{"family":"abcdefghijklmnopqrstu!"}`, "22 characters"},
		"a subject with a control": {`{"subject":"a\u0000b"}`, "exactly as the JWT's sub"},
		"a subject without end":    {`{"subject":"` + strings.Repeat("x", maxSubject+1) + `"}`, "exactly as the JWT's sub"},
		"a subject for a handle":   {`{"subject_handle":"client:shop"}`, "22 characters"},
		"a day":                    {`{"issued_before":"2026-11-23"}`, "must be a time like"},
		"a time before all":        {`{"issued_before":"1901-11-23T00:00:00Z"}`, "must be a time like"},
		"a time to come":           {`{"issued_before":"` + inAMinute + `"}`, "in the future"},
		"a key of odd length":      {`{"key":"abc"}`, "43 characters"},
	} {
		w := k.operate(t, "POST", "/v1/revocations", row.body)
		wantFault(t, name, w, 400, "invalid_request")
		if !strings.Contains(detail(t, w.Body.Bytes()), row.want) {
			t.Errorf("%s: %s, want %q in it", name, w.Body, row.want)
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: a reference comes back: %s", name, w.Body)
		}
	}
	wantFault(t, "a body without end", k.operate(t, "POST", "/v1/revocations", strings.Repeat(" ", maxOrder+1)), 413, "too_large")
	unknown := k.operate(t, "POST", "/v1/revocations", `{"key":"`+strings.Repeat("A", keyIDSize)+`"}`)
	wantFault(t, "a key of no ring", unknown, 400, "unknown_key")
	if !strings.Contains(unknown.Body.String(), k.activeKey(t)+" (active)") {
		t.Errorf("a key of no ring: %s, want the ring's own named", unknown.Body)
	}
	if calls := k.ended.said(); len(calls) > 0 {
		t.Errorf("the revoker was asked %v", calls)
	}
	if a := k.order(t, `{"key":"`+strings.Repeat("A", keyIDSize)+`","force":true}`); !a.Withdrawn || !k.lives(t, token) {
		t.Errorf("a key of no ring, with force: %+v", a)
	}
}

func detail(t testing.TB, body []byte) string {
	t.Helper()
	var p struct{ Detail string }
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	return p.Detail
}

// A browser's form cannot revoke: it cannot send this type without asking first.
func TestOrdersAreJSON(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"} {
		w := k.operateAs(t, kind, `{"client":"shop"}`)
		wantFault(t, kind, w, 400, "invalid_request")
	}
	if w := k.operateAs(t, "application/json; charset=utf-8", `{"client":"shop"}`); w.Code != http.StatusOK {
		t.Errorf("JSON with a charset: %d %s", w.Code, w.Body)
	}
}

func TestMomentsAreRoundedUp(t *testing.T) {
	t.Parallel()
	now := testNow.Add(500 * time.Millisecond)
	for value, want := range map[string]time.Time{
		"now":                            testNow.Add(time.Second),
		"2026-11-23T12:00:00Z":           testNow,
		"2026-11-23T12:00:00.000000001Z": testNow.Add(time.Second),
		"2026-11-23T13:00:00+01:00":      testNow,
		"2026-11-23T12:00:02Z":           testNow.Add(2 * time.Second),
		"1970-01-01T00:00:00Z":           time.Unix(0, 0),
	} {
		got, wrong := moment(value, now)
		if wrong != nil || got != strconv.FormatInt(want.Unix(), 10) {
			t.Errorf("%s: %s (%v), want %d", value, got, wrong, want.Unix())
		}
	}
	for _, value := range []string{"2026-11-23T12:00:03Z", "", "NOW", "1700000000", "2026-11-23 12:00:00"} {
		if got, wrong := moment(value, now); wrong == nil {
			t.Errorf("%s: %s, want a refusal", value, got)
		}
	}
}

// A bulk revocation is kept for as long as any issuer's tokens may live, and longer.
func TestBulkRevocationsAreKeptForTheLongestLife(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, life := range []time.Duration{10 * time.Minute, 3 * time.Hour} {
		longer := buildKit(t, k.store, func(c *Config) { c.TTL = life })
		if err := errors.Join(longer.keeper.Look(t.Context()), k.keeper.Look(t.Context())); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		k.order(t, `{"client":"shop"}`)
		got := k.ended.orders[len(k.ended.orders)-1].Until
		if least := before.Add(life).Add(keepLonger - time.Second); got.Before(least) || got.After(least.Add(time.Minute)) {
			t.Errorf("another issuer's tokens live for %v: kept until %v, want %v or little more", life, got, least)
		}
	}
}

// An operator who hangs up has asked all the same.
func TestOperatorsMayHangUp(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/revocations", strings.NewReader(`{"client":"shop"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	operation(k.postRevocation).ServeHTTP(w, r)
	if w.Code != http.StatusOK || k.lives(t, token) {
		t.Errorf("%d %s, lives %v", w.Code, w.Body, k.lives(t, token))
	}
}

// No revocation waits for a count.
func TestCountsDelayNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		token := k.token(t, shop()).AccessToken
		k.listing = stuck{k.listing}
		began := time.Now()
		if a := k.order(t, `{"client":"shop"}`); a.Complete || k.lives(t, token) || time.Since(began) > 0 {
			t.Errorf("with a store that lists nothing: %+v after %v, lives %v", a, time.Since(began), k.lives(t, token))
		}
		// A dry run has all its time, and no more.
		if a := k.order(t, `{"client":"shop","dry_run":true}`); a.Complete || time.Since(began) != countTime {
			t.Errorf("dry run: %+v after %v, want an incomplete count after %v", a, time.Since(began), countTime)
		}
	})
}

// stuck is a listing that answers nobody.
type stuck struct{ Listing }

func (stuck) List(ctx context.Context, _ int, _ uint64, _ int) ([]revocation.Listed, uint64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

// away is a listing without a store.
type away struct{ Listing }

func (away) List(context.Context, int, uint64, int) ([]revocation.Listed, uint64, error) {
	return nil, 0, store.ErrUnavailable
}

func (away) Inspect(context.Context, string) (revocation.Listed, error) {
	return revocation.Listed{}, store.ErrUnavailable
}

func (away) Seen(context.Context) ([]revocation.Seen, error) { return nil, store.ErrUnavailable }

func TestOperationsWithoutTheStore(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	jti := k.jti(t, k.token(t, shop()).AccessToken)
	k.listing = away{k.listing}
	for target, body := range map[string]string{
		"/v1/tokens": "", "/v1/tokens/" + jti: "", "/v1/edges": "",
		"/v1/revocations":   `{"jti":"` + jti + `","dry_run":true}`,
		"/v1/revocations?2": `{"client":"shop","dry_run":true}`,
		"/v1/revocations?3": `{"family":"` + jti + `"}`,
	} {
		method := "GET"
		if body != "" {
			method = "POST"
		}
		w := k.operate(t, method, target, body)
		wantFault(t, target+body, w, 503, "temporarily_unavailable")
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", target)
		}
	}
	// What can be revoked without looking is revoked.
	if a := k.order(t, `{"client":"shop"}`); a.Complete || a.Edges != nil || a.Number != 1 {
		t.Errorf("client: %+v", a)
	}
	// And what is not in force is never a 200.
	for cause, code := range map[error]string{revocation.ErrNotDurable: "not_in_force", errors.New("journal: disk full"): "temporarily_unavailable"} {
		k.ended.fail(fmt.Errorf("revoke: %w", cause))
		wantFault(t, cause.Error(), k.operate(t, "POST", "/v1/revocations", `{"client":"shop"}`), 503, code)
	}
}

// TestOperatorsRevokeWithoutAKeyRing: a damaged ring stops nothing, for an incident does not wait.
func TestOperatorsRevokeWithoutAKeyRing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	jti := k.jti(t, k.token(t, shop()).AccessToken)
	g := k.inspect(t, jti)
	if err := k.store.SwapState(t.Context(), "key-ring", 1, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	bare := buildKit(t, k.store)
	if err := bare.keeper.Look(t.Context()); err == nil {
		t.Fatal("the ring is damaged, and was loaded")
	}
	gone := strings.Repeat("0", 32)
	for _, row := range [][2]string{
		{`"family":"` + jti + `"`, "revoke family " + g.Family}, // first: it is asked for
		{`"family":"` + g.Family + `"`, "revoke family " + g.Family},
		{`"jti":"` + jti + `"`, "revoke token " + jti},
		{`"subject_handle":"` + g.Subject + `"`, "revoke subject " + g.Subject},
		{`"issued_before":"2000-01-01T00:00:00Z"`, "revoke before 946684800"},
	} {
		order, calls := row[0], row[1]
		bare.ended.said()
		if w := bare.operate(t, "POST", "/v1/revocations", "{"+order+"}"); w.Code != http.StatusOK || !cmp.Equal(bare.ended.said(), []string{calls}) {
			t.Errorf("%s: %d %s, want 200 after %q", order, w.Code, w.Body, calls)
		}
		// What it does not know of others' tokens it takes to be long.
		if until := bare.ended.orders[len(bare.ended.orders)-1].Until; time.Until(until) < unknownLife {
			t.Errorf("%s: kept for %v, want %v", order, time.Until(until), unknownLife)
		}
	}
	// A key ends at the edges; that the ring still has it is said.
	bare.ended.said()
	wantFault(t, "key", bare.operate(t, "POST", "/v1/revocations", `{"key":"`+g.KeyID+`"}`), 503, "key_not_withdrawn")
	if got, want := bare.ended.said(), []string{"revoke key " + g.KeyID}; !cmp.Equal(got, want) {
		t.Errorf("key: %v, want %v", got, want)
	}
	for _, order := range []string{`"client":"shop"`, `"subject":"client:shop"`, `"family":"` + gone + `"`} {
		if w := bare.operate(t, "POST", "/v1/revocations", "{"+order+"}"); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s, want 200: no handle comes from the ring", order, w.Code, w.Body)
		}
	}
	bare.ended.said()
	wantFault(t, "still checked", bare.operate(t, "POST", "/v1/revocations", `{"client":"sh op"}`), 400, "invalid_request")
	if w := bare.operate(t, "GET", "/v1/tokens", ""); w.Code != http.StatusOK {
		t.Errorf("tokens: %d %s, want a list without names", w.Code, w.Body)
	}
}

// Who asked, for what and why stands in the log; a subject by its handle alone.
func TestOrdersAreWrittenDown(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *Config) { c.Caller = func(*http.Request) string { return "alice" } })
	a := k.order(t, `{"client":"shop","reason":"laptop stolen, ticket 4711"}`)
	want := map[string]any{
		"level": "INFO", "msg": "revoked by an operator", "caller": "alice", "request_id": "request-1", "by": "client", "client": "shop",
		"kind": "client", "name": a.Name, "reason": "laptop stolen, ticket 4711", "found": float64(a.Found), "number": 1.0,
	}
	if diff := cmp.Diff(want, k.lastLine(t), ignoreTimes()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	k.order(t, `{"subject":"user:zoe@example.com","dry_run":true}`)
	if line := k.lastLine(t); line["msg"] != "revocation rehearsed by an operator" || strings.Contains(k.log.String(), "zoe") {
		t.Errorf("rehearsal: %v, or the subject is in the log", line)
	}
	k.ended.fail(revocation.ErrNotDurable)
	k.operate(t, "POST", "/v1/revocations", `{"client":"shop"}`)
	if line := k.lastLine(t); line["level"] != "ERROR" || line["outcome"] != "not_in_force" || line["caller"] != "alice" {
		t.Errorf("failed: %v", line)
	}
}

func (k *kit) lastLine(t testing.TB) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(k.log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func ignoreTimes() cmp.Option {
	return cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return slices.Contains([]string{"time", "duration_ms"}, name) })
}

// A client and a subject are found by their names, whoever issued to them: an issuer that signs by another key ring, as
// after a loss of the store, and one that has the sealing key in another place, as while it is being replaced.
func TestNamesDoNotDependOnRingOrOrderOfKeys(t *testing.T) {
	t.Parallel()
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	with := func(keys ...[]byte) *kit {
		rows, err := sealing.New(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return newKit(t, func(c *Config) { c.Sealing = rows })
	}
	one, other := with(first), with(first) // each has a store, and so a ring, of its own
	if one.activeKey(t) == other.activeKey(t) {
		t.Fatal("both have one ring: this would show nothing")
	}
	for _, kind := range []string{"client", "subject"} {
		was := one.names().handle(kind, "client:shop")
		if got := other.names().handle(kind, "client:shop"); got != was {
			t.Errorf("%s: two rings name it %s and %s", kind, was, got)
		}
		changed := with(second, first)
		order := `{"` + kind + `":"client:shop"}`
		changed.order(t, order)
		want := []string{"revoke " + kind + " " + changed.names().handle(kind, "client:shop"), "revoke " + kind + " " + was}
		if got := changed.ended.said(); !cmp.Equal(got, want) || want[0] == want[1] {
			t.Errorf("%s, with a new sealing key before the old one: %v, want %v", order, got, want)
		}
	}
}
