package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/coatcheck/coatcheck/verifier"
)

// demoAnswer is what a demo service says about one request. It shows what reaches a service; a real one would
// keep it to itself.
type demoAnswer struct {
	Service  string         `json:"service"`
	Method   string         `json:"method"`
	Path     string         `json:"path"`
	Audience string         `json:"aud"`
	Scope    string         `json:"scope"`
	JTI      string         `json:"jti"`
	ClientID string         `json:"client_id"`
	Claims   map[string]any `json:"claims"` // of the JWT that the edge put in the reference's place
}

// newDemo is a small service that verifies its JWTs as every internal service should: by the published keys, for
// its own audience and no other.
func newDemo(name, issuer, audience string) (http.Handler, error) {
	v, err := verifier.New(issuer, audience, verifier.Config{})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", v.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verifier.FromContext(r.Context()) // Require put them there
		a := demoAnswer{
			Service: name, Method: r.Method, Path: r.URL.Path,
			Audience: strings.Join(claims.Audience, " "), Scope: strings.Join(claims.Scopes, " "), JTI: claims.ID, ClientID: claims.ClientID,
		}
		if err := claims.Decode(&a.Claims); err != nil {
			http.Error(w, "the claims do not decode", http.StatusInternalServerError)
			return
		}
		answer(w, a)
	})))
	mux.HandleFunc("GET /about", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"service": name, "about": "a public route: no reference needed, no JWT made"})
	})
	return mux, nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client has gone
}
