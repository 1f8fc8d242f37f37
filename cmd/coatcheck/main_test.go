package main

import (
	"os"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

func TestMain(m *testing.M) { os.Exit(processtest.Main(m)) }
