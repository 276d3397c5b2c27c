package check

import (
	"errors"
	"net/http"
	"sync"

	"vizstop/internal/accounts"
	"vizstop/internal/jobs"
)

const (
	// few is how many calls an account makes at once.
	few = 4
	// untried is how many it makes while none was accepted. An access key is locked
	// after five refusals.
	//
	// Source: API Gateway FAQ on APIG.0301.
	untried = 3
)

// errRefused and errUnreachable are about calls that were not made.
var (
	errRefused     = errors.New("not asked: the credential was refused before")
	errUnreachable = errors.New("not asked: the endpoint could not be reached before")
)

// gates let calls through, by account. A credential that was refused is not used again,
// and an endpoint that can't be reached is not dialed again. They are safe for
// concurrent use.
type gates struct {
	mu       sync.Mutex
	turn     *sync.Cond
	busy     map[*accounts.Account]int  // by whose credential it is, see owner
	accepted map[*accounts.Account]bool // once a call has shown that it is
	refused  map[*accounts.Account]bool
	away     map[*accounts.Region]bool
}

func newGates() *gates {
	g := &gates{
		busy: map[*accounts.Account]int{}, accepted: map[*accounts.Account]bool{},
		refused: map[*accounts.Account]bool{}, away: map[*accounts.Region]bool{},
	}
	g.turn = sync.NewCond(&g.mu)
	return g
}

// owner is the account whose own credential another one has, or assumes agencies with.
func owner(a *accounts.Account) *accounts.Account {
	for a.Agency != nil {
		a = a.Agency.Through
	}
	return a
}

// call makes one call of a project as soon as there is room for it, or says why not.
func (g *gates) call(p accounts.Project, call func() error) error {
	if err := g.enter(p); err != nil {
		return err
	}
	err := call()
	g.leave(p, err)
	return err
}

func (g *gates) enter(p accounts.Project) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		room := untried
		if g.accepted[p.Account] {
			room = few
		}
		switch {
		case g.refused[p.Account] || g.refused[owner(p.Account)]:
			return errRefused
		case g.away[p.Region]:
			return errUnreachable
		case g.busy[owner(p.Account)] < room:
			g.busy[owner(p.Account)]++
			return nil
		}
		g.turn.Wait()
	}
}

func (g *gates) leave(p accounts.Project, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.turn.Broadcast()
	g.busy[owner(p.Account)]--
	apiErr, _ := errors.AsType[*jobs.Error](err)
	switch kind := jobs.KindOf(err); {
	case kind == jobs.KindOK, kind == jobs.KindNotFound, kind == jobs.KindPermission && apiErr.Operation != jobs.OperationToken:
		g.accepted[p.Account] = true
	case kind == jobs.KindCredentials:
		g.refused[p.Account] = true
		if apiErr.Operation == jobs.OperationToken && apiErr.HTTPStatus == http.StatusUnauthorized {
			g.refused[owner(p.Account)] = true // it could not assume the agency
		}
	case kind == jobs.KindUnreachable:
		g.away[p.Region] = true
	}
}
