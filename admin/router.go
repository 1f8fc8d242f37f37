package admin

import (
	"net/http"
	"path"
	"slices"
	"strings"
)

// router finds the route of a request.
type router struct {
	mux *http.ServeMux // by path alone: it sets the path's values, methods are compared here
}

func newRouter(routes []Route) *router {
	paths := map[string][]Route{}
	for _, r := range routes {
		paths[r.Path] = append(paths[r.Path], r)
	}
	t := &router{http.NewServeMux()}
	for path, all := range paths {
		t.mux.Handle(path, methods(all))
	}
	t.mux.Handle("/", methods(nil))
	return t
}

// serve answers a request of a known token. A path that http.ServeMux would clean, and answer with a redirect, is
// nobody's.
func (t *router) serve(c *call, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/") || path.Clean(r.URL.Path) != r.URL.Path || r.URL.RawPath != "" {
		c.refuse(noSuchPath)
		return
	}
	t.mux.ServeHTTP(c, r)
}

// methods are all routes of one path; none for a path that nobody offers.
type methods []Route

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := w.(*call) // as serve has handed it to the mux
	if len(m) == 0 {
		c.refuse(noSuchPath)
		return
	}
	c.pattern = m[0].Path
	n := slices.IndexFunc(m, func(o Route) bool {
		return o.Method == r.Method || o.Method == http.MethodGet && r.Method == http.MethodHead
	})
	switch {
	case n < 0:
		var allowed []string
		for _, o := range m {
			allowed = append(allowed, o.Method)
		}
		slices.Sort(allowed)
		c.Header().Set("Allow", strings.Join(allowed, ", "))
		c.refuse(methodNotAllowed)
	case !caller(r).may(m[n].Scope):
		c.lacks(m[n].Scope)
	case c.writtenDown(r):
		m[n].Handle.ServeHTTP(c, r)
	}
}
