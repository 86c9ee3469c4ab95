// SPDX-License-Identifier: Apache-2.0
/*
 * Thousands of connections whose result is all that matters.
 *
 *   connects serve PORT...               on every address of its pod: says one byte to whoever is let in
 *   connects ask SOCKET                  answers requests on a unix socket: lines "SOURCE DESTINATION PORT" (SOURCE - is
 *                                        any) up to the end of the stream, answered by one letter each
 *   connects race DESTINATION PORT       one connection after the other until SIGTERM, then the counts
 *
 * A let in (the byte came), R refused (ECONNREFUSED), X reset or ended without a byte, T nothing within two seconds,
 * ? any other error.
 */
#include "torture-stream.h"
#include <sys/epoll.h>
#include <sys/un.h>

enum { LIMIT_S = 2, EVENTS = 64, REQUEST_MAX = 1 << 20 };
#define LISTENER (1ull << 32)

static void serve(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0), one = 1, zero = 0;

	for (int i = 0; i < argc; i++) {
		struct sockaddr_in6 any = { .sin6_family = AF_INET6,
					    .sin6_port = htons(atoi(argv[i])) };
		int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = LISTENER | fd };

		must(fd >= 0);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		must(!bind(fd, (void *)&any, sizeof(any)) && !listen(fd, 4096));
		must(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	}
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.u64, peer;
			char byte;

			if (!(events[i].data.u64 & LISTENER)) {
				if (recv(fd, &byte, 1, MSG_DONTWAIT) <= 0)
					close(fd);
				continue;
			}
			while ((peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				struct epoll_event event = { .events = EPOLLIN, .data.u64 = peer };

				if (send(peer, "k", 1, MSG_NOSIGNAL) != 1 ||
				    epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event))
					close(peer);
			}
		}
	}
}

static char attempt(const char *source, const char *destination, int port)
{
	int family = strchr(destination, ':') ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM, 0), one = 1;
	struct linger reset = { .l_onoff = 1 };
	struct timeval limit = { LIMIT_S, 0 };
	struct sockaddr_storage address;
	char byte, result = '?';
	ssize_t got;

	must(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (strcmp(source, "-")) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		must(!bind(fd, (void *)&address, make_address(&address, family, source, 0)));
	}
	if (connect(fd, (void *)&address, make_address(&address, family, destination, port))) {
		if (errno == ECONNREFUSED)
			result = 'R';
		else if (errno == ECONNRESET)
			result = 'X';
		else if (errno == EINPROGRESS || errno == ETIMEDOUT)
			result = 'T';
	} else {
		uint64_t start = now_ms();

		do { /* EAGAIN: a spliced socket was woken without data */
			got = recv(fd, &byte, 1, 0);
		} while (got < 0 && errno == EAGAIN && now_ms() - start < LIMIT_S * 1000);
		if (got == 1)
			result = 'A';
		else if (!got || errno == ECONNRESET)
			result = 'X';
		else if (errno == EAGAIN)
			result = 'T';
	}
	close(fd);
	return result;
}

static void answer(int client)
{
	static char request[REQUEST_MAX];
	size_t size = 0, count = 0;
	char *line, *rest = request;
	ssize_t got;

	while (size < REQUEST_MAX - 1 &&
	       (got = recv(client, request + size, REQUEST_MAX - 1 - size, 0)) > 0)
		size += got;
	request[size] = 0;
	char answers[size / 2 + 1];

	while ((line = strsep(&rest, "\n"))) {
		char source[64], destination[64];
		int port;

		if (sscanf(line, "%63s %63s %d", source, destination, &port) == 3)
			answers[count++] = attempt(source, destination, port);
	}
	if (send(client, answers, count, MSG_NOSIGNAL) < 0)
		perror("answer");
	close(client);
}

static void ask(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	must(!bind(fd, (void *)&address, sizeof(address)) && !listen(fd, 8));
	printf("ready\n");
	fflush(stdout);
	while ((client = accept(fd, NULL, NULL)) >= 0)
		answer(client);
}

static volatile sig_atomic_t over;

static void on_term(int signal)
{
	over = signal;
}

static void race(const char *destination, int port)
{
	long allowed = 0, refused = 0, reset = 0, other = 0;

	signal(SIGTERM, on_term);
	printf("racing\n");
	fflush(stdout);
	while (!over) {
		char result = attempt("-", destination, port);

		allowed += result == 'A';
		refused += result == 'R';
		reset += result == 'X';
		/* the signal itself interrupts the last one */
		other += !over && (result == 'T' || result == '?');
	}
	printf("allowed=%ld refused=%ld reset=%ld other=%ld\n", allowed, refused, reset, other);
}

int main(int argc, char **argv)
{
	report = calloc(1, sizeof(*report));
	if (argc > 2 && !strcmp(argv[1], "serve"))
		serve(argc - 2, argv + 2);
	else if (argc == 3 && !strcmp(argv[1], "ask"))
		ask(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "race"))
		race(argv[2], atoi(argv[3]));
	else
		return 2;
	return 0;
}
