package control

import (
	"strings"
	"testing"

	"vizstop/internal/jobs"
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

// A project that is held for the credential of a held account is told once. Without the account's hold it is told.
func TestWhyOfAnAccountAndItsProject(t *testing.T) {
	t.Parallel()
	admin := redistest.Start(t).Client(t)
	d, err := Open(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{ID: "b", Projects: []string{"p"}, Ledger: ledger.New(admin, d.Fleet.Now), desk: d}
	admin.SAdd(t.Context(), "vizstop:{-}:held", "p")
	admin.HSet(t.Context(), "vizstop:{p}:control", "hold", "credentials", "hold_since", 1767323045000)
	for _, want := range []string{"calls of project p held since", "calls of account default held since"} {
		lines, err := b.Refused(t.Context())
		why, werr := b.Why(t.Context()) // no worker lives, too
		words, merr := d.markHeld(t.Context(), []BatchRow{{ProjectID: "p", InFlight: 1}})
		if err != nil || werr != nil || merr != nil || len(lines) != 1 || len(why) != 2 || len(words) != 1 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("%q, %q, %q, %v, %v, %v, want %q", lines, why, words, err, werr, merr, want)
		}
		admin.SAdd(t.Context(), "vizstop:{-}:accounts", "default")
		admin.HSet(t.Context(), "vizstop:{-}:account:default", "hold", "credentials", "hold_since", 1767323045000)
	}
}

// One refusal holds nothing back, and is told all the same: a single stop waits for its next trial.
func TestWhyOfARefusal(t *testing.T) {
	t.Parallel()
	admin := redistest.Start(t).Client(t)
	d, err := Open(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	call := release.Call{ProjectID: "p", Step: ledger.Member{StopID: "s", Hop: 1, JobID: "10"}, Account: "north"}
	refused := &jobs.Error{Kind: jobs.KindCredentials, Message: "key disabled"}
	if _, err := d.Release.Report(t.Context(), call, refused); err != nil {
		t.Fatal(err)
	}
	locked := release.Refusal{Account: "north", Detail: "AK access failed to reach the limit,forbidden."}
	for _, text := range []string{locked.String(), release.Hold{Reason: release.Credentials, Detail: locked.Detail}.String()} {
		if strings.Contains(text, "renew or enable") {
			t.Errorf("%q: of a locked key, which may be right", text)
		}
	}
	b := &Batch{ID: "b", Projects: []string{"p"}, Ledger: ledger.New(admin, d.Fleet.Now), desk: d}
	for _, want := range []int{1, 0} {
		why, err := b.Why(t.Context())
		lines, rerr := b.Refused(t.Context())
		text := strings.Join(lines, "")
		if err != nil || rerr != nil || len(why) != want+1 || len(lines) != want {
			t.Errorf("%q, %v, %q, %v, want %d of refusals", why, err, lines, rerr, want)
		}
		for _, say := range []string{"the API refused the credential of account north at ", "the stop is tried again at ", "renew or enable the key"} {
			if want == 1 && !strings.Contains(text, say) {
				t.Errorf("%q does not say %q", text, say)
			}
		}
		if _, err := d.Release.Report(t.Context(), call, nil); err != nil {
			t.Fatal(err)
		}
	}
}
