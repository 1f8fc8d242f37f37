// Lint is the project's set of analyzers in one binary, run through `go vet -vettool`, so that findings are
// cached for each package like those of vet itself. Few linters, all fatal.
package main

import (
	"slices"
	"strings"

	"github.com/kisielk/errcheck/errcheck"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/sonatard/noctx"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"go-simpler.org/sloglint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/unusedwrite"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
)

// notOurs are checks of staticcheck that we do not keep, each with its reason.
var notOurs = []string{
	"ST1000", // a package comment in every package: house rule by review; test packages have none
	"ST1003", // initialisms: fights words of the specifications (e.g. at_hash)
}

// shippedOnly are analyzers whose findings in tests are noise: a test may leave a body open until its server closes,
// drop an error that the next line would show, compare sentinels by identity, and build a key that no program should.
var shippedOnly = []string{"bodyclose", "errcheck", "errorlint", "noctx", "SA1004", "SA1019"}

func main() {
	all := []*analysis.Analyzer{
		bodyclose.Analyzer,
		errcheck.Analyzer,
		errorlint.NewAnalyzer(),
		nilness.Analyzer,
		noctx.Analyzer,
		sloglint.New(&sloglint.Options{AttributesOnly: true, NoGlobalLogger: "all", KeyNamingCase: "snake"}),
		unusedwrite.Analyzer,
	}
	for _, set := range [][]*lint.Analyzer{staticcheck.Analyzers, simple.Analyzers, stylecheck.Analyzers} {
		for _, a := range set {
			if !slices.Contains(notOurs, a.Analyzer.Name) {
				all = append(all, a.Analyzer)
			}
		}
	}
	for _, a := range all {
		if slices.Contains(shippedOnly, a.Name) {
			sparesTests(a)
		}
	}
	unitchecker.Main(all...)
}

// sparesTests makes an analyzer silent about tests and the kits that they share (packages named …test).
func sparesTests(a *analysis.Analyzer) {
	run := a.Run
	a.Run = func(pass *analysis.Pass) (any, error) {
		quiet, kit := *pass, strings.HasSuffix(pass.Pkg.Name(), "test")
		quiet.Report = func(d analysis.Diagnostic) {
			if !kit && !strings.HasSuffix(pass.Fset.Position(d.Pos).Filename, "_test.go") {
				pass.Report(d)
			}
		}
		return run(&quiet)
	}
}
