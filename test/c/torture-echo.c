// SPDX-License-Identifier: Apache-2.0
/*
 * An echo server and the client that checks it, for whatever stands between them (a proxy, an
 * io_uring reader, a process that inherited the descriptor).  Both read with recv(2) only, so that
 * the program under test is the one in the middle.
 *
 * The client counts how every connection ended; a connection without progress for HUNG_MS is hung,
 * and nothing may ever be.
 */
#include "torture-ring.h"
#include "torture-stream.h"
#include <poll.h>
#include <sys/resource.h>

enum { HUNG_MS = 8000 };

enum ending {
	OK,
	REFUSED,
	RESET, /* ECONNRESET, ECONNABORTED, EPIPE: somebody said that it is over */
	SHORT, /* EOF before the last byte */
	CORRUPT,
	HUNG,
	ENDINGS,
};

static const char *const ending_names[ENDINGS] = { "ok",    "refused", "reset",
						   "short", "corrupt", "hung" };

/* ---- server ---- */

static void *echo_plain(void *argument)
{
	uint8_t bytes[65536];
	int fd = (intptr_t)argument;
	ssize_t count;

	while ((count = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		for (ssize_t done = 0, sent; done < count; done += sent)
			if ((sent = send(fd, bytes + done, count - done, MSG_NOSIGNAL)) < 0)
				goto out;
out:
	close(fd);
	return NULL;
}

static void *echo_io_uring(void *argument)
{
	uint8_t bytes[65536];
	int fd = (intptr_t)argument;
	struct ring ring;
	long count;

	ring_open(&ring);
	for (;;) {
		ring_submit(&ring, IORING_OP_RECV, fd, bytes, sizeof(bytes));
		count = ring_wait(&ring);
		if (count <= 0)
			break;
		for (ssize_t done = 0, sent; done < count; done += sent)
			if ((sent = send(fd, bytes + done, count - done, MSG_NOSIGNAL)) < 0)
				goto out;
	}
out:
	close(ring.fd);
	close(fd);
	return NULL;
}

static int listen_on(const char *ip, int port)
{
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET, fd, yes = 1;
	struct sockaddr_storage address;
	socklen_t length = make_address(&address, family, ip, port);

	must((fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	must(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)));
	must(!bind(fd, (void *)&address, length));
	must(!listen(fd, 1024));
	printf("listening\n");
	return fd;
}

/* Connections from number `hand_over` on are given to `program` as its descriptor 0 (0: never). */
static void serve(int listener, void *(*echo)(void *), long hand_over, const char *program)
{
	signal(SIGCHLD, SIG_IGN);
	for (long number = 1;; number++) {
		int fd = accept_one(listener);
		pthread_t thread;

		if (!hand_over || number < hand_over) {
			must(!pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd));
			must(!pthread_detach(thread));
			continue;
		}
		if (!fork()) {
			dup2(fd, STDIN_FILENO);
			execl(program, program, (char *)NULL);
			_exit(127);
		}
		close(fd);
	}
}

/* ---- client ---- */

struct drive {
	const char *ip;
	int port;
	long connections;
	long bytes;
	bool half_close; /* SHUT_WR after the last byte; else close when the echo is complete */
	long next;
	long counts[ENDINGS];
	long worst_ms;
};

static enum ending ending_of_errno(void)
{
	return errno == ECONNREFUSED ? REFUSED : errno == ETIMEDOUT ? HUNG : RESET;
}

static enum ending converse(const struct drive *drive, int fd, uint64_t seed)
{
	uint8_t out[16384], in[65536];
	long sent = 0, got = 0;

	for (;;) {
		bool sending = sent < drive->bytes;
		struct pollfd item = { .fd = fd, .events = POLLIN | (sending ? POLLOUT : 0) };

		if (poll(&item, 1, HUNG_MS) == 0)
			return HUNG;
		if (sending && item.revents & POLLOUT) {
			long size = drive->bytes - sent < (long)sizeof(out) ? drive->bytes - sent :
									      (long)sizeof(out);

			pattern_fill(seed, sent, out, size);
			ssize_t count = send(fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (count < 0 && errno != EAGAIN)
				return ending_of_errno();
			sent += count > 0 ? count : 0;
			if (sent == drive->bytes && drive->half_close)
				shutdown(fd, SHUT_WR);
		}
		if (item.revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t count = recv(fd, in, sizeof(in), MSG_DONTWAIT);
			if (count < 0 && errno == EAGAIN)
				continue;
			if (count < 0)
				return ending_of_errno();
			if (count == 0)
				return got == drive->bytes ? OK : SHORT;
			if (pattern_mismatch(seed, got, in, count) >= 0)
				return CORRUPT;
			got += count;
			if (got == drive->bytes && !drive->half_close)
				return OK;
		}
	}
}

static void *drive_run(void *argument)
{
	struct drive *drive = argument;
	int family = strchr(drive->ip, ':') ? AF_INET6 : AF_INET;
	long number;

	while ((number = __atomic_fetch_add(&drive->next, 1, __ATOMIC_RELAXED)) <
	       drive->connections) {
		struct sockaddr_storage address;
		socklen_t length = make_address(&address, family, drive->ip, drive->port);
		int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint64_t start = now_ms();
		enum ending ending = connect(fd, (void *)&address, length) ?
					     ending_of_errno() :
					     converse(drive, fd, number);

		close(fd);
		__atomic_fetch_add(&drive->counts[ending], 1, __ATOMIC_RELAXED);
		if (ending != OK)
			fprintf(stderr, "connection %ld: %s after %ld ms\n", number + 1,
				ending_names[ending], (long)(now_ms() - start));
		long took = now_ms() - start;
		if (took > drive->worst_ms)
			drive->worst_ms = took;
	}
	return NULL;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: torture-echo serve|serve-io-uring IP PORT [HAND_OVER_FROM PROGRAM]\n"
		"       torture-echo drive IP PORT CONNECTIONS CONCURRENT BYTES [half-close]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 100000, 100000 };
	struct torture_report local = {};

	if (argc < 4)
		usage();
	report = &local;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strncmp(argv[1], "serve", 5)) {
		bool ring = !strcmp(argv[1], "serve-io-uring");

		serve(listen_on(argv[2], atoi(argv[3])), ring ? echo_io_uring : echo_plain,
		      argc > 5 ? atol(argv[4]) : 0, argv[5]);
	}
	if (strcmp(argv[1], "drive") || argc < 7)
		usage();
	struct drive drive = { .ip = argv[2],
			       .port = atoi(argv[3]),
			       .connections = atol(argv[4]),
			       .bytes = atol(argv[6]),
			       .half_close = argc > 7 && !strcmp(argv[7], "half-close") };
	int concurrent = atoi(argv[5]);
	pthread_t *threads = calloc(concurrent, sizeof(*threads));
	for (int i = 0; i < concurrent; i++)
		must(!pthread_create(&threads[i], NULL, drive_run, &drive));
	for (int i = 0; i < concurrent; i++)
		must(!pthread_join(threads[i], NULL));
	for (int i = 0; i < ENDINGS; i++)
		printf("%s=%ld ", ending_names[i], drive.counts[i]);
	printf("worst_ms=%ld\n", drive.worst_ms);
	return drive.counts[OK] == drive.connections ? 0 : 1;
}
