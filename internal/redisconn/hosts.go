package redisconn

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	errHost = errors.New("a host name is missing or holds a character that no host name has; " +
		"want host, host:port or [IPv6]:port, several parted by commas")
	errPort  = errors.New("a port must be a number from 1 to 65535")
	errTwice = errors.New("a host is given twice")
)

// hostName is loose on purpose: underscores are common in container names.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// parseHosts reads host[:port],… into addresses that net.Dial accepts.
func parseHosts(list, defaultPort string) ([]string, error) {
	var addrs []string
	seen := map[string]bool{}
	for item := range strings.SplitSeq(list, ",") {
		addr, err := parseHost(item, defaultPort)
		if err != nil {
			return nil, err
		}
		if seen[addr] {
			return nil, errTwice
		}
		seen[addr] = true
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func parseHost(item, defaultPort string) (string, error) {
	host, port, hasPort := strings.Cut(item, ":")
	if strings.HasPrefix(item, "[") {
		var after string
		var ok bool
		if host, after, ok = strings.Cut(item[1:], "]"); !ok {
			return "", errHost
		}
		if host, ok = parseIPv6(host); !ok {
			return "", errHost
		}
		var before string
		if before, port, hasPort = strings.Cut(after, ":"); before != "" {
			return "", errHost
		}
	} else if !hostName.MatchString(host) {
		return "", errHost
	}
	if !hasPort {
		port = defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errPort
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// parseIPv6 reads what stands in brackets. A URL writes the % before a zone as
// %25 (RFC 6874).
func parseIPv6(s string) (string, bool) {
	s, err := unescape(s)
	if err != nil {
		return "", false
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is6() || ip.Zone() != "" && !hostName.MatchString(ip.Zone()) {
		return "", false
	}
	return ip.String(), true
}
