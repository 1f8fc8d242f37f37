package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// order is a request to revoke: what, by one of its names.
type order struct {
	by     string // the member that named it
	value  string
	dryRun bool
	force  bool   // also a key that is not in the ring
	reason string // for the log
}

// orderNames are the members of which exactly one is given.
func orderNames() []string {
	return []string{"jti", "client", "family", "subject", "subject_handle", "issued_before", "key"}
}

const (
	maxOrder  = 4 << 10 // bytes of the body
	maxReason = 200     // characters
)

func readOrder(w http.ResponseWriter, r *http.Request) (order, *fault) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return order{}, wrongRequest("Send the body as application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return order{}, &fault{code: "too_large", detail: "The body is over 4 KiB."}
	}
	if err != nil {
		return order{}, wrongRequest("The body could not be read to its end.")
	}
	return parseOrder(body)
}

func parseOrder(body []byte) (order, *fault) {
	var o order
	members := map[string]any{"dry_run": &o.dryRun, "force": &o.force, "reason": &o.reason}
	names := orderNames()
	values := make([]string, len(names))
	for n, name := range names {
		members[name] = &values[n]
	}
	if err := readFlat(body, members); err != nil {
		return order{}, wrongRequest("The body is not what is asked for: %v.", err)
	}
	for n, v := range values {
		switch {
		case v == "":
		case o.by != "":
			return order{}, wrongRequest("%s and %s are both given: name what to revoke in one way.", o.by, names[n])
		default:
			o.by, o.value = names[n], v
		}
	}
	if o.by == "" {
		return order{}, wrongRequest("Nothing is named: give one of %s.", strings.Join(names, ", "))
	}
	if utf8.RuneCountInString(o.reason) > maxReason || strings.ContainsFunc(o.reason, unseen) {
		return order{}, wrongRequest("reason must be one line of at most %d characters, all of them visible: no control and no format characters (Unicode Cc and Cf).", maxReason)
	}
	return o, nil
}

// unseen characters change how a line of the log looks to a person and not what it says: bidi overrides, for one, let it
// read backwards.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// readFlat reads a JSON object of strings and booleans into members, by exact name, each once. encoding/json into a
// struct would take DRY_RUN for dry_run, and the last of two.
func readFlat(body []byte, members map[string]any) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return errors.New("it is not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	var seen []string
	for d.More() {
		name, value, err := readMember(d)
		if err != nil {
			return err
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("%q is given twice", name)
		}
		seen = append(seen, name)
		switch into := members[name].(type) {
		case *string:
			text, ok := value.(string)
			if !ok || text == "" {
				return fmt.Errorf("%q must be a string that is not empty", name)
			}
			*into = text
		case *bool:
			yes, ok := value.(bool)
			if !ok {
				return fmt.Errorf("%q must be true or false", name)
			}
			*into = yes
		default:
			return fmt.Errorf("%q is not known here", name)
		}
	}
	return nil
}

func readMember(d *json.Decoder) (name string, value any, err error) {
	token, err := d.Token()
	if err != nil {
		return "", nil, errors.New("it is not valid JSON")
	}
	name, _ = token.(string) // between braces it is always one
	if value, err = d.Token(); err != nil {
		return "", nil, errors.New("it is not valid JSON")
	}
	return name, value, nil
}
