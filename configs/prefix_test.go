package configs

import "testing"

// TestNetworksOfIPv4InIPv6Clothes: what names IPv4 peers in the long way must name the same peers.
func TestNetworksOfIPv4InIPv6Clothes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"::ffff:127.0.0.0/104": "127.0.0.0/8",
		"::ffff:10.1.2.3":      "10.1.2.3/32",
		"10.0.0.0/8":           "10.0.0.0/8",
		"2001:db8::/32":        "2001:db8::/32",
		"::ffff:0:0/90":        "::ffff:0.0.0.0/90", // wider than IPv4: it stays what it says
	} {
		got, err := parsePrefix(text)
		if err != nil || got.String() != want {
			t.Errorf("parsePrefix(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
}
