package processtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
)

// firstIssuer is the name of the issuer that the lab's configuration is for.
const firstIssuer = "issuer-1"

// Instance is how one process of a lab differs from the first of its role. The zero value does not differ.
type Instance struct {
	Name  string // of an issuer, one of Lab.Issuers; default issuer-1. Each has a journal of its own
	Addr  string // where it listens; default Lab.IssuerAddr or Lab.EdgeAddr
	Redis string // address of its way to Redis, such as a Proxy's; default straight
	// MaxFile is how large a file it may write, in blocks of 512 bytes: a disk that is full beyond it. 0: any.
	MaxFile int
}

// StartIssuer starts an issuer without waiting for anything.
func (l *Lab) StartIssuer(args ...string) *Process {
	l.t.Helper()
	return l.StartIssuerAs(Instance{}, args...)
}

// StartEdge starts an edge without waiting for anything.
func (l *Lab) StartEdge(args ...string) *Process {
	l.t.Helper()
	return l.StartEdgeAs(Instance{}, args...)
}

// StartIssuerAs starts one more issuer, or the first on another way.
func (l *Lab) StartIssuerAs(i Instance, args ...string) *Process {
	l.t.Helper()
	environ := i.environ("COATCHECK_LISTEN_ISSUER")
	if i.Name != "" {
		environ = append(environ, "COATCHECK_REVOCATION_NAME="+i.Name, "COATCHECK_REVOCATION_JOURNAL="+l.Journal(i.Name))
	}
	return l.start(i, environ, append([]string{"run", "-c", l.Config, "--role", "issuer"}, args...))
}

// StartEdgeAs starts one more edge, or the first on another way.
func (l *Lab) StartEdgeAs(i Instance, args ...string) *Process {
	l.t.Helper()
	return l.start(i, i.environ("COATCHECK_LISTEN_GATEWAY"), append([]string{"run", "-c", l.Config, "--role", "gateway"}, args...))
}

func (l *Lab) start(i Instance, environ, args []string) *Process {
	l.t.Helper()
	if i.MaxFile == 0 {
		return Start(l.t, environ, args...)
	}
	limited := fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, i.MaxFile) // POSIX counts blocks of 512 bytes
	return start(l.t, environ, "sh", append([]string{"-c", limited, Binary(l.t)}, args...)...)
}

// environ overrides what the file says: one file serves all processes.
func (i Instance) environ(listener string) []string {
	var environ []string
	if i.Addr != "" {
		environ = append(environ, listener+"="+i.Addr)
	}
	if i.Redis != "" {
		environ = append(environ, "COATCHECK_STORE_REDIS_URL=redis://"+i.Redis+"/0")
	}
	return environ
}

// Journal is the path of an issuer's journal.
func (l *Lab) Journal(issuer string) string { return filepath.Join(l.Dir, issuer+".journal") }

// Admin asks the admin API of an issuer as the operator who may revoke; body is sent as JSON, nil: none.
func (l *Lab) Admin(c *Client, issuer *Process, method, path string, body any) Answer {
	l.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + l.AdminToken}}
	text := ""
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			l.t.Fatal(err)
		}
		text = string(data)
		header.Set("Content-Type", "application/json")
	}
	return c.Do(method, "http://"+issuer.Address("admin")+path, header, text)
}
