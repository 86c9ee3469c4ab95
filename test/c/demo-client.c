// SPDX-License-Identifier: Apache-2.0
/*
 * The client of `podwire demo`: holds connections open, exchanges a message on each of them every
 * 20 ms, and does what it is told on stdin.  One line of answer per command, `ok ...` or
 * `error ...`.  SLOT is the number of a connection.
 *
 *   open SLOT ADDRESS    connects: `ok PEER LOCAL`
 *   measure SLOT MS      ping-pong for so long: `ok EXCHANGES MEDIAN_US`
 *   report SLOT          `ok EXCHANGES LONGEST_US`: since open, or since the last report
 *   close SLOT           `ok`
 *
 * A connection that fails stays failed until it is opened again: measure and report say why.
 */
#include "bench.h"
#include "demo.h"
#include <poll.h>
#include <signal.h>

enum { SLOTS = 8, TICK_MS = 20 };

struct connection {
	int fd; /* 0: closed */
	int error; /* why it failed; -1: the server closed it */
	uint64_t number; /* of the next message */
	uint64_t exchanges, longest; /* since the last report */
};

static struct connection connections[SLOTS];

static const char *describe_error(int error)
{
	if (!error)
		return "not open";
	return error == -1 ? "closed by the server" : strerror(error);
}

static bool failed(struct connection *one)
{
	one->error = errno ? errno : -1;
	close(one->fd);
	one->fd = 0;
	return false;
}

/* Sends one message and checks that the same comes back; ELAPSED is in nanoseconds. */
static bool exchange(struct connection *one, uint64_t *elapsed)
{
	char out[DEMO_MESSAGE] = { 0 }, in[DEMO_MESSAGE];
	uint64_t start = now_ns();

	memcpy(out, &one->number, sizeof(one->number));
	one->number++;
	errno = 0;
	if (!write_all(one->fd, out, sizeof(out)) || !read_all(one->fd, in, sizeof(in)))
		return failed(one);
	if (memcmp(out, in, sizeof(out))) {
		errno = EBADMSG;
		return failed(one);
	}
	*elapsed = now_ns() - start;
	one->exchanges++;
	if (*elapsed > one->longest)
		one->longest = *elapsed;
	return true;
}

static void open_connection(struct connection *one, const char *text)
{
	struct address address = parse_address(text);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char ends[DEMO_ENDS];

	if (one->fd)
		close(one->fd);
	memset(one, 0, sizeof(*one));
	if (fd < 0)
		die("socket");
	no_delay(fd, &address);
	one->fd = fd;
	if (connect(fd, (const void *)&address.storage, address.length)) {
		failed(one);
		printf("error %s\n", describe_error(one->error));
		return;
	}
	printf("ok %s\n", describe_ends(fd, ends));
}

static void measure(struct connection *one, uint64_t duration_ms)
{
	struct histogram *latency = calloc(1, sizeof(*latency));
	uint64_t end = now_ns() + duration_ms * 1000000, elapsed;

	if (!latency)
		die("calloc");
	while (one->fd && now_ns() < end) {
		if (exchange(one, &elapsed))
			histogram_add(latency, elapsed);
	}
	if (!one->fd)
		printf("error %s\n", describe_error(one->error));
	else
		printf("ok %llu %.2f\n", (unsigned long long)latency->total,
		       histogram_us(latency, 0.5));
	free(latency);
}

static void report(struct connection *one)
{
	if (one->fd)
		printf("ok %llu %.2f\n", (unsigned long long)one->exchanges, one->longest / 1e3);
	else
		printf("error %s\n", describe_error(one->error));
	one->exchanges = one->longest = 0;
}

static void obey(const char *line)
{
	char verb[16] = "", argument[64] = "";
	unsigned int slot = SLOTS;
	struct connection *one;

	sscanf(line, "%15s %u %63s", verb, &slot, argument);
	if (slot >= SLOTS)
		fail("there is no such slot");
	one = &connections[slot];
	if (!strcmp(verb, "open")) {
		open_connection(one, argument);
	} else if (!strcmp(verb, "measure")) {
		measure(one, strtoul(argument, NULL, 10));
	} else if (!strcmp(verb, "report")) {
		report(one);
	} else if (!strcmp(verb, "close")) {
		if (one->fd)
			close(one->fd);
		one->fd = 0;
		printf("ok\n");
	} else {
		fail("there is no such command");
	}
}

static void tick(void)
{
	uint64_t elapsed;

	for (int slot = 0; slot < SLOTS; slot++) {
		if (connections[slot].fd)
			exchange(&connections[slot], &elapsed);
	}
}

int main(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t next_tick = 0;
	char line[128];

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		/* by the clock: commands that follow each other closely must not put it off */
		if (now_ns() >= next_tick) {
			tick();
			next_tick = now_ns() + TICK_MS * 1000000;
		}
		if (poll(&input, 1, TICK_MS) <= 0)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		obey(line);
	}
}
