package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// A service protects its routes by naming the issuer, itself, and the scopes that each route needs.
func ExampleVerifier_Require() {
	v, err := verifier.New("https://auth.example.com", "orders-api", verifier.Config{
		Keys: exampleKeys(), // leave this out: keys are then discovered from the issuer
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verifier.FromContext(r.Context())
		fmt.Fprintf(w, "orders of %s", claims.ClientID)
	})))
	mux.Handle("DELETE /orders", v.Require("orders:delete")(http.NotFoundHandler()))

	for _, request := range []*http.Request{
		exampleRequest("GET", exampleToken()),
		exampleRequest("DELETE", exampleToken()),
		exampleRequest("GET", "stolen.from.somewhere"),
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, request)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 orders of partner-shop
	// 403 {"error":"insufficient_scope","error_description":"the token lacks a scope"}
	//
	// 401 {"error":"invalid_token","error_description":"the token is not valid here"}
}

// Whoever is not behind net/http verifies by hand; claims of one's own are decoded into one's own type.
func ExampleVerifier_Verify() {
	v, err := verifier.New("https://auth.example.com", "orders-api", verifier.Config{Keys: exampleKeys()})
	if err != nil {
		log.Fatal(err)
	}
	claims, err := v.Verify(context.Background(), exampleToken())
	switch {
	case errors.Is(err, verifier.ErrKeysUnavailable):
		log.Fatal("try again later: ", err)
	case err != nil:
		log.Fatal("refuse: ", err)
	}
	var own struct {
		Tenant string `json:"tenant"`
	}
	if err := claims.Decode(&own); err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims.Subject, claims.HasScope("orders:read"), own.Tenant)
	// Output: client:partner-shop true acme
}

// exampleKeys, exampleToken and exampleRequest stand for the issuer and the edge.
func exampleKeys() verifier.KeySource {
	keys, err := verifier.ParseJWKS([]byte(keySet(testKeys().es)))
	if err != nil {
		log.Fatal(err)
	}
	return keys
}

func exampleToken() string {
	now := time.Now().Unix()
	return testKeys().es.access("iat", fmt.Sprint(now), "exp", fmt.Sprint(now+600))
}

func exampleRequest(method, token string) *http.Request {
	r := httptest.NewRequest(method, "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}
