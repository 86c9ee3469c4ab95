// SPIRE's server and agent for the tests, as their own programs make them: spire server …, spire agent …
package main

import (
	"context"
	"fmt"
	"os"

	agent "github.com/spiffe/spire/cmd/spire-agent/cli"
	server "github.com/spiffe/spire/cmd/spire-server/cli"
)

func main() {
	ctx := context.Background()
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "agent":
			os.Exit(new(agent.CLI).Run(ctx, os.Args[2:]))
		case "server":
			os.Exit(new(server.CLI).Run(ctx, os.Args[2:]))
		}
	}
	fmt.Fprintln(os.Stderr, "usage: spire agent|server COMMAND …")
	os.Exit(2)
}
