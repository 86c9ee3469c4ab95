// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that outlive agents, every byte checked.
 *
 *   survive serve PORT...                  echo server on every address of its pod
 *   survive hold ADDRESS PORT COUNT        COUNT connections; one exchange on each, over and over
 *   survive idle ADDRESS PORT COUNT        COUNT connections; one exchange on each, then silence until they end
 *   survive dial ADDRESS PORT[,PORT...]    connect, one exchange, close, over and over
 *
 * The drivers answer SIGUSR1 with one line of counts since their start, and SIGTERM by closing everything and ending.
 * hold, idle: a connection that was cut counts as ended, wrong bytes and silence as failed.  A spliced socket that is destroyed
 * while its thread is in recv() may read an end of file.
 */
#include "torture-stream.h"
#include <sys/epoll.h>
#include <sys/resource.h>

enum { EXCHANGE = 700, STALL_MS = 5000, BATCH = 256 };
#define LISTENER (1ull << 32)

struct counts {
	long open, exchanges, ended, failed, longest_ms;
	long last_end_ms; /* since 1970; of idle */
	int last_errno;
};

static int listen_on(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, zero = 0;

	must(fd >= 0);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(!bind(fd, (void *)&any, sizeof(any)) && !listen(fd, 4096));
	return fd;
}

static void serve(int argc, char **argv)
{
	int epoll = epoll_create1(0);
	struct epoll_event events[BATCH];
	uint8_t bytes[65536];

	for (int i = 0; i < argc; i++) {
		int fd = listen_on(atoi(argv[i]));
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = LISTENER | fd };

		must(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	}
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, BATCH, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.u64;
			ssize_t size;

			if (events[i].data.u64 & LISTENER) {
				for (int peer;
				     (peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
					struct epoll_event event = { .events = EPOLLIN,
								     .data.u64 = peer };
					must(!epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event));
				}
				continue;
			}
			size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			if (size < 0 && errno == EAGAIN)
				continue;
			if (size <= 0 || send(fd, bytes, size, MSG_NOSIGNAL) != size)
				close(fd);
		}
	}
}

static int dial(const char *ip, int port, int *error)
{
	struct sockaddr_storage address;
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	socklen_t length = make_address(&address, family, ip, port);
	struct timeval limit = { STALL_MS / 1000, 0 };
	int fd = socket(family, SOCK_STREAM, 0);

	must(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (void *)&address, length))
		return fd;
	*error = errno;
	close(fd);
	return -1;
}

/* 0, or why not: an errno, EBADMSG for wrong bytes, ENODATA for an early end. */
static int exchange(int fd, uint64_t seed, size_t at)
{
	uint8_t bytes[EXCHANGE];
	uint64_t start = now_ms();
	size_t got = 0;

	pattern_fill(seed, at, bytes, sizeof(bytes));
	if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) != (ssize_t)sizeof(bytes))
		return errno;
	while (got < sizeof(bytes)) {
		ssize_t size = recv(fd, bytes + got, sizeof(bytes) - got, 0);

		if (size < 0 && errno == EAGAIN && now_ms() - start < STALL_MS)
			continue; /* woken without data: see torture-differences.h */
		if (size <= 0)
			return size ? errno : ENODATA;
		got += size;
	}
	return pattern_mismatch(seed, at, bytes, sizeof(bytes)) < 0 ? 0 : EBADMSG;
}

/* The signals are blocked: no system call of the drivers is ever interrupted.  False: end. */
static bool answer(const struct counts *counts)
{
	const struct timespec now = { 0 };
	sigset_t signals;
	int asked;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	asked = sigtimedwait(&signals, NULL, &now);
	if (asked != SIGUSR1)
		return asked != SIGTERM;
	printf("open=%ld exchanges=%ld ended=%ld failed=%ld longest_ms=%ld last_end_ms=%ld errno=%d\n",
	       counts->open, counts->exchanges, counts->ended, counts->failed, counts->longest_ms,
	       counts->last_end_ms, counts->last_errno);
	fflush(stdout);
	return true;
}

static void note_result(struct counts *counts, int error, uint64_t since)
{
	long ms = now_ms() - since;

	if (ms > counts->longest_ms)
		counts->longest_ms = ms;
	if (!error) {
		counts->exchanges++;
		return;
	}
	if (error == ECONNRESET || error == EPIPE || error == ECONNABORTED || error == EACCES ||
	    error == ENODATA)
		counts->ended++;
	else {
		counts->failed++;
		counts->last_errno = error;
	}
}

static void dial_many(const char *ip, int port, int *fds, int wanted, struct counts *counts)
{
	answer(counts); /* blocks the signals */
	for (int i = 0; i < wanted; i++) {
		fds[i] = dial(ip, port, &counts->last_errno);
		if (fds[i] < 0)
			counts->failed++;
		else
			counts->open++;
	}
}

static void hold(const char *ip, int port, int wanted)
{
	int *fds = calloc(wanted, sizeof(int));
	size_t *at = calloc(wanted, sizeof(size_t));
	struct counts counts = { 0 };

	dial_many(ip, port, fds, wanted, &counts);
	printf("holding\n");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < wanted; i++) {
			if (i % 16 == 0 && !answer(&counts))
				return;
			if (fds[i] < 0)
				continue;
			uint64_t since = now_ms();
			int error = exchange(fds[i], i, at[i]);

			note_result(&counts, error, since);
			at[i] += EXCHANGE;
			if (!error)
				continue;
			close(fds[i]);
			fds[i] = -1;
			counts.open--;
		}
		usleep(20000);
	}
}

static void idle(const char *ip, int port, int wanted)
{
	int *fds = calloc(wanted, sizeof(int)), epoll = epoll_create1(0);
	struct epoll_event events[BATCH];
	struct counts counts = { 0 };
	struct timespec now;

	dial_many(ip, port, fds, wanted, &counts);
	for (int i = 0; i < wanted; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };

		if (fds[i] < 0)
			continue;
		note_result(&counts, exchange(fds[i], i, 0), now_ms());
		must(!epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
	}
	printf("holding\n");
	fflush(stdout);
	while (answer(&counts)) {
		int count = epoll_wait(epoll, events, BATCH, 5);

		clock_gettime(CLOCK_REALTIME, &now);
		for (int i = 0; i < count; i++) {
			int fd = fds[events[i].data.u64];
			uint8_t byte;
			ssize_t size = recv(fd, &byte, 1, MSG_DONTWAIT);

			if (size < 0 && errno == EAGAIN)
				continue; /* woken without data: see torture-differences.h */
			note_result(&counts, size > 0 ? EBADMSG : size ? errno : ENODATA, now_ms());
			counts.last_end_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
			counts.open--;
			close(fd);
		}
	}
}

/* ports: separated by commas, taken in turn */
static void dial_on(const char *ip, char *list)
{
	struct counts counts = { 0 };
	int ports[8], many = 0;

	for (char *text = strtok(list, ","); text && many < 8; text = strtok(NULL, ","))
		ports[many++] = atoi(text);
	answer(&counts);
	printf("dialling\n");
	fflush(stdout);
	for (uint64_t turn = 0; answer(&counts); turn++) {
		uint64_t since = now_ms();
		int error = 0, fd = dial(ip, ports[turn % many], &error);

		if (fd < 0) {
			counts.last_errno = error;
			counts.failed++;
			continue;
		}
		for (size_t at = 0; at < 4 * EXCHANGE && !error; at += EXCHANGE)
			error = exchange(fd, turn, at);
		note_result(&counts, error, since);
		close(fd);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { 200000, 200000 };

	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	report = calloc(1, sizeof(*report));
	if (argc > 2 && !strcmp(argv[1], "serve"))
		serve(argc - 2, argv + 2);
	else if (argc == 5 && !strcmp(argv[1], "hold"))
		hold(argv[2], atoi(argv[3]), atoi(argv[4]));
	else if (argc == 5 && !strcmp(argv[1], "idle"))
		idle(argv[2], atoi(argv[3]), atoi(argv[4]));
	else if (argc == 4 && !strcmp(argv[1], "dial"))
		dial_on(argv[2], argv[3]);
	else
		return 2;
	return 0;
}
