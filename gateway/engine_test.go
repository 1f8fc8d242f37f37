package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

// Gin on its own believes every peer's X-Forwarded-For. Ours is taken off before a handler runs; this is the second
// lock: what ClientIP tells an embedder's handler is the connection's own address.
func TestGinTrustsNoProxy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "X-Appengine-Remote-Addr", "Fly-Client-IP"} {
		var got string
		engine := newEngine(func(*gin.Context) {})
		engine.Use(func(c *gin.Context) { got = c.ClientIP() })
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/x", nil)
		r.RemoteAddr = "203.0.113.9:1"
		r.Header.Set(name, "10.0.0.1")
		engine.ServeHTTP(httptest.NewRecorder(), r)
		if got != "203.0.113.9" {
			t.Errorf("%s is believed: ClientIP is %q, want the peer's", name, got)
		}
	}
}
