package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// clientAnswer is one client, with its secret if it has just been made: it is shown this once.
type clientAnswer struct {
	Client clients.Details `json:"client"`
	Secret string          `json:"secret,omitempty"`
}

// clientList is a page, by id.
type clientList struct {
	Clients []clients.Details `json:"clients"`
	Next    string            `json:"next,omitempty"` // to be brought back as after
}

// Bounds of what is sent about clients.
const (
	maxDraft     = 16 << 10 // bytes of a body
	defaultGrace = 24 * time.Hour
	maxGrace     = 30 * 24 * time.Hour
)

// clientOperations are there where clients can be added.
func (i *Issuer) clientOperations() []Operation {
	if !i.register.clients.Changes() {
		return nil
	}
	return []Operation{
		{"POST", "/v1/clients", "clients:write", operation(i.postClient)},
		{"GET", "/v1/clients", "clients:read", operation(i.getClients)},
		{"GET", "/v1/clients/{id}", "clients:read", operation(i.getClient)},
		{"POST", "/v1/clients/{id}/rotate", "clients:write", operation(i.rotateClient)},
		{"POST", "/v1/clients/{id}/enable", "clients:write", operation(i.enableClient)},
		{"POST", "/v1/clients/{id}/disable", "clients:write", operation(i.disableClient)},
		{"DELETE", "/v1/clients/{id}", "clients:write", operation(i.deleteClient)},
	}
}

// postClient adds one.
func (i *Issuer) postClient(w http.ResponseWriter, r *http.Request) (any, *fault) {
	body, wrong := readJSONBody(w, r)
	if wrong != nil {
		return nil, wrong
	}
	draft, err := clients.ReadDraft(body)
	if err == nil && !plainID(draft.ID) {
		err = errors.New("id needs 1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
	}
	if err != nil {
		return nil, wrongRequest("The body is not a client: %s.", clientMend(err))
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	var answer clientAnswer
	answer.Client, answer.Secret, err = i.register.clients.Create(ctx, draft)
	return i.changed(r, "create", draft.ID, answer, err)
}

// getClients lists, by id.
func (i *Issuer) getClients(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	after, limit, wrong := readClientQuery(r.URL.RawQuery)
	if wrong != nil {
		return nil, wrong
	}
	all, err := i.register.clients.List(r.Context())
	if err != nil {
		return nil, storeAway(err)
	}
	list := clientList{Clients: []clients.Details{}}
	for _, d := range all {
		switch {
		case d.ID <= after:
		case len(list.Clients) == limit:
			list.Next = list.Clients[limit-1].ID
			return list, nil
		default:
			list.Clients = append(list.Clients, d)
		}
	}
	return list, nil
}

func readClientQuery(raw string) (after string, limit int, wrong *fault) {
	limit = defaultLimit
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", 0, wrongRequest("The query is not well-formed.")
	}
	for name, all := range values {
		if len(all) != 1 || all[0] == "" {
			return "", 0, wrongRequest("%q must be given once, and not empty.", name)
		}
		switch name {
		case "after":
			after = all[0]
		case "limit":
			if limit, err = strconv.Atoi(all[0]); err != nil || limit < 1 || limit > maxLimit {
				return "", 0, wrongRequest("limit must be 1 to %d.", maxLimit)
			}
		default:
			return "", 0, wrongRequest("%q is not known here; give limit or after.", name)
		}
	}
	return after, limit, nil
}

// getClient shows one.
func (i *Issuer) getClient(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	d, err := i.register.clients.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, clientFault(err)
	}
	return clientAnswer{Client: d}, nil
}

// rotateClient gives it another secret, beside the one that it has.
func (i *Issuer) rotateClient(w http.ResponseWriter, r *http.Request) (any, *fault) {
	grace, wrong := readGrace(w, r)
	if wrong != nil {
		return nil, wrong
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	var answer clientAnswer
	var err error
	answer.Client, answer.Secret, err = i.register.clients.Rotate(ctx, r.PathValue("id"), grace)
	return i.changed(r, "rotate", r.PathValue("id"), answer, err)
}

func readGrace(w http.ResponseWriter, r *http.Request) (time.Duration, *fault) {
	if r.ContentLength == 0 {
		return defaultGrace, nil
	}
	body, wrong := readJSONBody(w, r)
	if wrong != nil {
		return 0, wrong
	}
	text := defaultGrace.String()
	if err := readFlat(body, map[string]any{"grace": &text}); err != nil {
		return 0, wrongRequest("The body is not what is asked for: %v.", err)
	}
	grace, err := time.ParseDuration(text)
	if err != nil || grace < 0 || grace > maxGrace {
		return 0, wrongRequest("grace must be how long the old secret stays good, such as 24h: 0s to %v.", maxGrace)
	}
	return grace, nil
}

func (i *Issuer) enableClient(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	ctx, cancel := changeContext(r)
	defer cancel()
	d, err := i.register.clients.Set(ctx, r.PathValue("id"), clients.Enabled)
	return i.changed(r, "enable", r.PathValue("id"), clientAnswer{Client: d}, err)
}

func (i *Issuer) disableClient(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	return i.endClient(r, "disable", func(ctx context.Context, id string) (clients.Details, error) {
		return i.register.clients.Set(ctx, id, clients.Disabled)
	})
}

func (i *Issuer) deleteClient(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	return i.endClient(r, "delete", i.register.clients.Delete)
}

// endClient lets a client in no more, and then revokes what it holds, in this order:
//
//  1. the register says so;
//  2. after its lease no issuer lets the client in, whether it has read that or not;
//  3. what the client holds is revoked. A grant that is still being made was begun before this, and is refused.
func (i *Issuer) endClient(r *http.Request, action string, change func(context.Context, string) (clients.Details, error)) (any, *fault) {
	id := r.PathValue("id")
	ctx, cancel := changeContext(r)
	defer cancel()
	d, err := change(ctx, id)
	if err != nil {
		return i.changed(r, action, id, nil, err)
	}
	lapsed := time.NewTimer(clients.Lease)
	defer lapsed.Stop()
	select {
	case <-lapsed.C:
		err = i.revokeClient(ctx, id)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		err = &notRevokedError{err}
	}
	return i.changed(r, action, id, clientAnswer{Client: d}, err)
}

func (i *Issuer) revokeClient(ctx context.Context, id string) error {
	n, o := i.names(), order{by: "client", value: id}
	named, wrong := n.revocation(ctx, o)
	if wrong != nil {
		return errors.New(wrong.detail)
	}
	_, err := i.revoker.Revoke(ctx, append(n.others(o, named), named)...)
	return err
}

// notRevokedError: the client is not let in, but what it holds may be alive.
type notRevokedError struct{ cause error }

func (e *notRevokedError) Error() string { return e.cause.Error() }
func (e *notRevokedError) Unwrap() error { return e.cause }

// changed tells the log and the auditor of a change, and makes the answer.
func (i *Issuer) changed(r *http.Request, action, id string, answer any, err error) (any, *fault) {
	level, message := slog.LevelInfo, "client changed by an operator"
	attrs := []slog.Attr{
		slog.String("caller", i.caller(r)), slog.String("request_id", requestID(r)), slog.String("action", action), slog.String("client", id),
	}
	if err == nil {
		i.logger.LogAttrs(r.Context(), level, message, attrs...)
		i.trail.Note("client_"+action, attrs...)
		return answer, nil
	}
	wrong := clientFault(err)
	if wrong.status() >= http.StatusInternalServerError {
		level, message = slog.LevelError, "change of a client failed"
		attrs = append(attrs, slog.String("outcome", wrong.code), slog.String("error", err.Error()))
		i.logger.LogAttrs(r.Context(), level, message, attrs...)
		i.trail.Note("client_"+action+"_refused", attrs...)
	}
	return nil, wrong
}

// clientFault says what an operator can do about an error of the register.
func clientFault(err error) *fault {
	var notRevoked *notRevokedError
	switch {
	case errors.As(err, &notRevoked):
		return &fault{
			code: "not_in_force", cause: err, retry: retryUnavailable,
			detail: "The client is let in no more, but what it holds could not be revoked: take it for alive. Ask again for the same.",
		}
	case errors.Is(err, clients.ErrRefused):
		return wrongRequest("The body is not a client: %s.", clientMend(err))
	case errors.Is(err, clients.ErrNotFound):
		return &fault{code: "not_found", detail: "There is no client of this id. `coatcheck client list` shows those that there are."}
	case errors.Is(err, clients.ErrExists):
		return &fault{code: "conflict", detail: "There is a client of this id already. Choose another id, or delete that one first."}
	case errors.Is(err, clients.ErrFixed):
		return &fault{code: "conflict", detail: "The client of this id is one of the configuration file. Change it there, and restart the issuers one by one."}
	case errors.Is(err, clients.ErrPublic):
		return &fault{code: "conflict", detail: "The client is public: it has no secret to rotate."}
	case errors.Is(err, clients.ErrFull):
		return &fault{code: "conflict", detail: "There are " + strconv.Itoa(clients.MaxAdded) + " clients already, as many as there may be. Delete one first."}
	case errors.Is(err, clients.ErrQuiet):
		return &fault{
			code: "temporarily_unavailable", cause: err, retry: retryUnavailable,
			detail: "The store lost the clients, and they were written back a moment ago. Ask again in five seconds.",
		}
	}
	return &fault{
		code: "temporarily_unavailable", cause: err, retry: retryUnavailable,
		detail: "It cannot be told whether the change was made; /readyz of this issuer says what is wrong. Look with GET, and ask again.",
	}
}

// clientMend are the words of an error without the prefixes of the code.
func clientMend(err error) string {
	text := strings.TrimPrefix(err.Error(), clients.ErrRefused.Error()+": ")
	return strings.ReplaceAll(strings.TrimSuffix(text, "."), "\n", "; ")
}

// changeContext lets what was begun come to its end although the caller hangs up.
func changeContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), clients.Lease+revokeTimeout)
}

// readJSONBody reads a bounded body that says that it is JSON.
func readJSONBody(w http.ResponseWriter, r *http.Request) ([]byte, *fault) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, wrongRequest("Send the body as application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDraft))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, &fault{code: "too_large", detail: "The body is over 16 KiB."}
	}
	if err != nil || !json.Valid(body) {
		return nil, wrongRequest("The body is not valid JSON.")
	}
	return body, nil
}

// plainID: an id that has one spelling in a path.
func plainID(id string) bool {
	return clients.ValidID(id) && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._~-", c)
	}) && strings.Trim(id, ".") != ""
}
