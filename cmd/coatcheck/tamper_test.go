package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// TestWriterOfRedisGainsNothing: one who may write in Redis, and owns a valid reference, moves, edits and restores
// records. Each time the answer is the one 401 of a reference that is not active, and the service sees nothing.
func TestWriterOfRedisGainsNothing(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	// A grant with both audiences is what the writer would like to have; his own has one, and lives for seconds.
	// On strict routes the edge reads each time: what it has cached would hide from it what the writer does.
	lab := processtest.New(t, processtest.Options{TTL: "10s", Replace: []string{
		`scopes: ["orders:read"]}`, `scopes: ["orders:read"], freshness: strict}`,
		`scopes: ["invoices:read"]}` + "\n  - {name: docs", `scopes: ["invoices:read"], freshness: strict}` + "\n  - {name: docs",
	}})
	_, edge := lab.Up(client)
	orders := lab.Edge() + "/orders/17"

	his := lab.Token(client, "audience", "billing-api")
	hisKey := onlyRecord(t, lab)
	if a := client.Call("GET", lab.Edge()+"/invoices/1", his); a.Status != http.StatusOK {
		t.Fatalf("his own reference = %d %s, want 200", a.Status, a.Body)
	}
	saved := lab.Redis.Do("DUMP", hisKey).(string)

	refused := func(story, reference string) {
		t.Helper()
		if a := client.Call("GET", lab.Edge()+"/invoices/1", reference); a.Status != http.StatusUnauthorized {
			t.Fatalf("%s = %d %s, want 401", story, a.Status, a.Body)
		}
		if a := client.Call("GET", orders, reference); a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
			t.Errorf("%s, for orders = %d %s, want a refusal", story, a.Status, a.Body)
		}
	}

	victim := lab.Token(client, "audience", "orders-api")
	victimKey := onlyRecord(t, lab, hisKey)
	lab.Redis.Do("RESTORE", hisKey, "0", lab.Redis.Do("DUMP", victimKey).(string), "REPLACE")
	refused("the victim's record under his own key", his)

	lab.Redis.Do("RESTORE", hisKey, "0", saved, "REPLACE")
	processtest.Eventually(t, "his own record works again under his own key", func() bool {
		return client.Call("GET", lab.Edge()+"/invoices/1", his).Status == http.StatusOK
	})
	edited := []byte(hash(t, lab, hisKey)["blob"])
	edited[len(edited)/2] ^= 1
	lab.Redis.Do("HSET", hisKey, "blob", string(edited))
	refused("a record with one bit turned", his)

	// Expiry: the record dies in Redis; one that is put back without a time to live is dead all the same.
	processtest.Eventually(t, "the victim's reference expires", func() bool {
		return client.Call("GET", lab.Edge()+"/invoices/1", victim).Status == http.StatusUnauthorized // 403 while it lives
	})
	lab.Redis.Do("RESTORE", hisKey, "0", saved, "REPLACE")
	clear := strings.Fields(hash(t, lab, hisKey)["clear"])
	if len(clear) != 7 {
		t.Fatalf("the clear part of a record is %q; want seq, iat, exp, key id, and three handles", clear)
	}
	clear[2] = "9999999999"
	lab.Redis.Do("HSET", hisKey, "clear", strings.Join(clear, " "))
	refused("an expired record put back with a longer life", his)
	if n := len(lab.Orders.Requests()); n != 0 {
		t.Errorf("%d requests reached orders; nobody was to", n)
	}
	if got := sumOf(t, client, edge.Address("metrics"), "coatcheck_requests_total", `reason="tampered"`); got == 0 {
		t.Error("no refusal was counted as tampered: the writer's records were not even read")
	}
}

// onlyRecord is the key of the one record in Redis besides those known.
func onlyRecord(t *testing.T, lab *processtest.Lab, known ...string) string {
	t.Helper()
	var found []string
keys:
	for _, key := range lab.Redis.Keys() {
		for _, k := range known {
			if key == k {
				continue keys
			}
		}
		if strings.Contains(key, ":record:") {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		t.Fatalf("records in Redis besides %v: %v, want one", known, found)
	}
	return found[0]
}

// hash reads all fields of a hash.
func hash(t *testing.T, lab *processtest.Lab, key string) map[string]string {
	t.Helper()
	pairs := lab.Redis.Do("HGETALL", key).([]any)
	fields := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields[pairs[i].(string)] = pairs[i+1].(string)
	}
	if len(fields) == 0 {
		t.Fatalf("there is no hash under %s", key)
	}
	return fields
}
