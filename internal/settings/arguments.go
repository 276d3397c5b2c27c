package settings

import (
	"fmt"

	"github.com/urfave/cli/v3"
)

// NoArguments refuses words that cmd would pass over in silence.
func NoArguments(cmd *cli.Command) error {
	if cmd.Args().Present() {
		return fmt.Errorf("%s takes no argument %q (see %s --help)", cmd.FullName(), cmd.Args().First(), cmd.Root().Name)
	}
	return nil
}
