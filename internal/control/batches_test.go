package control

import (
	"strings"
	"testing"

	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// A refused credential marks the batches of its own account only, and none where nobody knows the accounts of projects.
func TestBatchesHeldByACredential(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	d, err := Open(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	served := func(accounts map[string]string) func(string) release.Serving {
		return func(projectID string) release.Serving { return release.Serving{Account: accounts[projectID]} }
	}
	two := served(map[string]string{"p1": "team-a", "p2": "team-b"})
	const doubt = "which batches that concerns is not known"
	for name, tt := range map[string]struct {
		account string
		served  func(string) release.Serving
		marked  string // projects
		note    bool
		doubt   bool
	}{
		"accounts are not known": {account: "team-b", note: true, doubt: true},
		"there is no file":       {account: "default", marked: "p1 p2", note: true},
		"one account has it":     {account: "team-b", served: two, marked: "p2", note: true},
		"no batch is of it":      {account: "team-c", served: two},
		"a project is in no account": {account: "team-b", served: served(map[string]string{"p2": "team-b"}), marked: "p2",
			note: true, doubt: true},
		"with a file none is the default": {account: "default", served: two},
	} {
		admin.Del(t.Context(), "vizstop:{-}:accounts")
		admin.SAdd(t.Context(), "vizstop:{-}:accounts", tt.account)
		admin.HSet(t.Context(), "vizstop:{-}:account:"+tt.account, "hold", "credentials", "hold_since", 1767323045000)
		d.Served = tt.served
		rows := []BatchRow{{ProjectID: "p1", InFlight: 1}, {ProjectID: "p2", InFlight: 1}, {ProjectID: "p2"}}
		words, err := d.markHeld(t.Context(), rows)
		var marked []string
		for _, r := range rows {
			if r.Hold == string(release.Credentials) {
				marked = append(marked, r.ProjectID)
			}
		}
		text := strings.Join(words, "\n")
		if err != nil || strings.Join(marked, " ") != tt.marked ||
			strings.Contains(text, "calls of account "+tt.account+" held") != tt.note || strings.Contains(text, doubt) != tt.doubt {
			t.Errorf("%s: marked %v, %q, %v", name, marked, text, err)
		}
	}
}
