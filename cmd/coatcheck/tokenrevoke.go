package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	adminWithin    = time.Minute     // for one request to the admin API; the issuer gives up sooner, and says so
	maxAdminAnswer = 4 << 20         // bytes of an answer: a page of 1,000 grants has a tenth
	sayWaiting     = 1 * time.Second // a wait that is longer is told
)

// order is what the admin API is asked to revoke; exactly one of the names is given.
type order struct {
	JTI           string `json:"jti,omitempty"`
	Client        string `json:"client,omitempty"`
	Family        string `json:"family,omitempty"`
	Subject       string `json:"subject,omitempty"`
	SubjectHandle string `json:"subject_handle,omitempty"`
	IssuedBefore  string `json:"issued_before,omitempty"`
	Key           string `json:"key,omitempty"`
	DryRun        bool   `json:"dry_run,omitempty"`
	Force         bool   `json:"force,omitempty"`
	Reason        string `json:"reason,omitempty"`
}

// revoked is the issuer's answer.
type revoked struct {
	Kind      string     `json:"kind"`
	Name      string     `json:"name"`
	DryRun    bool       `json:"dry_run"`
	Found     int        `json:"found"`
	Complete  bool       `json:"complete"` // nothing was left out of Found
	Number    uint64     `json:"number,omitempty"`
	Positions []uint64   `json:"positions,omitempty"` // of it in the log, by shard; 0: not concerned
	Withdrawn bool       `json:"withdrawn,omitempty"` // a key
	Edges     []seenEdge `json:"edges,omitempty"`
	TookMS    float64    `json:"took_ms"`
}

// seenEdge is an edge that told of itself within the last minute.
type seenEdge struct {
	Edge      string `json:"edge"`
	SeenMSAgo int64  `json:"seen_ms_ago"`
	Past      *bool  `json:"past,omitempty"`
}

func newTokenRevoke() *cobra.Command {
	var api adminFlags
	var o order
	var referenceFile string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "End one grant, or all of a family, client, subject, time or signing key",
		Long: `End what one of the flags names. When the command returns 0, no edge lets it through any
more: the issuer has written it down, has told the store, and has waited until no edge can
still be using what it knew before (one lease, half a second unless configured).

Of a --reference-file the jti is derived here; the reference is not sent. What ended is
refused; clients may ask for new tokens. Exit 2: what was asked for is done, but nothing
was found by that name. Exit 69: not in force yet, so ask again.`,
		Example: `  coatcheck token revoke --jti 3f0c8d52b1e94a67a0c5d1e2f3a4b5c6        as a service's log names it
  coatcheck token revoke --reference-file leaked.txt
  pbpaste | coatcheck token revoke --reference-file -
  coatcheck token revoke --client partner-shop --dry-run               how many would it be?
  coatcheck token revoke --client partner-shop --reason "contract ended"
  coatcheck token revoke --subject alice@example.com                   as the JWT's sub has it
  coatcheck token revoke --issued-before 2026-11-23T14:00:00Z          or 15m (that long ago), or now
  coatcheck token revoke --key 9xJt…                                   all that a signing key signed`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.JTI, "jti", "", "one token, by its jti")
	flags.StringVar(&referenceFile, "reference-file", "", "one token, by a file with its reference; - is standard input")
	flags.StringVar(&o.Client, "client", "", "all that a client holds now, by its id")
	flags.StringVar(&o.Family, "family", "", "all that comes from one grant, by the family's handle or the jti of a token in it")
	flags.StringVar(&o.Subject, "subject", "", "all of a subject that is alive now, by the JWT's sub")
	flags.StringVar(&o.SubjectHandle, "subject-handle", "", "the same, by the handle that JWTs and logs have")
	flags.StringVar(&o.IssuedBefore, "issued-before", "", "all that was issued before a time: 2026-11-23T14:00:00Z, 15m ago as 15m, or now")
	flags.StringVar(&o.Key, "key", "", "all that a signing key has signed, for ever, by its kid; no issuer signs with it any more")
	flags.BoolVar(&o.Force, "force", false, "with --key: also a key that is not in the key ring")
	flags.BoolVar(&o.DryRun, "dry-run", false, "count what would end, and end nothing")
	flags.StringVar(&o.Reason, "reason", "", "why, for the issuer's log")
	api.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if err := o.complete(referenceFile, cmd.InOrStdin()); err != nil {
			return err
		}
		return o.send(cmd.Context(), api, cmd.OutOrStdout(), cmd.ErrOrStderr())
	})
	return cmd
}

// complete turns what people write into what the API takes.
func (o *order) complete(referenceFile string, stdin io.Reader) error {
	given := 0
	for _, name := range []string{o.JTI, o.Client, o.Family, o.Subject, o.SubjectHandle, o.IssuedBefore, o.Key, referenceFile} {
		if name != "" {
			given++
		}
	}
	if given != 1 {
		return &exitError{exitUsage, errors.New("name what to end in one way: --jti, --reference-file, --client, --family, --subject, --subject-handle, --issued-before or --key")}
	}
	if ago, err := time.ParseDuration(o.IssuedBefore); err == nil {
		o.IssuedBefore = before(time.Now(), ago).Format(time.RFC3339Nano)
	}
	if referenceFile == "" {
		return nil
	}
	var err error
	o.JTI, err = referenceJTI(referenceFile, stdin)
	return err
}

// before is that long ago: in whole seconds, as people say it, the next one, so that nothing is left out that was meant.
func before(now time.Time, ago time.Duration) time.Time {
	if ago >= time.Second {
		now = now.Add(time.Second - 1).Truncate(time.Second)
	}
	return now.Add(-ago).UTC()
}

// send asks, says that it waits when it does, and prints what was done.
func (o *order) send(ctx context.Context, api adminFlags, stdout, stderr io.Writer) error {
	op, err := newOperator(api)
	if err != nil {
		return err
	}
	waiting := time.AfterFunc(sayWaiting, func() {
		_, _ = fmt.Fprintln(stderr, "waiting until no edge can be using what it knew before …") // for people; nothing is lost without it
	})
	var done revoked
	err = op.ask(ctx, "POST", "/v1/revocations", nil, o, &done)
	waiting.Stop()
	if err != nil {
		return err
	}
	if err := emit(stdout, *api.format, done.text(o), done); err != nil {
		return err
	}
	if done.Found == 0 && done.Complete {
		return &exitError{code: exitNo}
	}
	return nil
}

// text is for people.
func (r revoked) text(o *order) string {
	var b strings.Builder
	if r.DryRun {
		fmt.Fprintf(&b, "would revoke %s; nothing was done\n", o.what())
		row(&b, "  ", "found", r.found("live grant"))
		return b.String()
	}
	if r.Found == 0 && r.Complete {
		fmt.Fprintf(&b, "found nothing to end: %s; is the name right?\nWhat it names is refused all the same from now on:\n", o.what())
	} else {
		fmt.Fprintf(&b, "revoked %s: from now on no edge lets it through\n", o.what())
	}
	row(&b, "  ", "found", r.found("grant"))
	row(&b, "  ", "log", positions(r.Positions))
	if r.Withdrawn {
		row(&b, "  ", "key ring", "without this key; the next one signs")
	}
	for _, e := range r.Edges {
		row(&b, "  ", "edge", e.text())
	}
	if len(r.Edges) > 0 {
		row(&b, "  ", "", "(shown for you; the promise does not rest on it)")
	}
	row(&b, "  ", "took", fmt.Sprintf("%.2f s, of which most is waiting for leases to end", r.TookMS/1000))
	return b.String()
}

// what is what was asked for, in the words of the command line.
func (o *order) what() string {
	for _, n := range []struct{ kind, name string }{
		{"token", o.JTI},
		{"all of client", o.Client},
		{"all of family", o.Family},
		{"all of subject", o.Subject},
		{"all of subject", o.SubjectHandle},
		{"all that was issued before", o.IssuedBefore},
	} {
		if n.name != "" {
			return n.kind + " " + n.name
		}
	}
	return "all that was signed by key " + o.Key
}

func (r revoked) found(what string) string {
	switch {
	case r.Found == 0 && !r.Complete:
		return "not counted to the end"
	case r.Found == 0:
		return "nothing: it has expired, ended before, or is of another installation"
	case r.Found > 1:
		what += "s"
	}
	text := fmt.Sprintf("%d %s", r.Found, what)
	if !r.Complete {
		text = "at least " + text
	}
	return text
}

// positions says where the log stands, shard by shard.
func positions(seq []uint64) string {
	var at []string
	for shard, n := range seq {
		if n > 0 {
			at = append(at, fmt.Sprintf("shard %d at %d", shard, n))
		}
	}
	return strings.Join(at, ", ")
}

func (e seenEdge) text() string {
	where := "has not been seen past it yet"
	if e.Past != nil && *e.Past {
		where = "has been seen past it"
	}
	return fmt.Sprintf("%s %s, %.1f s ago", e.Edge, where, float64(e.SeenMSAgo)/1000)
}
