package redistest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The users of deploy/redis/users.acl, which every server knows, and one who
// may do what either of them may: for tests of packages that both programs use.
const (
	userOf   = "vizstop-" // and the program's name
	bothUser = userOf + "both"
	password = "throwaway"
)

// accessList is where the users stand, below the module's root.
var accessList = filepath.Join("deploy", "redis", "users.acl")

// noPassword stands in the access list in place of the hash of a password: no
// password has it.
var noPassword = "#" + strings.Repeat("0", 2*sha256.Size)

// For is the URL of a Server, or one that begins like it, with the user of one
// program, "worker" or "enqueue", in place of the one who may do what both may.
// Another URL comes back as it is.
func For(program, serverURL string) string {
	return strings.Replace(serverURL, "//"+bothUser+":", "//"+userOf+program+":", 1)
}

// ForAdmin is the URL of a Server, or one that begins like it, without a user: for
// the tests' own prying. Another URL comes back as it is.
func ForAdmin(serverURL string) string {
	return strings.Replace(serverURL, "//"+bothUser+":"+password+"@", "//", 1)
}

// AdminURL is the server as its administrator uses it: for the tests' own
// prying. It has no password.
func (s *Server) AdminURL() string { return "redis://" + s.Addr + "/0" }

// Limited is a client with the rights of worker and enqueue, as product code is
// to run with. It is closed at the end of t.
func (s *Server) Limited(t testing.TB) *redis.Client {
	t.Helper()
	return s.clientOf(t, bothUser, password)
}

func (s *Server) urlOf(user string) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword(user, password), Host: s.Addr, Path: "/0"}
	return u.String()
}

// users are the arguments that make a server know the users.
func users() ([]string, error) {
	path, err := InModule(accessList)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(password))
	var args []string
	both := []string{"--user", bothUser}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.Replace(line, noPassword, "#"+hex.EncodeToString(hash[:]), 1))
		if len(words) < 2 || words[0] != "user" {
			return nil, fmt.Errorf("%s: %q does not begin with user and a name", accessList, line)
		}
		words[0] = "--user"
		args = append(args, words...)
		for _, rule := range words[2:] {
			switch rule {
			case "reset", "resetkeys", "resetchannels", "-@all": // a user begins with nothing
			default:
				both = append(both, rule)
			}
		}
	}
	return append(args, both...), nil
}

// InModule is where a file of the module is. Tests run in the directory of
// their package.
func InModule(path string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, path), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			err = errors.New("redistest: no go.mod above the working directory")
		}
		dir = up
	}
	return "", err
}

// denied lists what the server has denied to the users of the access list, as
// far as it still tells: it keeps the last 128 denials until it restarts. A
// server that does not answer without a password has none.
func (s *Server) denied() []string {
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	log, err := client.ACLLog(ctx, 128).Result()
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range log {
		if strings.HasPrefix(e.Username, userOf) && e.Reason != "auth" {
			all = append(all, fmt.Sprintf("%s %q to %s (%s)", e.Reason, e.Object, e.Username, e.Context))
		}
	}
	return all
}
