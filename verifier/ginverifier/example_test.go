package ginverifier_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/coatcheck/coatcheck/verifier/ginverifier"
	"github.com/gin-gonic/gin"
)

func ExampleRequire() {
	v, err := verifier.New("https://auth.example.com", "orders-api", verifier.Config{
		Keys: testKeys(), // leave this out: keys are then discovered from the issuer
	})
	if err != nil {
		log.Fatal(err)
	}

	router := gin.New()
	router.GET("/orders", ginverifier.Require(v, "orders:read"), func(c *gin.Context) {
		claims, _ := ginverifier.Claims(c)
		c.String(http.StatusOK, "orders of %s", claims.ClientID)
	})

	request := httptest.NewRequest(http.MethodGet, "/orders", nil)
	request.Header.Set("Authorization", "Bearer "+testToken("orders:read"))
	w := httptest.NewRecorder()
	router.ServeHTTP(w, request)
	fmt.Println(w.Code, w.Body)
	// Output: 200 orders of shop
}
