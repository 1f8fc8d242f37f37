package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/configs"
	"github.com/spf13/cobra"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify an audit log, or print the key that does",
		Example: `  coatcheck audit verify /var/lib/coatcheck/audit.log*
  coatcheck audit key -c coatcheck.yaml >audit.key          for whoever verifies elsewhere`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newAuditVerify(), newAuditKey())
	return cmd
}

// auditFlags are those of `coatcheck audit verify`.
type auditFlags struct {
	file, keyFile string
	anchors       []string
}

func newAuditVerify() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Say whether an audit log is as it was written",
		Long: `Read the files of one audit log, in any order, and check that no line was changed, taken out,
put in or moved. Works offline. Without a key it finds accidents, and changes by somebody who
did not build the chain anew; with the key it finds those too. That the end is missing only an
anchor shows: the "head" of a line "audit anchor" in the ordinary log, from before.

Exit 0 when all is as it was written, 2 when it is not.`,
		Example: `  coatcheck audit verify -c coatcheck.yaml /var/lib/coatcheck/audit.log*
  coatcheck audit verify --key-file audit.key --anchor 1207:oN8…  audit.log audit.log.000000001100
  coatcheck audit verify audit.log -o json`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "the issuer's configuration, whose key-encryption keys give the key")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "a file with what `coatcheck audit key` printed, a key a line")
	cmd.Flags().StringArrayVar(&f.anchors, "anchor", nil, "SEQ:HASH of a line that must be there; may be repeated")
	format := outputFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		r, err := f.verify(args)
		if err != nil {
			return err
		}
		if err := emit(cmd.OutOrStdout(), *format, auditText(r), r); err != nil {
			return err
		}
		if !r.OK {
			return &exitError{code: exitNo}
		}
		return nil
	})
	return cmd
}

func (f auditFlags) verify(paths []string) (audit.Report, error) {
	keys, err := f.keys()
	if err != nil {
		return audit.Report{}, err
	}
	var anchors []audit.Anchor
	for _, text := range f.anchors {
		a, err := audit.ParseAnchor(text)
		if err != nil {
			return audit.Report{}, &exitError{exitUsage, fmt.Errorf("--anchor: %w", err)}
		}
		anchors = append(anchors, a)
	}
	r, err := audit.Verify(auditFiles(paths), keys, anchors)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return r, &exitError{exitNotPermitted, err}
	case err != nil:
		return r, &exitError{exitUsage, err}
	}
	return r, nil
}

// auditFiles leaves out the lock that lies beside a log, which a shell's audit.log* names too.
func auditFiles(paths []string) []string {
	var files []string
	for _, p := range paths {
		if !strings.HasSuffix(p, ".lock") {
			files = append(files, p)
		}
	}
	return files
}

func (f auditFlags) keys() ([]audit.Key, error) {
	switch {
	case f.file != "" && f.keyFile != "":
		return nil, &exitError{exitUsage, errors.New("say where the key is in one way: --config or --key-file")}
	case f.file != "":
		loaded, err := loadAudited(f.file)
		if err != nil {
			return nil, err
		}
		return loaded.AuditKeys, nil
	case f.keyFile == "":
		return nil, nil
	}
	text, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--key-file: %w", err)}
	}
	keys, err := audit.ParseKeys(string(text))
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--key-file: %w", err)}
	}
	return keys, nil
}

// loadAudited is the configuration of an issuer that keeps an audit log.
func loadAudited(file string) (*configs.Loaded, error) {
	loaded, err := load(file, string(configs.RoleIssuer))
	if err != nil {
		return nil, err
	}
	if loaded.Audit == nil {
		return nil, &exitError{exitUsage, fmt.Errorf("%s keeps no audit log: audit.file is not set", file)}
	}
	return loaded, nil
}

func auditText(r audit.Report) string {
	var b strings.Builder
	if r.Broken != nil {
		fmt.Fprintf(&b, "broken: %v\n", r.Broken)
	} else {
		fmt.Fprintf(&b, "ok: %d lines, %d to %d, %s to %s; macs %s\nhead: %s\n", r.Lines, r.First, r.Last,
			r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), r.Macs, r.Head)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "note: the log says that %d events were lost before they could be written\n", r.Lost)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

func newAuditKey() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "key -c FILE",
		Short: "Print the keys of an audit log's macs",
		Long: `Print the keys with which coatcheck audit verify checks this issuer's audit log, one a line.
They are derived from the key-encryption keys and open nothing; but who has them can write lines
that verify, so keep them from whoever can write the log.`,
		Example: `  coatcheck audit key -c coatcheck.yaml >audit.key`,
		Args:    cobra.NoArgs,
	}
	configFlag(cmd, &file)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadAudited(file)
		if err != nil {
			return err
		}
		for _, k := range loaded.AuditKeys {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), k.Reveal()); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}
