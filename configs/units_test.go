package configs_test

import (
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
)

// units are texts in the places where a unit is read.
var units = []struct {
	section, key, text string
	ok                 bool
}{
	{"tokens", "ttl", "30d", true},
	{"tokens", "ttl", "1d12h", true},
	{"tokens", "ttl", "1h30m", true},
	{"tokens", "ttl", "1.5h", true},
	{"tokens", "ttl", "600", false},
	{"tokens", "ttl", "10 minutes", false},
	{"tokens", "ttl", "-5m", false},
	{"tokens", "ttl", "1.5d", false},
	{"tokens", "ttl", "5m1d", false},
	{"keys", "rotate_every", "0", true},
	{"limits", "body", "1B", true},
	{"limits", "body", "64KiB", true},
	{"limits", "body", "2GiB", true},
	{"limits", "body", "64", false},
	{"limits", "body", "64MB", false},
	{"limits", "body", "1.5MiB", false},
	{"limits", "body", "-1KiB", false},
	{"limits", "body", "MiB", false},
	{"limits", "per_client", "100/s", true},
	{"limits", "per_client", "6000/m", true},
	{"limits", "per_client", "1000/h", true},
	{"limits", "per_client", "0", true},
	{"limits", "per_client", `"off"`, true},
	{"limits", "per_client", "100", false},
	{"limits", "per_client", "100/d", false},
	{"limits", "per_client", "1.5/s", false},
}

func TestUnits(t *testing.T) {
	t.Parallel()
	dir := secrets(t)
	for _, u := range units {
		_, err := loadText(t, dir, withSection(u.section, u.key+": "+u.text), configs.RoleAll, nil)
		if (err == nil) != u.ok {
			t.Errorf("%s.%s: %s: error %v, want ok=%v", u.section, u.key, u.text, err, u.ok)
		}
	}
}

func TestSizesBeyondInt64AreRefused(t *testing.T) {
	t.Parallel()
	_, err := loadText(t, secrets(t), withSection("limits", "body: 99999999999GiB"), configs.RoleAll, nil)
	if err == nil || !strings.Contains(err.Error(), "limits.body") {
		t.Errorf("99999999999GiB: %v, want a fault: it would wrap around to a small limit", err)
	}
}

func TestADayIsTwentyFourHours(t *testing.T) {
	t.Parallel()
	l, err := loadText(t, secrets(t), withSection("keys", "rotate_every: 1d12h"), configs.RoleAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Issuer.RotateEvery.Hours(); got != 36 {
		t.Errorf("rotate_every 1d12h is %v hours, want 36", got)
	}
}
