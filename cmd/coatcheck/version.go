package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// unknown stands for what the Go tool did not record: it reads the version from version control, unless it is told not to.
const unknown = "unknown"

// build says which source this binary was made from, as far as the Go tool recorded it.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified *bool  `json:"modified,omitempty"` // absent: not recorded
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (b build) text() string {
	return fmt.Sprintf("coatcheck %s (commit %s, %s, %s)\n", b.Version, b.Commit, b.Go, b.Platform)
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which build this is",
		Example: "  coatcheck version\n  coatcheck version -o json",
		Args:    cobra.NoArgs,
	}
	format := outputFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		b := readBuild()
		return emit(cmd.OutOrStdout(), *format, b.text(), b)
	})
	return cmd
}

func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return recorded(info)
}

func recorded(info *debug.BuildInfo) build {
	b := build{Version: info.Main.Version, Commit: unknown, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = unknown
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = new(s.Value == "true")
		}
	}
	return b
}
