// Lint is the project's set of analyzers in one binary, run through `go vet -vettool`, so that findings are
// cached for each package like those of vet itself. Few linters, all fatal.
package main

import (
	"slices"

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
	unitchecker.Main(all...)
}
