package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/gin-gonic/gin"
)

// The gateway as a library: a gin handler of one's own runs on every request, after the reference was taken off it
// and before anything is decided.
func ExampleEdge_Use() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "tenant "+r.Header.Get("X-Tenant"))
	}))
	defer service.Close()
	target, _ := url.Parse(service.URL)

	table, err := routes.New([]routes.Route{{Name: "docs", Match: "GET /docs/{rest...}", Upstream: "docs", Public: true}})
	if err != nil {
		fmt.Println(err)
		return
	}
	edge, err := gateway.New(gateway.Config{
		Table:     table,
		Upstreams: map[string]gateway.Upstream{"docs": {Targets: []*url.URL{target}}},
		Swapper:   failing{}, // an *exchange.Exchange; this table has only a public route
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	edge.Use(func(c *gin.Context) {
		c.Request.Header.Set("X-Tenant", "acme")
		fmt.Println("Authorization seen by the handler:", len(c.Request.Header["Authorization"]))
	})

	front := httptest.NewUnstartedServer(edge)
	front.Config = gateway.Server(edge)
	front.Start()
	defer front.Close()

	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, front.URL+"/docs/start", nil)
	r.Header.Set("Authorization", "Bearer some-reference")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	fmt.Print(answer.StatusCode, " ", string(body))
	// Output:
	// Authorization seen by the handler: 0
	// 200 tenant acme
}
