package store

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// Honest answers, as a script gives them to a question about "0"; their parts are divided by NUL.
const (
	honestTake    = "0\x00ok\x00sealed\x007\x00inc\x00500"
	honestPull    = "0\x00ok\x000\x002\x00b\x002\x00inc\x00500\x00\x001 a token t 4102444800\n2 b client c 4102444800"
	honestFlush   = "0\x00ok\x001\x002\x00b\x002\x00inc\x00500\x00kid-1 kid-2\x00"
	honestShard   = "0\x00ok\x00abcdef\x000\x000\x007\x00b\x00inc\x00500\x00500\x00journal-1\x003\x00issuer-1 whole\nissuer-2 gap\x001700000000000\x00lid"
	honestList    = "0\x00ok\x0018446744073709551615\x000 1700000000 1900000000 kid client family subject 2560 1 0"
	honestInspect = "0\x00ok\x000 1700000000 1900000000 kid client family subject 2560 0 1"
	honestRevoke  = "0\x00ok\x007\x002\x00b\x00500\x001"
	honestSeen    = "0\x00ok\x00edge-1 1700000000000 1,2,3"
)

// dishonest is what no script of ours writes, whatever Redis holds; in the order of the answers above.
var dishonest = []string{
	strings.Replace(honestTake, "inc", "i n c", 1),
	strings.Replace(honestTake, "500", "99999999999", 1),
	strings.Replace(honestPull, "\n2 b", "\n3 b", 1),                      // leaves one out
	strings.Replace(honestPull, "0\x002\x00b\x002", "0\x000\x00\x002", 1), // says that there is more, and gives nothing
	strings.Replace(honestPull, "token t ", "token t\x1b[31m ", 1),
	strings.Replace(honestPull, "4102444800", "9007199254740991", 1),
	strings.Replace(honestPull, "500\x00\x00", "500\x00kid\x00", 1),
	strings.Replace(honestFlush, "kid-2", strings.Repeat("k", MaxHandle+1), 1),
	honestFlush + "3 c client c 4102444800",
	strings.Replace(honestFlush, "b\x002", "b\x003", 1),
	strings.Replace(honestShard, "\x00500", "\x003600001", 1),
	strings.Replace(honestShard, " gap", "", 1),
	strings.Replace(honestShard, "1700000000000", "300000000000000", 1),
	strings.Replace(honestList, "18446744073709551615", "18446744073709551616", 1),
	strings.Replace(honestList, "subject", "sub\"ject", 1),
	strings.Replace(honestList, "1900000000", "300000000000", 1),
	strings.Replace(honestInspect, "0 1700000000", "1 1700000000", 1),
	honestInspect + "\n" + honestInspect[len("0\x00ok\x00"):],
	strings.Replace(honestSeen, "1700000000000", "300000000000000", 1),
	strings.Replace(honestSeen, "edge-1", "<edge>", 1),
}

// readAll reads one answer as that of each script, and answers what was made of it.
func readAll(text string) (taken Taken, pulled Pulled, read []any, errs []error) {
	answer := strings.Split(text, "\x00")
	for _, s := range []script{takeScript, pullScript, shardScript, listScript, inspectScript, revokeScript, seenScript} {
		v, err := s.read(answer, "0")
		if err != nil {
			continue // it is not of this script
		}
		var value any
		switch s.command {
		case commandTake:
			taken, err = readTaken(v, 0)
			value = taken
		case commandPull:
			pulled, err = readPulled(reply{values: v}, Position{})
			value = pulled
		case commandShard:
			value, err = readShard(v)
		case commandList:
			value, _, err = readList(v)
		case commandInspect:
			value, err = readInspected(v, "0")
		case commandRevoke:
			value, err = readRevoked([]reply{{values: v}})
		case commandSeen:
			value, err = readSeen(v[0])
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		read = append(read, value)
	}
	return taken, pulled, read, errs
}

// FuzzAnswers: whatever a hostile Redis says is an error that says nothing about a record, or an answer that keeps the
// promises of its type, names what can be named, and can be shown.
func FuzzAnswers(f *testing.F) {
	for _, seed := range append(dishonest, honestTake, honestPull, honestFlush, honestShard, honestList, honestInspect, honestRevoke, honestSeen) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		taken, pulled, read, errs := readAll(text)
		for _, err := range errs {
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
				t.Errorf("%q: got %v, want ErrUnavailable alone", text, err)
			}
		}
		if taken.Lease > time.Minute || pulled.Lease > time.Minute {
			t.Errorf("%q: gives a lease of %v, of a pull %v", text, taken.Lease, pulled.Lease)
		}
		if pulled.Flush && (len(pulled.Entries) > 0 || pulled.More) || !pulled.Flush && pulled.At.Seq != uint64(len(pulled.Entries)) {
			t.Errorf("%q: %+v is neither a flush nor what follows the beginning", text, pulled)
		}
		names := pulled.Keys
		for _, e := range pulled.Entries {
			names = append(names, e.ID, e.Name)
		}
		for _, value := range read {
			if _, err := json.Marshal(value); err != nil {
				t.Errorf("%q: %+v cannot be shown: %v", text, value, err)
			}
			if all, ok := value.([]Listed); ok {
				for _, l := range all {
					names = append(names, l.JTI, l.KeyID, l.Client, l.Family, l.Subject)
				}
			}
		}
		for _, name := range names {
			if err := checkName("name", name); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// TestAnswersAreReadOrRefused: each seed of FuzzAnswers is what it is said to be.
func TestAnswersAreReadOrRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{honestTake, honestPull, honestFlush, honestShard, honestList, honestInspect, honestRevoke, honestSeen} {
		if _, _, read, _ := readAll(text); len(read) == 0 {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range dishonest {
		if _, _, read, errs := readAll(text); len(read) > 0 || len(errs) == 0 {
			t.Errorf("%q is read: %+v", text, read)
		}
	}
}
