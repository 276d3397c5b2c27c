// Package sdnotify tells the service manager how a service is, by the protocol
// of systemd's sd_notify(3): text lines in datagrams to a socket that the
// manager names.
package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// What a Notifier sends, as sd_notify(3) names it.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Watchdog = "WATCHDOG=1"
)

// maxStatus keeps a status in one readable line of systemctl.
const maxStatus = 400

// Status is the line that "systemctl status" shows. What would end the line
// becomes a space.
func Status(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "") + "…"
	}
	return "STATUS=" + text
}

// Notifier sends to the service manager. A nil Notifier sends nothing: nobody
// asked to be told. It is safe for concurrent use.
type Notifier struct {
	conn *net.UnixConn
}

// Dial returns a Notifier for the socket that NOTIFY_SOCKET names: a path, or
// an abstract socket that begins with @. Without a name it returns nil.
func Dial(socket string) (*Notifier, error) {
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %q is neither a path nor an abstract socket: only those are understood", socket)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return &Notifier{conn: conn}, nil
}

// sendTimeout is for a manager that doesn't read.
const sendTimeout = time.Second

// Send sends states, such as Ready or Status("..."), in one datagram. When the
// manager does not take it within a second, it is lost and the error says so.
func (n *Notifier) Send(states ...string) error {
	if n == nil {
		return nil
	}
	if err := n.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if _, err := n.conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// Close ends the connection.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}

// WatchdogLimit is the longest silence that the manager accepts from this
// process, from WATCHDOG_USEC and WATCHDOG_PID. 0 means that it doesn't watch:
// nothing is set, or it is meant for another process.
func WatchdogLimit(usec, pid string) (time.Duration, error) {
	if usec == "" || (pid != "" && pid != strconv.Itoa(os.Getpid())) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(365*24*time.Hour/time.Microsecond) {
		return 0, errors.New("WATCHDOG_USEC: " + strconv.Quote(usec) + " is not a number of microseconds up to a year")
	}
	return time.Duration(n) * time.Microsecond, nil
}
