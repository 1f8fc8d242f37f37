package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// trouble is what was wrong with an upstream: a closed set, for metrics.
type trouble string

const (
	troubleConnect trouble = "connect" // nobody there
	troubleTLS     trouble = "tls"     // not who it should be
	troubleTimeout trouble = "timeout" // too slow to connect or to answer
	troubleReset   trouble = "reset"   // gone before an answer
	troubleAnswer  trouble = "answer"  // not HTTP, too large, or a switch of protocols that nobody asked for
	troubleCut     trouble = "cut"     // gone within an answer
)

func troubleOf(err error) trouble {
	if wait, ok := errors.AsType[net.Error](err); ok && wait.Timeout() {
		return troubleTimeout
	}
	if isTLS(err) {
		return troubleTLS
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "dial" {
			return troubleConnect
		}
		return troubleReset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return troubleReset
	}
	return troubleAnswer
}

func isTLS(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert
}

// printable is err if its text is about the connection. An error about the answer quotes it, and an upstream that
// echoes what it was sent would so put a JWT into our log.
func printable(err error) error {
	switch troubleOf(err) {
	case troubleAnswer:
		return nil
	default:
		return err
	}
}
