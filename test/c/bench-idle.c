// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that are open and do nothing: what they cost whoever carries them is measured outside.
 *
 *   bench-idle serve ADDRESS        accepts, says one byte on each connection, keeps them
 *   bench-idle dial ADDRESS COUNT   opens COUNT connections, waits for the byte on each, prints
 *                                   "open" and keeps them
 */
#include "bench.h"

static void lift_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
}

static void run_server(const struct address *address)
{
	int listener = serve(address, 0);

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		if (write(fd, "x", 1) != 1)
			close(fd);
	}
}

int main(int count, char **args)
{
	bool server = count == 3 && !strcmp(args[1], "serve");
	struct address address;
	char byte;

	if (!server && !(count == 4 && !strcmp(args[1], "dial")))
		fail("usage: bench-idle serve ADDRESS | bench-idle dial ADDRESS COUNT");
	lift_limit();
	address = parse_address(args[2]);
	if (server)
		run_server(&address);
	for (long left = strtol(args[3], NULL, 10); left > 0; left--) {
		if (read(dial(&address), &byte, 1) != 1)
			die("a connection was not carried to the server");
	}
	puts("open");
	fflush(stdout);
	for (;;)
		pause();
}
