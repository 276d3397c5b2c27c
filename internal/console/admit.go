package console

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"vizstop/internal/console/problem"
	"vizstop/internal/principals"
)

// admit decides whether a request may go on to its route. It puts the principal into the request's context and bounds
// its body. release gives back what the request took up; it is never nil.
//
// What counts in a limit is only what may keep a handler for long: requests of principals in theirs, and in that of
// strangers the routes that ask nobody who they are. A refusal is written and done with; so is an answer to a
// probe, which nobody else's requests may keep from it.
func (c *Console) admit(a *answer, r **http.Request, rt *route) (release func(), refusal *problem.Problem) {
	release = func() {}
	if !rt.anyHost && !c.isOurs(*r) {
		return release, problem.New(problem.WrongHost, "The console does not answer to the host of this request. "+
			"If the name is right, start the console with --host NAME (VIZSTOP_CONSOLE_HOST).")
	}
	if c.origins.Check(*r) != nil {
		return release, problem.New(problem.CrossOrigin, "A page of another origin has sent this request, and it writes. "+
			"If a proxy shows the console under another host, start it with --trusted-origin (VIZSTOP_CONSOLE_TRUSTED_ORIGIN).")
	}
	switch {
	case rt.probe:
	case rt.Role == 0:
		if p, err := c.principals.Authenticate(*r); err == nil { // strangers don't take the style sheet from a page
			release, refusal = c.take(a, *r, p, rt)
		} else {
			release, refusal = c.strangers.take((*r).RemoteAddr)
		}
	default:
		p, refusal := c.recognize(*r)
		if refusal != nil {
			return release, refusal
		}
		if release, refusal = c.take(a, *r, p, rt); refusal != nil {
			return release, refusal
		}
		if refusal := c.mayUse(p, rt); refusal != nil {
			return release, refusal
		}
		*r = (*r).WithContext(principals.NewContext((*r).Context(), p))
	}
	if refusal != nil {
		return release, refusal
	}
	return release, c.bound(a, *r, rt)
}

// take lets a principal have one more request at work, and all the time of its route.
func (c *Console) take(a *answer, r *http.Request, p *principals.Principal, rt *route) (free func(), refusal *problem.Problem) {
	a.principal = p.Name
	a.allow(rt.Time, writePause)
	return c.limits.take(p.Name, rt.Waits != nil && rt.Waits(r), c.now())
}

// recognize says who sends a request. Wrong tokens of an address are counted; a right one is taken however many there
// were.
func (c *Console) recognize(r *http.Request) (*principals.Principal, *problem.Problem) {
	p, err := c.principals.Authenticate(r)
	if err == nil {
		return p, nil
	}
	refusal, _ := errors.AsType[*principals.Refusal](err)
	switch {
	case refusal != nil && refusal.Why == principals.TooLate:
		return nil, problem.New(problem.Expired, err.Error())
	case refusal != nil && refusal.Why == principals.Wrong:
		if wait := c.guesses.count(r.RemoteAddr, c.now()); wait > 0 {
			return nil, &problem.Problem{Type: problem.TooManyGuesses, RetryAfter: wait,
				Detail: "Too many wrong tokens came from this address. A right one is taken all the same."}
		}
	}
	return nil, problem.New(problem.NotAuthenticated, err.Error())
}

func (c *Console) mayUse(p *principals.Principal, rt *route) *problem.Problem {
	switch {
	case rt.Action && !c.site.Actions:
		return problem.New(problem.ActionsOff, "The console was started without --actions (VIZSTOP_CONSOLE_ACTIONS).")
	case !p.May(rt.Role):
		return problem.New(problem.RoleTooLow, fmt.Sprintf("%s has the role %s, and this needs %s.", p.Name, p.Role, rt.Role))
	}
	return nil
}

// isOurs reports whether a request is meant for this console. A page of another site can have its own name point to our
// address; then the browser sends that name. It cannot do so with an address: that of the connection is ours.
func (c *Console) isOurs(r *http.Request) bool {
	host := hostName(r.Host)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return c.hosts[host]
	}
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || c.hosts[host] {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return local != nil && addressOf(local.String()) == ip
}

// hostName is a host without port, brackets and final dot, in small letters.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// addressOf is the IP address of an address with port; the zero address if it is none.
func addressOf(hostPort string) netip.Addr {
	ap, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
