package main

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestVersionSaysWhatIsNotKnown: a build without version control data claims nothing.
func TestVersionSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	bare := recorded(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}})
	if bare.Version != unknown || bare.Commit != unknown || bare.Modified != nil {
		t.Errorf("without version control data: %+v, want unknown, and nothing about modified", bare)
	}
	full := recorded(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"},
	}})
	if full.Version != "v1.2.3" || full.Commit != "0123abc" || full.Modified == nil || !*full.Modified {
		t.Errorf("with version control data: %+v, want v1.2.3, 0123abc, modified", full)
	}
}

// TestVersionFlag: both ways of asking have one answer.
func TestVersionFlag(t *testing.T) {
	t.Parallel()
	var said []string
	for _, arg := range []string{"version", "--version"} {
		p := processtest.Start(t, nil, arg)
		if code := p.Wait(); code != exitOK {
			t.Errorf("coatcheck %s ended with %d: %s", arg, code, p.Stderr)
		}
		said = append(said, p.Stdout.String())
	}
	if said[0] != said[1] || !strings.HasPrefix(said[0], "coatcheck ") {
		t.Errorf("version says %q, --version says %q; want the same", said[0], said[1])
	}
}
