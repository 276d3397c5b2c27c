package control

import (
	"strings"
	"testing"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// The credential that is held may be that of the batch's project where nobody knows whose account that is.
func TestWhyOfAnAccount(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	d, err := Open(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	admin.SAdd(t.Context(), "vizstop:{-}:accounts", "north")
	admin.HSet(t.Context(), "vizstop:{-}:account:north", "hold", "credentials", "hold_since", 1767323045000)
	b := &Batch{ID: "b", Projects: []string{"p"}, Ledger: ledger.New(admin, d.Fleet.Now), desk: d}
	for account, want := range map[string]int{"": 2, "north": 2, "south": 1} {
		if account != "" {
			d.Served = func(string) release.Serving { return release.Serving{Account: account} }
		}
		why, err := b.Why(t.Context())
		text := strings.Join(why, "\n")
		if err != nil || len(why) != want || !strings.Contains(text, "no worker has been seen yet") || strings.Contains(text, "calls of account north held since") != (want == 2) {
			t.Errorf("account %q: %q, %v", account, why, err)
		}
		d.Served = nil
	}
}
