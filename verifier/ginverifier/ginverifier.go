// Package ginverifier protects Gin routes with a verifier.Verifier. It decides nothing of its own: the same
// requests pass, and the same answers are given, as with the verifier's net/http middleware.
//
//	router.GET("/orders", ginverifier.Require(v, "orders:read"), listOrders)
package ginverifier

import (
	"github.com/coatcheck/coatcheck/verifier"
	"github.com/gin-gonic/gin"
)

// Require verifies the request's bearer token and its scopes. A refused request is answered (RFC 6750) and no
// later handler runs; an accepted one carries its claims, for Claims and for verifier.FromContext.
func Require(v *verifier.Verifier, scopes ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		claims, err := v.Authenticate(c.Request, scopes...)
		if err != nil {
			c.Abort()
			v.WriteError(c.Writer, err)
			return
		}
		c.Request = c.Request.WithContext(verifier.NewContext(c.Request.Context(), claims))
		c.Next()
	}
}

// Claims returns the claims that Require left; false on a route that it does not protect.
func Claims(c *gin.Context) (*verifier.Claims, bool) {
	return verifier.FromContext(c.Request.Context())
}
