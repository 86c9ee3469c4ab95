// SPDX-License-Identifier: Apache-2.0
/*
 * The client of the TCP shapes.  Prints one JSON line.
 *
 *   bench-client rr ADDRESS SIZE SECONDS       ping-pong of SIZE bytes on one connection
 *   bench-client crr ADDRESS SIZE SECONDS      connect, one ping-pong, close, again and again
 *   bench-client crr-fin ADDRESS SIZE SECONDS  the same, with an orderly close
 *   bench-client stream ADDRESS SIZE SECONDS   writes of SIZE bytes one way
 *
 * crr closes with SO_LINGER 0, that is with a reset: a FIN would leave one port in TIME_WAIT per
 * connection and the ports would run out within seconds.  Where a tunnel is between, a reset is more
 * than an end (HTTP/2 servers take few of them): crr-fin closes as applications do and waits for the
 * server's FIN, so that one connection is over before the next begins.
 * rr and crr warm up for a tenth of the time first; what is received is compared with what was sent.
 */
#include "bench.h"

static struct histogram latency;
static char *out, *in;

static void exchange(int fd, size_t size, uint64_t number)
{
	memcpy(out, &number, size < sizeof(number) ? size : sizeof(number));
	if (!write_all(fd, out, size) || !read_all(fd, in, size))
		die("the connection broke in the middle of an exchange");
	if (memcmp(out, in, size))
		fail("the reply is not what was sent");
}

enum closing { KEEP, RESET, FIN };

static void hang_up(int fd, enum closing closing)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	char rest;

	if (closing == RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	else if (shutdown(fd, SHUT_WR) || read(fd, &rest, 1) != 0)
		die("the server did not close in order");
	close(fd);
}

static void run_rr(const struct address *address, size_t size, double seconds, enum closing closing)
{
	uint64_t start = now_ns(), measure = start + seconds * 1e8, end = measure + seconds * 1e9;
	struct report report = { .latency = &latency, .gbps = -1 };
	uint64_t before, after = start;
	int fd = closing == KEEP ? dial(address) : -1;

	do {
		before = now_ns();
		if (closing != KEEP)
			fd = dial(address);
		exchange(fd, size, report.total_operations++);
		if (closing != KEEP)
			hang_up(fd, closing);
		after = now_ns();
		if (before >= measure)
			histogram_add(&latency, after - before);
	} while (after < end);
	report.operations = latency.total;
	report.seconds = (after - measure) / 1e9;
	print_report(&report);
}

static void set_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		die("O_NONBLOCK");
}

static void run_stream(const struct address *address, size_t size, double seconds)
{
	int fd = dial(address);
	uint64_t start = now_ns(), end = start + seconds * 1e9, received = 0;
	struct report report = { 0 };

	while (now_ns() < end) {
		if (!write_all(fd, out, size))
			die("the connection broke in the middle of the stream");
		report.operations++;
	}
	/* A blocking read after a half-close is what podwire does not splice: wait with poll, as event loops do. */
	set_nonblocking(fd);
	shutdown(fd, SHUT_WR);
	if (!read_all(fd, &received, sizeof(received)))
		die("the server did not say how much arrived");
	if (received != report.operations * size)
		fail("not all bytes arrived");
	report.total_operations = report.operations;
	report.seconds = (now_ns() - start) / 1e9;
	report.gbps = received * 8 / report.seconds / 1e9;
	print_report(&report);
}

int main(int count, char **args)
{
	static const char usage[] = "usage: bench-client rr|crr|crr-fin|stream ADDRESS SIZE SECONDS";
	struct address address;
	double seconds;
	size_t size;

	if (count != 5)
		fail(usage);
	address = parse_address(args[2]);
	size = strtoul(args[3], NULL, 10);
	seconds = strtod(args[4], NULL);
	out = calloc(1, size);
	in = calloc(1, size);
	if (!size || !out || !in || !(seconds > 0))
		fail("the size is a number of bytes, the time a number of seconds");
	memset(out, 'x', size);
	if (!strcmp(args[1], "rr"))
		run_rr(&address, size, seconds, KEEP);
	else if (!strcmp(args[1], "crr"))
		run_rr(&address, size, seconds, RESET);
	else if (!strcmp(args[1], "crr-fin"))
		run_rr(&address, size, seconds, FIN);
	else if (!strcmp(args[1], "stream"))
		run_stream(&address, size, seconds);
	else
		fail(usage);
	return 0;
}
