package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/principals"
	"vizstop/internal/settings"
)

// token is the settings of "console token".
type token struct {
	settings.Set
	role     string
	projects []string
	expires  string
}

func tokenCommand(getenv func(string) string, stdout, stderr io.Writer) *cli.Command {
	var t token
	t.OneOf(&t.role, "role", "", "read", "what the principal may do: read, ask or operate", "read", "ask", "operate")
	t.Strings(&t.projects, "project", "", "id of a project that the principal sees; repeatable, or several by comma; without it: all", nil)
	t.String(&t.expires, "expires", "", "", "day such as 2027-01-31, from whose beginning in UTC on the token is refused", nil)
	return &cli.Command{
		Name:      "token",
		Usage:     "make a token for a principal, and the line for the file of principals",
		ArgsUsage: "NAME",
		Description: `Prints the token on standard output, and the line with its hash on standard error:
"console token ci > ci-token" keeps the token off the terminal. Nothing else keeps it;
if it is lost, make another one.`,
		Flags:        t.Flags(),
		OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if err := t.Load(cmd, getenv); err != nil {
				return err
			}
			if cmd.Args().Len() != 1 {
				return errors.New("give the name of one principal (see console token --help)")
			}
			return t.print(cmd.Args().First(), stdout, stderr)
		},
	}
}

// print makes the token. The line is read as the file will be, so that it is not one that the console refuses.
func (t *token) print(name string, stdout, stderr io.Writer) error {
	text, hash := principals.NewToken()
	line := fmt.Sprintf("  - {name: %q, role: %s, token_hash: %q", name, t.role, hash)
	if len(t.projects) > 0 {
		line += fmt.Sprintf(", projects: [%s]", quoted(t.projects))
	}
	if t.expires != "" {
		line += fmt.Sprintf(", expires: %q", t.expires)
	}
	line += "}\n"
	file, err := principals.Parse("the line for the file of principals", []byte("principals:\n"+line))
	if err != nil {
		return err
	}
	if p := file.All()[0]; p.Expired(time.Now()) {
		return fmt.Errorf("--expires: %s has passed", t.expires)
	}
	if _, err := fmt.Fprintln(stdout, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	fmt.Fprintf(stderr, "This is the token of %s, shown this once. The line for the file of principals, below \"principals:\":\n\n%s", name, line)
	return nil
}

func quoted(all []string) string {
	each := make([]string, len(all))
	for i, one := range all {
		each[i] = fmt.Sprintf("%q", one)
	}
	return strings.Join(each, ", ")
}
