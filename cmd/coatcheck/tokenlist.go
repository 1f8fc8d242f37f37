package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// grant is a grant as operators see it; nothing of it opens anything.
type grant struct {
	JTI          string     `json:"jti"`
	State        string     `json:"state"`
	Client       string     `json:"client,omitempty"`
	ClientHandle string     `json:"client_handle,omitempty"`
	Family       string     `json:"family,omitempty"`
	Subject      string     `json:"subject_handle,omitempty"`
	KeyID        string     `json:"key_id,omitempty"`
	IssuedAt     *time.Time `json:"issued_at,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	Bytes        int        `json:"bytes,omitempty"`
}

// grantList is what `coatcheck token list` found.
type grantList struct {
	Tokens []grant `json:"tokens"`
	More   bool    `json:"more"` // beyond the limit
}

func newTokenList() *cobra.Command {
	var api adminFlags
	var limit int
	names := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List live grants of a client, a subject or a family, or of all",
		Long: `List live grants, those that expire last first. It walks the store, so it is for people and
not for loops. Exit 2 when there is none.`,
		Example: `  coatcheck token list --client partner-shop
  coatcheck token list --subject alice@example.com -o json
  coatcheck token list --limit 1000`,
		Args: cobra.NoArgs,
	}
	for _, n := range []struct{ name, usage string }{
		{"client", "of a client, by its id"},
		{"family", "of one grant, by the family's handle or the jti of a token in it"},
		{"subject", "of a subject, by the JWT's sub"},
		{"subject-handle", "of a subject, by the handle that JWTs and logs have"},
	} {
		names[strings.ReplaceAll(n.name, "-", "_")] = cmd.Flags().String(n.name, "", n.usage)
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most")
	api.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		for name, value := range names {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		if limit < 1 {
			return &exitError{exitUsage, errors.New("--limit: say 1 or more")}
		}
		return listGrants(cmd.Context(), api, query, limit, cmd.OutOrStdout())
	})
	return cmd
}

// maxPage is how many grants are asked for at a time.
const maxPage = 1000

// listGrants asks page after page. A walk over a store in use may show a grant twice.
func listGrants(ctx context.Context, api adminFlags, query url.Values, limit int, stdout io.Writer) error {
	op, err := newOperator(api)
	if err != nil {
		return err
	}
	list := grantList{Tokens: []grant{}}
	seen := map[string]bool{}
	for next := ""; ; {
		query.Set("limit", strconv.Itoa(min(maxPage, limit)))
		if next != "" {
			query.Set("cursor", next)
		}
		var page struct {
			Tokens []grant `json:"tokens"`
			Next   string  `json:"next"`
		}
		if err := op.ask(ctx, "GET", "/v1/tokens", query, nil, &page); err != nil {
			return err
		}
		for _, g := range page.Tokens {
			if !seen[g.JTI] {
				list.Tokens, seen[g.JTI] = append(list.Tokens, g), true
			}
		}
		if next = page.Next; next == "" || len(list.Tokens) >= limit {
			break
		}
	}
	list.More = len(list.Tokens) > limit
	slices.SortFunc(list.Tokens, func(a, b grant) int { return cmp.Or(b.expires().Compare(a.expires()), cmp.Compare(a.JTI, b.JTI)) })
	list.Tokens = list.Tokens[:min(limit, len(list.Tokens))]
	if err := emit(stdout, *api.format, list.text(), list); err != nil {
		return err
	}
	if len(list.Tokens) == 0 {
		return &exitError{code: exitNo}
	}
	return nil
}

func (g grant) expires() time.Time {
	if g.ExpiresAt == nil {
		return time.Time{}
	}
	return *g.ExpiresAt
}

func (l grantList) text() string {
	if len(l.Tokens) == 0 {
		return "no live grant\n"
	}
	rows := []string{"JTI\tCLIENT\tISSUED\tEXPIRES IN\tSUBJECT HANDLE\n"}
	for _, g := range l.Tokens {
		issued := ""
		if g.IssuedAt != nil {
			issued = g.IssuedAt.UTC().Format(time.RFC3339)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\n", g.JTI, cmp.Or(g.Client, g.ClientHandle), issued, time.Until(g.expires()).Round(time.Second), g.Subject))
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(w, strings.Join(rows, "")) // into a string
	_ = w.Flush()
	if l.More {
		b.WriteString("there are more; say --limit\n")
	}
	return b.String()
}
