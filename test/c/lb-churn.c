// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that end in every way there is, by the ten thousands: what counts connections must be at zero afterwards.
 *
 *   lb-churn serve ADDRESS PORT                       accepts and closes at once
 *   lb-churn drive ADDRESS PORT REFUSED_ADDRESS COUNT   REFUSED_ADDRESS leads to a closed port
 *
 * Prints one line of counts.  Exit code 1 when a connection that should have been made was not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 2, DOOMED = 50, CYCLE = 20 };

enum ending {
	ENDS_SERVER_FIRST,
	ENDS_REFUSED,
	ENDS_RESET,
	ENDS_HANDSHAKE, /* closed while it still waits for the SYN-ACK */
	ENDS_REUSED, /* connected, disconnected with AF_UNSPEC, connected again */
	ENDS_KILLED, /* with its process */
	ENDINGS,
};

static const char *const names[ENDINGS] = { "served",	 "refused", "reset",
					    "handshake", "reused",  "killed" };

struct plan {
	struct sockaddr_storage open, refused;
	socklen_t length;
};

struct counts {
	long done[ENDINGS];
	long wrong;
};

#define must(condition) (void)((condition) || (die(#condition), 0))

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static socklen_t address_of(const char *text, int port, struct sockaddr_storage *to)
{
	struct sockaddr_in *four = (void *)to;
	struct sockaddr_in6 *six = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof(*four);
	}
	must(inet_pton(AF_INET6, text, &six->sin6_addr) == 1);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	return sizeof(*six);
}

static int dial(const struct plan *plan, const struct sockaddr_storage *to, int flags, int *error)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	must(fd >= 0);
	*error = connect(fd, (const void *)to, plan->length) ? errno : 0;
	return fd;
}

static void read_to_end(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, 0) > 0)
		;
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void one(const struct plan *plan, enum ending ending, struct counts *counts)
{
	const struct sockaddr_storage *to = ending == ENDS_REFUSED ? &plan->refused : &plan->open;
	int expected = ending == ENDS_REFUSED	? ECONNREFUSED :
		       ending == ENDS_HANDSHAKE ? EINPROGRESS :
						  0;
	int error, fd = dial(plan, to, ending == ENDS_HANDSHAKE ? SOCK_NONBLOCK : 0, &error);

	counts->done[ending]++;
	counts->wrong += error != expected && !(ending == ENDS_HANDSHAKE && !error);
	if (ending == ENDS_REUSED && !error) {
		struct sockaddr nobody = { .sa_family = AF_UNSPEC };

		must(!connect(fd, &nobody, sizeof(nobody)));
		counts->wrong += connect(fd, (const void *)to, plan->length) != 0;
	}
	if (ending == ENDS_RESET) {
		reset(fd);
		return;
	}
	if (!error && ending != ENDS_HANDSHAKE)
		read_to_end(fd);
	close(fd);
}

/* A process with many open connections is killed. */
static void doomed(const struct plan *plan, struct counts *counts)
{
	int ready[2], status;
	char byte;
	pid_t child;

	must(!pipe(ready));
	child = fork();
	if (!child) {
		int error;

		for (int i = 0; i < DOOMED; i++)
			dial(plan, &plan->open, 0, &error);
		must(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1) == 1);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ready[0]);
	close(ready[1]);
	counts->done[ENDS_KILLED] += DOOMED;
}

static void work(const struct plan *plan, long count, struct counts *counts)
{
	static const enum ending cycle[CYCLE] = {
		[3] = ENDS_REFUSED,    [7] = ENDS_REFUSED,    [11] = ENDS_REFUSED,
		[1] = ENDS_RESET,      [5] = ENDS_RESET,      [9] = ENDS_RESET,
		[13] = ENDS_RESET,     [14] = ENDS_HANDSHAKE, [15] = ENDS_REUSED,
		[16] = ENDS_HANDSHAKE, [17] = ENDS_REUSED,    [18] = ENDS_REFUSED,
	};
	long done = 0;

	for (long i = 0; done < count; i++) {
		if (i % 500 == 499) {
			doomed(plan, counts);
			done += DOOMED;
			continue;
		}
		one(plan, cycle[i % CYCLE], counts);
		done++;
	}
}

static int drive(const struct plan *plan, long count)
{
	struct counts *all = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0);
	struct counts sum = {};
	uint64_t start = now_ms();

	for (int i = 0; i < WORKERS; i++) {
		if (!fork()) {
			work(plan, count / WORKERS, &all[i]);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		int status;

		must(wait(&status) > 0 && !status);
	}
	for (int i = 0; i < WORKERS; i++) {
		sum.wrong += all[i].wrong;
		for (int k = 0; k < ENDINGS; k++)
			sum.done[k] += all[i].done[k];
	}
	for (int k = 0; k < ENDINGS; k++)
		printf("%s=%ld ", names[k], sum.done[k]);
	printf("wrong=%ld ms=%ld\n", sum.wrong, (long)(now_ms() - start));
	return sum.wrong ? 1 : 0;
}

static _Noreturn void serve(const struct sockaddr_storage *at, socklen_t length)
{
	int one = 1, listener = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(listener >= 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(!bind(listener, (const void *)at, length));
	must(!listen(listener, 4096));
	puts("listening");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			close(fd);
	}
}

int main(int argc, char **argv)
{
	struct plan plan;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve")) {
		socklen_t length = address_of(argv[2], atoi(argv[3]), &plan.open);

		serve(&plan.open, length);
	}
	if (argc == 6 && !strcmp(argv[1], "drive")) {
		plan.length = address_of(argv[2], atoi(argv[3]), &plan.open);
		address_of(argv[4], atoi(argv[3]), &plan.refused);
		return drive(&plan, atol(argv[5]));
	}
	fputs("usage: lb-churn serve ADDRESS PORT | drive ADDRESS PORT REFUSED_ADDRESS COUNT\n",
	      stderr);
	return 2;
}
