package ginverifier_test

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/coatcheck/coatcheck/verifier/ginverifier"
	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
)

const (
	issuer   = "https://auth.example.com"
	audience = "orders-api"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // before any router: Gin prints its routes otherwise
	m.Run()
}

// testKey is a key for tests only: its seed is all zeros.
func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func testKeys() verifier.StaticKeys {
	return verifier.StaticKeys{"test": {ID: "test", Algorithm: "EdDSA", Public: testKey().Public()}}
}

func testVerifier(t *testing.T) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(issuer, audience, verifier.Config{Keys: testKeys()})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testToken(scope string) string {
	now := time.Now().Unix()
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(`{"typ":"at+jwt","alg":"EdDSA","kid":"test"}`)) + "." + b64(fmt.Appendf(nil,
		`{"iss":%q,"aud":%q,"sub":"client:shop","client_id":"shop","jti":"1","iat":%d,"exp":%d,"scope":%q}`,
		issuer, audience, now, now+60, scope))
	signature, err := testKey().Sign(nil, []byte(input), crypto.Hash(0))
	if err != nil {
		panic(err)
	}
	return input + "." + b64(signature)
}

func serve(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	for _, field := range authorization {
		r.Header.Add("Authorization", field)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The net/http middleware is the oracle: status, header and body are the same for every kind of answer.
func TestRequireAnswersAsNetHTTPDoes(t *testing.T) {
	t.Parallel()
	v := testVerifier(t)
	router := gin.New()
	router.GET("/orders", ginverifier.Require(v, "orders:read"), func(c *gin.Context) {
		claims, ok := ginverifier.Claims(c)
		if !ok {
			t.Error("Claims behind Require = false")
			return
		}
		c.Header("Content-Type", "text/plain")
		_, _ = fmt.Fprint(c.Writer, claims.ClientID)
	})
	plain := v.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := verifier.FromContext(r.Context())
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprint(w, claims.ClientID)
	}))
	good := "Bearer " + testToken("orders:read")
	for name, c := range map[string]struct {
		fields []string
		status int
	}{
		"good":       {[]string{good}, 200},
		"none":       {nil, 401},
		"two fields": {[]string{good, good}, 400},
		"junk":       {[]string{"Bearer junk"}, 401},
		"no scope":   {[]string{"Bearer " + testToken("")}, 403},
	} {
		got, want := serve(router, c.fields...), serve(plain, c.fields...)
		if got.Code != c.status || want.Code != c.status {
			t.Errorf("%s: gin %d, net/http %d, want %d", name, got.Code, want.Code, c.status)
		}
		if diff := cmp.Diff(want.Header(), got.Header()); diff != "" {
			t.Errorf("%s: header (-net/http +gin):\n%s", name, diff)
		}
		if got.Body.String() != want.Body.String() {
			t.Errorf("%s: body %q, net/http has %q", name, got.Body, want.Body)
		}
	}
}

func TestOnRefusedHearsOfGinRefusals(t *testing.T) {
	t.Parallel()
	var heard []error
	v, err := verifier.New(issuer, audience, verifier.Config{Keys: testKeys(), OnRefused: func(_ *http.Request, err error) { heard = append(heard, err) }})
	if err != nil {
		t.Fatal(err)
	}
	router := gin.New()
	router.GET("/orders", ginverifier.Require(v, "orders:read"), func(*gin.Context) {})
	serve(router, "Bearer "+testToken("orders:read"))
	serve(router, "Bearer "+testToken(""))
	if len(heard) != 1 || !errors.Is(heard[0], verifier.ErrScope) {
		t.Errorf("of an accepted and a refused request was heard %v, want one %v", heard, verifier.ErrScope)
	}
}

func TestClaimsOfAnOpenRoute(t *testing.T) {
	t.Parallel()
	router := gin.New()
	router.GET("/orders", func(c *gin.Context) {
		if claims, ok := ginverifier.Claims(c); ok {
			t.Errorf("Claims without Require = %v, want none", claims)
		}
	})
	serve(router, "Bearer "+testToken("orders:read"))
}

func TestNoLaterHandlerRunsWhenRefused(t *testing.T) {
	t.Parallel()
	router := gin.New()
	router.GET("/orders", ginverifier.Require(testVerifier(t)), func(*gin.Context) {
		t.Error("the handler ran behind a refusal")
	})
	if w := serve(router); w.Code != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", w.Code)
	}
}
