// SPDX-License-Identifier: Apache-2.0
/*
 * A fast HTTP/1.1 server for the bench: one thread, epoll, keep-alive, every request is answered
 * with the same body.  Requests with a body are refused by closing: the bench sends none.
 *
 *   bench-httpd ADDRESS BODY_BYTES
 */
#include "bench.h"
#include <signal.h>
#include <sys/epoll.h>

enum { BUFFER = 16384, EVENTS = 256, MAX_BODY = 1 << 20 };

struct connection {
	int fd;
	size_t length; /* of the request so far */
	size_t owed; /* bytes of the answer that the socket did not take yet */
	char buffer[BUFFER];
};

static char *response;
static size_t response_length;
static int poll_fd;

static void make_response(size_t body)
{
	response = malloc(body + 256);
	if (!response)
		die("malloc");
	response_length = sprintf(response,
				  "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/plain\r\n"
				  "content-length: %zu\r\n\r\n",
				  body);
	memset(response + response_length, 'x', body);
	response_length += body;
}

static void drop(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

static void watch(struct connection *connection, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = connection };

	if (epoll_ctl(poll_fd, operation, connection->fd, &event))
		die("epoll_ctl");
}

static void accept_all(int listener, const struct address *address)
{
	struct connection *connection;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		no_delay(fd, address);
		connection = calloc(1, sizeof(*connection));
		if (!connection)
			die("calloc");
		connection->fd = fd;
		watch(connection, EPOLLIN, EPOLL_CTL_ADD);
	}
}

/* Returns false when the connection is broken. */
static bool answer(struct connection *connection)
{
	while (connection->owed) {
		/* Several answers may be owed; they are all alike. */
		size_t rest = (connection->owed - 1) % response_length + 1;
		ssize_t put = write(connection->fd, response + response_length - rest, rest);

		if (put < 0 && errno == EAGAIN) {
			watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
			return true;
		}
		if (put <= 0)
			return false;
		connection->owed -= put;
	}
	return true;
}

static bool take(struct connection *connection)
{
	size_t used = 0;
	char *end;
	ssize_t got;

	if (connection->length == BUFFER)
		return false;
	got = read(connection->fd, connection->buffer + connection->length,
		   BUFFER - connection->length);
	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0)
		return false;
	connection->length += got;
	while ((end = memmem(connection->buffer + used, connection->length - used, "\r\n\r\n",
			     4))) {
		used = end + 4 - connection->buffer;
		connection->owed += response_length;
	}
	connection->length -= used;
	memmove(connection->buffer, connection->buffer + used, connection->length);
	return true;
}

static void handle(struct connection *connection, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !take(connection)) {
		drop(connection);
		return;
	}
	if (!answer(connection)) {
		drop(connection);
		return;
	}
	if ((events & EPOLLOUT) && !connection->owed)
		watch(connection, EPOLLIN, EPOLL_CTL_MOD);
}

int main(int count, char **args)
{
	struct epoll_event events[EVENTS];
	struct connection *listener;
	struct address address;
	long body;

	if (count != 3)
		fail("usage: bench-httpd ADDRESS BODY_BYTES");
	address = parse_address(args[1]);
	body = strtol(args[2], NULL, 10);
	if (body < 0 || body > MAX_BODY)
		fail("the body has 0 to 1048576 bytes");
	make_response(body);
	signal(SIGPIPE, SIG_IGN);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = calloc(1, sizeof(*listener));
	if (poll_fd < 0 || !listener)
		die("epoll_create1");
	listener->fd = serve(&address, SOCK_NONBLOCK);
	watch(listener, EPOLLIN, EPOLL_CTL_ADD);
	for (;;) {
		int ready = epoll_wait(poll_fd, events, EVENTS, -1);

		for (int index = 0; index < ready; index++) {
			struct connection *connection = events[index].data.ptr;

			if (connection == listener)
				accept_all(listener->fd, &address);
			else
				handle(connection, events[index].events);
		}
	}
}
