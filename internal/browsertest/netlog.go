package browsertest

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// netLog is what Chromium writes with --log-net-log: each thing that its network stack did.
type netLog struct {
	Constants struct {
		Types map[string]int `json:"logEventTypes"`
	} `json:"constants"`
	Events []netEvent `json:"events"`
}

type netEvent struct {
	Type   int `json:"type"`
	Source struct {
		ID int `json:"id"` // of the socket or request
	} `json:"source"`
	Params struct {
		Host    string `json:"host"`
		Address string `json:"address"`
	} `json:"params"`
}

// The events that tell who was looked up, dialed or sent something.
const (
	askedResolver = "HOST_RESOLVER_MANAGER_REQUEST"
	askedSystem   = "HOST_RESOLVER_SYSTEM_TASK"
	askedDNS      = "HOST_RESOLVER_DNS_TASK"
	dialedTCP     = "TCP_CONNECT_ATTEMPT"
	dialedUDP     = "UDP_CONNECT"
	sentUDP       = "UDP_BYTES_SENT"
)

// notFoundHost is what --host-resolver-rules makes of every name and address that is not excluded.
const notFoundHost = "~notfound"

// routeProbe is what Chromium asks the kernel for a route to, by a datagram socket that it connects and closes, to
// learn whether this machine has IPv6. That sends nothing, and Chromium has no switch for it.
var routeProbe = netip.MustParseAddr("2001:4860:4860::8888")

// check fails when anything beyond loopback was looked up, dialed or sent something.
func (l *netLog) check() error {
	names := make(map[int]string)
	for _, name := range []string{askedResolver, askedSystem, askedDNS, dialedTCP, dialedUDP, sentUDP} {
		number, known := l.Constants.Types[name]
		if !known {
			return fmt.Errorf("chromium's log of its network knows no %s any more: look for what tells it now", name)
		}
		names[number] = name
	}
	var found []error
	peers := make(map[int]string) // of datagram sockets
	for _, e := range l.Events {
		var what string
		switch names[e.Type] {
		case askedResolver:
			if e.Params.Host != "" && !localURL(e.Params.Host) {
				what = "asked for the address of " + e.Params.Host
			}
		case askedSystem, askedDNS:
			what = "looked up a name, such as " + e.Params.Host
		case dialedTCP:
			if e.Params.Address != "" && !local(e.Params.Address) {
				what = "dialed " + e.Params.Address
			}
		case dialedUDP:
			if e.Params.Address != "" {
				peers[e.Source.ID] = e.Params.Address
				if !local(e.Params.Address) && !probe(e.Params.Address) {
					what = "dialed " + e.Params.Address
				}
			}
		case sentUDP:
			to := e.Params.Address
			if to == "" {
				to = peers[e.Source.ID]
			}
			if !local(to) {
				what = "sent a datagram to " + to
			}
		}
		if what != "" {
			found = append(found, errors.New("chromium "+what))
		}
	}
	const shown = 10
	return errors.Join(found[:min(len(found), shown)]...)
}

// localURL tells whether a URL's host is this machine, or was made "not found".
func localURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil {
		return false
	}
	if slices.Contains([]string{notFoundHost, "localhost"}, u.Hostname()) {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

func local(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}

func probe(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr() == routeProbe
}
