"""One file a subcommand of `tessera`: `configure(parser)` and `run(args)`, found by name in `cli.COMMANDS`."""
