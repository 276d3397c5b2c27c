package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/settings"
)

// health is the settings of "worker health".
type health struct {
	config
	ready   bool
	timeout time.Duration
}

func healthCommand(getenv func(string) string, stdout io.Writer) *cli.Command {
	var h health
	h.declareListen(defaultListen)
	h.Bool(&h.ready, "ready", "", "ask whether it can do its work now (/readyz), not only whether it lives (/healthz)")
	h.Duration(&h.timeout, "timeout", "", 3*time.Second, "longest wait for the answer", time.Millisecond, time.Hour)
	return &cli.Command{
		Name:  "health",
		Usage: "ask the worker on this machine how it is; exit code 0 means well",
		Description: `Takes the same --listen (or VIZSTOP_LISTEN) as the worker it asks. It needs no shell
and no other program, so a container without either can check itself. Pages that want
TLS or a password (--web-config-file) tell it that the worker lives, but not whether
it is ready.`,
		Flags:        h.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := errors.Join(settings.NoArguments(cmd), h.Load(cmd, getenv)); err != nil {
				return err
			}
			return h.ask(ctx, stdout)
		},
	}
}

func (h *health) ask(ctx context.Context, stdout io.Writer) error {
	page := "/healthz"
	if h.ready {
		page = "/readyz"
	}
	url, err := localURL(h.listen, page)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	answer, err := getPage(ctx, url)
	if h.webConfig != "" && !h.ready && errors.Is(err, errRefused) {
		answer, err = "ok: it answers, and its pages want TLS or a password\n", nil // as the watchdog sees it
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, answer)
	return err
}

// localURL is the address of a page of the worker that listens on listen.
func localURL(listen, page string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if port == "0" || port == "" {
		return "", fmt.Errorf("--listen (VIZSTOP_LISTEN): %q names no port: which one the worker got, only its log says", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1" // in Go, every unspecified address takes IPv4 too; ::1 may not exist
	}
	return "http://" + net.JoinHostPort(host, port) + page, nil
}

// errRefused is the answer of a worker that lives and does not show the page:
// it wants TLS or a password, or is not ready.
var errRefused = errors.New("the worker refuses")

// getPage fetches a worker's page, past any proxy. An answer other than 200 is
// errRefused with its text.
func getPage(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return "", unanswered(url, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", unanswered(url, err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w %s: %s: %s", errRefused, url, res.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// unanswered is the error of a page that gave none or half an answer, with what to do.
func unanswered(url string, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	switch {
	case ok && op.Op == "dial":
		return fmt.Errorf("no worker answers: %w: does it have another --listen (VIZSTOP_LISTEN)?", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the worker takes connections and did not answer %s in time (--timeout): it hangs, or this machine is too busy; its log may say more", url)
	}
	return fmt.Errorf("what listens there gives no whole answer: %w: is it the worker?", err)
}
