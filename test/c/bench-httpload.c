// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1.1 load for the bench: one thread, epoll, keep-alive, no pipelining.  Prints one JSON line.
 *
 *   bench-httpload ADDRESS CONNECTIONS SECONDS         closed loop: the next request follows the answer
 *   bench-httpload ADDRESS CONNECTIONS SECONDS QPS     open loop: requests are due at a steady rate, and
 *       latency counts from the time a request was due, not from when it could be sent.  A server that
 *       stands still is thus seen by every request that fell due meanwhile (no coordinated omission).
 *
 * A tenth of the time is warm-up.  Any answer other than 200 ends the program with an error.
 */
#include "bench.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

enum { BUFFER = 65536, MAX_CONNECTIONS = 1024, QUEUE = 4096 };

static const char request[] = "GET /index.html HTTP/1.1\r\nhost: backend:8080\r\n"
			      "user-agent: bench\r\naccept: */*\r\n\r\n";

struct connection {
	int fd;
	bool busy;
	size_t length;
	uint64_t start; /* of the request under way: when it was sent or due */
	uint64_t due[QUEUE]; /* open loop: ring of the requests that wait for this connection */
	uint32_t first, waiting;
	char buffer[BUFFER];
};

static struct connection *connections;
static struct histogram latency;
static uint64_t measure, total;

static void send_request(struct connection *connection, uint64_t start)
{
	connection->busy = true;
	connection->start = start;
	if (write(connection->fd, request, sizeof(request) - 1) != sizeof(request) - 1)
		fail("a request could not be sent");
}

/* The length of the whole answer in BUFFER, 0 when it is not all there. */
static size_t answer_length(struct connection *connection)
{
	static const char ok[] = "HTTP/1.1 200", field[] = "\r\ncontent-length:";
	char *end = memmem(connection->buffer, connection->length, "\r\n\r\n", 4);
	char *body;
	size_t length;

	if (!end)
		return 0;
	*end = 0;
	if (strncmp(connection->buffer, ok, sizeof(ok) - 1)) {
		fprintf(stderr, "not 200 but: %.200s\n", connection->buffer);
		exit(1);
	}
	body = strcasestr(connection->buffer, field);
	if (!body)
		fail("an answer has no content-length");
	length = end + 4 - connection->buffer + strtoul(body + sizeof(field) - 1, NULL, 10);
	*end = '\r';
	if (length > BUFFER)
		fail("an answer is longer than this client's buffer");
	return connection->length >= length ? length : 0;
}

/* Returns true when the answer is complete. */
static bool receive(struct connection *connection)
{
	ssize_t got = read(connection->fd, connection->buffer + connection->length,
			   BUFFER - connection->length);
	size_t length;

	if (got < 0 && errno == EAGAIN)
		return false;
	if (got < 0)
		die("read");
	if (got == 0)
		fail("the server closed a connection");
	connection->length += got;
	length = answer_length(connection);
	if (!length)
		return false;
	if (length != connection->length || !connection->busy)
		fail("an answer came without a request");
	connection->length = 0;
	connection->busy = false;
	total++;
	if (connection->start >= measure)
		histogram_add(&latency, now_ns() - connection->start);
	return true;
}

static void enqueue(struct connection *connection, uint64_t due)
{
	if (!connection->busy) {
		send_request(connection, due);
		return;
	}
	if (connection->waiting == QUEUE)
		fail("the server cannot keep up with the rate");
	connection->due[(connection->first + connection->waiting++) % QUEUE] = due;
}

static void next_request(struct connection *connection, bool open_loop)
{
	if (!open_loop) {
		send_request(connection, now_ns());
	} else if (connection->waiting) {
		connection->waiting--;
		send_request(connection, connection->due[connection->first++ % QUEUE]);
	}
}

static void arm(int timer, uint64_t due)
{
	struct itimerspec at = {
		.it_value = { .tv_sec = due / 1000000000, .tv_nsec = due % 1000000000 },
	};

	if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL))
		die("timerfd_settime");
}

static void open_connections(const struct address *address, int poll_fd, int count)
{
	connections = calloc(count, sizeof(*connections));
	if (!connections)
		die("calloc");
	for (int index = 0; index < count; index++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[index] };

		connections[index].fd = dial(address);
		fcntl(connections[index].fd, F_SETFL, O_NONBLOCK);
		if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[index].fd, &event))
			die("epoll_ctl");
	}
}

static void run(const struct address *address, int count, double seconds, double qps)
{
	int poll_fd = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct epoll_event events[64], tick = { .events = EPOLLIN, .data.ptr = NULL };
	struct report report = { .latency = &latency, .gbps = -1 };
	uint64_t start, end, now, number = 0;

	if (poll_fd < 0 || timer < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &tick))
		die("epoll_create1");
	/* A timer of a normal process may be 50 us late. */
	prctl(PR_SET_TIMERSLACK, 1);
	open_connections(address, poll_fd, count);
	start = now_ns();
	measure = start + seconds * 1e8;
	end = measure + seconds * 1e9;
	if (qps > 0)
		arm(timer, start);
	else
		for (int index = 0; index < count; index++)
			send_request(&connections[index], start);
	do {
		int ready = epoll_wait(poll_fd, events, 64, -1);

		for (int index = 0; index < ready; index++) {
			struct connection *connection = events[index].data.ptr;

			if (connection && receive(connection))
				next_request(connection, qps > 0);
		}
		now = now_ns();
		if (qps > 0) {
			uint64_t due;

			while ((due = start + number * 1e9 / qps) <= now && due < end)
				enqueue(&connections[number++ % count], due);
			arm(timer, due);
		}
		/* The slowest answers are the ones that are still to come. */
	} while (now < end || total < number);
	report.operations = latency.total;
	report.total_operations = total;
	report.seconds = (now - measure) / 1e9;
	print_report(&report);
}

int main(int count, char **args)
{
	struct address address;
	double seconds, qps;
	long number;

	if (count != 4 && count != 5)
		fail("usage: bench-httpload ADDRESS CONNECTIONS SECONDS [QPS]");
	address = parse_address(args[1]);
	number = strtol(args[2], NULL, 10);
	seconds = strtod(args[3], NULL);
	qps = count == 5 ? strtod(args[4], NULL) : 0;
	if (number < 1 || number > MAX_CONNECTIONS || !(seconds > 0) || !(qps >= 0))
		fail("1 to 1024 connections, a number of seconds, a number of requests per second");
	run(&address, number, seconds, qps);
	return 0;
}
