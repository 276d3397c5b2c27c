// Package reread reads files again when they have changed, such as secrets that
// are rotated. It looks at the files from time to time, which works on every file
// system, and with the links that Kubernetes turns.
package reread

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// Interval is how often a program looks by default.
const Interval = 5 * time.Second

// retryRefused is how long a refused content is left alone unless it changes:
// what it was refused for may stand elsewhere.
const retryRefused = time.Minute

// Group is files that are read together, such as an access key and its secret
// key: half of a change is not taken up.
type Group struct {
	// Name is for the log, such as "credentials of account team-a".
	Name string
	// Files are paths. A group with a file that is neither a regular file nor
	// absent when the group is set, such as a pipe, is never read again.
	Files []string
	// Read reads the files and takes up what they say, or says why not. Then what
	// was there has to stay in use. It may call Set.
	Read func() error
}

// Watcher reads groups again.
type Watcher struct {
	log    *slog.Logger
	groups []*watched

	mu      sync.Mutex
	refused []string
}

// watched is a group and how its files were.
type watched struct {
	Group
	known   []os.FileInfo // when they were looked at last; nil: absent
	stirred bool          // the look before this one has found a change
	content string        // hash of what was read last, in use or refused
	refusal string        // why it was refused; empty: it is in use
	retryAt time.Time
}

// New returns a watcher of groups whose files have just been read.
func New(log *slog.Logger, groups ...Group) *Watcher {
	w := &Watcher{log: log}
	w.Set(groups...)
	return w
}

// Set replaces all groups by others whose files have just been read. A group that
// has the name and the files of a former one goes on as that. Once Run has begun,
// only Group.Read may call it.
func (w *Watcher) Set(groups ...Group) {
	former := w.groups
	w.groups = nil
	for _, g := range groups {
		if one := newWatched(g, former); one != nil {
			w.groups = append(w.groups, one)
		} else {
			w.log.Info("not read again when it changes: not a regular file", "what", g.Name)
		}
	}
}

func newWatched(g Group, former []*watched) *watched {
	for _, f := range former {
		if f.Name == g.Name && slices.Equal(f.Files, g.Files) {
			f.Group = g
			return f
		}
	}
	one := &watched{Group: g, known: infos(g.Files)}
	for _, info := range one.known {
		if info != nil && !info.Mode().IsRegular() {
			return nil
		}
	}
	one.content = contentOf(g.Files)
	return one
}

// Run looks at the files each interval, and reads those that have changed and
// are the same for one interval since. A value of now, such as SIGHUP, has all
// groups looked at without a delay. Run returns when ctx ends.
func (w *Watcher) Run(ctx context.Context, interval time.Duration, now <-chan os.Signal) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look(ctx, false)
		case <-now:
			w.log.InfoContext(ctx, "asked to read secrets and accounts again")
			w.look(ctx, true)
		}
	}
}

// Refused says of each group whose files have changed, and whose new content is not in
// use, why not. It is safe for concurrent use.
func (w *Watcher) Refused() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// note keeps what Refused tells.
func (w *Watcher) note() {
	var refused []string
	for _, g := range w.groups {
		if g.refusal != "" {
			refused = append(refused, fmt.Sprintf("a change of the %s is refused: %s", g.Name, g.refusal))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = refused
}

// look goes through all groups; asked says that a person wants it.
func (w *Watcher) look(ctx context.Context, asked bool) {
	defer w.note()
	for _, g := range w.groups {
		if slices.Contains(w.groups, g) && g.due(asked, time.Now()) { // a Read may have called Set
			w.read(ctx, g, asked)
		}
	}
}

// due reports whether the files of g are to be read: they have changed and then
// stayed the same for one look, or somebody asked, or a refusal is old.
func (g *watched) due(asked bool, now time.Time) bool {
	found := infos(g.Files)
	changed := !same(g.known, found)
	settled := g.stirred && !changed
	g.known, g.stirred = found, changed
	return asked || settled || g.refusal != "" && !changed && !now.Before(g.retryAt)
}

// read has g read if its content is another one, or was refused.
func (w *Watcher) read(ctx context.Context, g *watched, asked bool) {
	content := contentOf(g.Files)
	if content == g.content && g.refusal == "" {
		return
	}
	repeated := content == g.content
	refusal := ""
	if err := g.readFiles(); err != nil {
		refusal = err.Error()
	}
	said := g.refusal
	g.stirred, g.content, g.refusal, g.retryAt = false, content, refusal, time.Now().Add(retryRefused)
	switch {
	case refusal == "":
		w.log.InfoContext(ctx, "read again after a change", "what", g.Name)
	case asked || !repeated || refusal != said:
		w.log.ErrorContext(ctx, "a change was refused: what was there before stays in use", "what", g.Name, "error", refusal)
	}
}

// readFiles reads the group. A file that has become a pipe is refused: opening it
// would wait for its writer, and nothing would be read again meanwhile.
func (g *watched) readFiles() error {
	for i, info := range infos(g.Files) {
		if info != nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file any more: put one there", g.Files[i])
		}
	}
	return g.Read()
}

// infos are the files behind paths and links; nil for those that are not there.
func infos(paths []string) []os.FileInfo {
	all := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			all[i] = info
		}
	}
	return all
}

// same reports whether files are the same and look unchanged.
func same(a, b []os.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
		case a[i] == nil || b[i] == nil,
			!os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size():
			return false
		}
	}
	return true
}

// contentOf is a hash of what the files hold.
func contentOf(paths []string) string {
	all := sha256.New()
	for _, path := range paths {
		one := sha256.New()
		if err := add(one, path); err != nil {
			fmt.Fprintf(all, "unread\n")
			continue
		}
		fmt.Fprintf(all, "%x\n", one.Sum(nil))
	}
	return string(all.Sum(nil))
}

// maxBytes is more than any of our files may have: behind it nothing counts.
const maxBytes = 2 << 20

func add(h hash.Hash, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, io.LimitReader(f, maxBytes))
	return err
}
