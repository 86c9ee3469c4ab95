// SPDX-License-Identifier: Apache-2.0
/*
 * The server of the TCP shapes: one connection after the other, with blocking calls.
 *
 *   bench-server rr ADDRESS SIZE        answers every SIZE bytes with the same SIZE bytes
 *   bench-server stream ADDRESS SIZE    reads to the end, up to SIZE bytes at a time, then answers
 *                                       with the number of bytes as a uint64_t
 */
#include "bench.h"
#include <signal.h>

static char *buffer;

static void echo(int fd, size_t size)
{
	while (read_all(fd, buffer, size) && write_all(fd, buffer, size))
		;
}

static void sink(int fd, size_t size)
{
	uint64_t total = 0;
	ssize_t got;

	while ((got = read_some(fd, buffer, size)) > 0)
		total += got;
	write_all(fd, &total, sizeof(total));
}

int main(int count, char **args)
{
	struct address address;
	int listener;
	size_t size;

	if (count != 4 || (strcmp(args[1], "rr") && strcmp(args[1], "stream")))
		fail("usage: bench-server rr|stream ADDRESS SIZE");
	address = parse_address(args[2]);
	size = strtoul(args[3], NULL, 10);
	buffer = calloc(1, size);
	if (!size || !buffer)
		fail("the size is a number of bytes");
	signal(SIGPIPE, SIG_IGN);
	listener = serve(&address, 0);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		no_delay(fd, &address);
		if (!strcmp(args[1], "rr"))
			echo(fd, size);
		else
			sink(fd, size);
		close(fd);
	}
}
