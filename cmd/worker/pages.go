package main

import (
	"log/slog"
	"time"

	"vizstop/internal/httpd"
	"vizstop/internal/worker"
)

const listenSetting = "--listen (VIZSTOP_LISTEN)"

// scrapeGrace lets a scrape under way finish: the last counts are worth having.
const scrapeGrace = time.Second

// servePages serves the pages of w until they are closed.
func (c *config) servePages(w *worker.Worker, log *slog.Logger) (*httpd.Server, error) {
	pages, err := httpd.Listen(httpd.Config{Listen: c.listen, Setting: listenSetting, WebConfig: c.webConfig, Handler: w.Pages(), Log: log})
	if err == nil && c.webConfig == "" && httpd.BeyondThisMachine(pages.Addr()) {
		log.Info("the pages are open to whoever reaches this machine: restrict them with --listen (VIZSTOP_LISTEN), "+
			"or protect them with --web-config-file (VIZSTOP_WEB_CONFIG_FILE)", "listen", pages.Addr())
	}
	return pages, err
}
