package release

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// A look is in place of a stop call until the next call is claimed, whichever script has made it that. A worker of an
// earlier version knows nothing of the field and leaves it as it is, also when its call was accepted: then a worker of
// this one must not make the call again because a look has shown nothing new.
func TestInsteadOfTheLatestCall(t *testing.T) {
	withdraw := func(w *world, id string) { w.cancel("b", ledger.TooLate, id) }
	for name, look := range map[string]func(w *world, id string){
		"late": func(w *world, id string) {
			_, err := w.Pause(t.Context(), project, "ann", "")
			w.ok(err)
			w.ok(w.Hasten(t.Context(), project, []*ledger.Stop{w.get(id)}))
			_, err = w.Resume(t.Context(), project)
			w.ok(err)
		},
		"withdrawn": withdraw,
		"withdrawn and recovered": func(w *world, id string) {
			w.round(wide())
			withdraw(w, id)
			_, err := w.Recover(t.Context(), project, []ledger.Member{w.get(id).Member()}, func(int) bool { return true })
			w.ok(err)
		},
		"withdrawn under way": func(w *world, id string) {
			s := w.claim(id).Stop
			withdraw(w, id)
			w.move(w.get(id), ledger.Step{Kind: ledger.KindStop, Due: w.now()})
			if s.Instead {
				t.Errorf("%+v is to have its call made", s)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				id := w.open("b", 1)[0]
				s := w.claim(id).Stop
				s.Unsure = true // its answer was lost
				w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
				look(w, id)
				if s := w.get(id); w.place(id) != "look" || !s.Instead {
					t.Fatalf("it waits in %s as %+v, want a look in place of its call", w.place(id), s)
				}
				if s := w.get(id); s.Withdrawn != "" {
					_, err := w.ledger.Open(t.Context(), project, "again", []ledger.Ask{{JobID: s.JobID, Deadline: w.now().Add(time.Hour), Confirmed: true}})
					w.ok(err)
				}
				s = w.claim(id).Stop
				w.move(s, w.lookAfter(0)) // the look got no answer, and is made again
				if s = w.claim(id).Stop; !s.Instead {
					t.Errorf("the second look is of %+v, want it in place of the call, too", s)
				}
				w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()}) // as a worker that does not know the field
				w.claim(id)
				if s = w.get(id); s.Instead {
					t.Errorf("its call was claimed since, and it is %+v", s)
				}
			})
		})
	}
}
