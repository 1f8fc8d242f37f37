package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// clientInfo is a client as operators see it.
type clientInfo struct {
	ID               string              `json:"id"`
	Source           string              `json:"source"`
	State            string              `json:"state"`
	GrantTypes       []string            `json:"grant_types,omitempty"`
	Audiences        map[string][]string `json:"audiences,omitempty"`
	DefaultAudiences []string            `json:"default_audiences,omitempty"`
	Serves           []string            `json:"serves,omitempty"`
	Claims           map[string]any      `json:"claims,omitempty"`
	TTL              string              `json:"ttl,omitempty"`
	RefreshTTL       string              `json:"refresh_ttl,omitempty"`
	MaxGrants        int64               `json:"max_grants,omitempty"`
	MaxBytes         int64               `json:"max_bytes,omitempty"`
	Public           bool                `json:"public,omitempty"`
	OldSecretUntil   *time.Time          `json:"old_secret_until,omitempty"`
	NotLetIn         string              `json:"not_let_in,omitempty"`
	Created          *time.Time          `json:"created,omitempty"`
	Changed          *time.Time          `json:"changed,omitempty"`
}

// clientAnswer is the issuer's; the secret is in it only when it has just been made.
type clientAnswer struct {
	Client clientInfo `json:"client"`
	Secret string     `json:"secret,omitempty"`
}

func (a clientAnswer) text() string {
	var b strings.Builder
	c := a.Client
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-18s %s\n", name, value)
		}
	}
	line("client", c.ID)
	line("secret", a.Secret)
	line("state", c.State)
	line("source", c.Source)
	line("grant types", strings.Join(c.GrantTypes, " "))
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		line("audience", audience+" "+strings.Join(c.Audiences[audience], " "))
	}
	line("serves", strings.Join(c.Serves, " "))
	line("ttl", c.TTL)
	if c.OldSecretUntil != nil {
		line("old secret until", c.OldSecretUntil.Format(time.RFC3339))
	}
	line("not let in", c.NotLetIn)
	return b.String()
}

func newClientShow() *cobra.Command {
	var api adminFlags
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one client",
		Long: `Show one client: what it may have, and since when. Never its secret, nor a hash of it. Exit 2
when there is none.`,
		Example: `  coatcheck client show shop
  coatcheck client show shop -o json`,
		Args: cobra.ExactArgs(1),
	}
	api.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		return sendClient(cmd.Context(), api, "GET", clientPath(args[0]), nil, cmd.OutOrStdout())
	})
	return cmd
}

// clientPage is one page of the list.
type clientPage struct {
	Clients []clientInfo `json:"clients"`
	Next    string       `json:"next,omitempty"`
}

func newClientList() *cobra.Command {
	var api adminFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all clients, those of the configuration file too",
		Long:  "List all clients, by id, with where they come from and whether they are let in.",
		Example: `  coatcheck client list
  coatcheck client list -o json`,
		Args: cobra.NoArgs,
	}
	api.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return listClients(cmd.Context(), api, cmd.OutOrStdout())
	})
	return cmd
}

func listClients(ctx context.Context, api adminFlags, stdout io.Writer) error {
	op, err := newOperator(api)
	if err != nil {
		return err
	}
	all := clientPage{Clients: []clientInfo{}}
	query := url.Values{"limit": {strconv.Itoa(maxPage)}}
	for {
		var page clientPage
		if err := op.ask(ctx, "GET", "/v1/clients", query, nil, &page); err != nil {
			return err
		}
		all.Clients = append(all.Clients, page.Clients...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "CLIENT\tSTATE\tSOURCE\tAUDIENCES")
	for _, c := range all.Clients {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, cmp.Or(c.State, "?"), c.Source, strings.Join(slices.Sorted(maps.Keys(c.Audiences)), " "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return emit(stdout, *api.format, b.String(), all)
}
