package main

import (
	"bytes"
	"fmt"
	"strings"
)

const referenceBody = 65 // characters after the prefix and its underscore

// refuseCredentials is asked before anything else is made of a command line of `coatcheck token`, so that what is there
// goes to no admin API, no log of it, and no error text in the clear. A reference comes through a file or standard input.
func refuseCredentials(args []string) error {
	if len(args) == 0 || args[0] != "token" {
		return nil
	}
	for _, arg := range args[1:] {
		hidden := mask([]byte(arg), []byte("_"), 1, base62Byte, referenceBody, "[reference]")
		if !bytes.Equal(hidden, []byte(arg)) {
			return misplaced("a reference", redact(hidden), "derive its jti here, and send nothing of it, with --reference-file - and the reference on standard input")
		}
		if strings.Contains(arg, "eyJ") && strings.Count(arg, ".") >= 2 {
			return misplaced("a JWT", redact([]byte(arg)), "name it by its claim jti: --jti, or inspect JTI")
		}
	}
	return nil
}

func misplaced(what string, hidden []byte, mend string) error {
	return &exitError{exitUsage, fmt.Errorf(
		"%s does not belong on the command line (%s), where process lists and the shell's history keep it; nothing was sent; %s", what, hidden, mend)}
}
