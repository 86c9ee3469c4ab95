// SPDX-License-Identifier: Apache-2.0
/*
 * A Service that allows only so many connections, from many processes at once: there is never one too many, and when
 * all are closed there is room for exactly as many again.
 *
 *   lb-limit crowd ADDRESS PORT WORKERS SECONDS   open and close as fast as they can; peak: most open at one time
 *   lb-limit fill ADDRESS PORT                    open until refused; opened: how many that were
 *   lb-limit collide ADDRESS PORT COUNT           connects that fail before a SYN: their 4-tuple is in use
 *
 * Prints one line of counts.  The server accepts and leaves the rest to the client (or closes: both will do).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILL = 4096 };

struct shared {
	long open, peak, opened, refused, wrong;
};

#define must(condition) (void)((condition) || (die(#condition), 0))

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in address_of(const char *text, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	must(inet_pton(AF_INET, text, &address.sin_addr) == 1);
	return address;
}

/* The socket, or -1 with errno. */
static int dial(const struct sockaddr_in *to, int own_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, error;
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(own_port) };

	must(fd >= 0);
	if (own_port) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		must(!bind(fd, (void *)&own, sizeof(own)));
	}
	if (!connect(fd, (const void *)to, sizeof(*to)))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void work(struct shared *all, const struct sockaddr_in *to, double until)
{
	while (now_s() < until) {
		int fd = dial(to, 0);
		long open, peak;

		if (fd < 0) {
			__atomic_add_fetch(errno == ECONNREFUSED ? &all->refused : &all->wrong, 1,
					   __ATOMIC_SEQ_CST);
			usleep(500);
			continue;
		}
		open = __atomic_add_fetch(&all->open, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&all->opened, 1, __ATOMIC_SEQ_CST);
		peak = __atomic_load_n(&all->peak, __ATOMIC_SEQ_CST);
		while (open > peak &&
		       !__atomic_compare_exchange_n(&all->peak, &peak, open, 0, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST))
			;
		if (random() % 4)
			sched_yield();
		else
			usleep(200);
		__atomic_sub_fetch(&all->open, 1, __ATOMIC_SEQ_CST);
		reset(fd);
	}
}

static void crowd(const struct sockaddr_in *to, int workers, double seconds)
{
	struct shared *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double until = now_s() + seconds;

	must(all != MAP_FAILED);
	for (int i = 0; i < workers; i++) {
		if (!fork()) {
			srandom(i + 1);
			work(all, to, until);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("peak=%ld opened=%ld refused=%ld wrong=%ld\n", all->peak, all->opened, all->refused,
	       all->wrong);
}

static void fill(const struct sockaddr_in *to)
{
	int fds[MAX_FILL], opened = 0, error;

	while (opened < MAX_FILL && (fds[opened] = dial(to, 0)) >= 0)
		opened++;
	error = errno;
	printf("opened=%d refused=%d\n", opened, error == ECONNREFUSED);
	while (opened > 0)
		reset(fds[--opened]);
}

static void collide(const struct sockaddr_in *to, int count)
{
	int first = dial(to, 40001), collided = 0;

	must(first >= 0);
	for (int i = 0; i < count; i++) {
		int fd = dial(to, 40001);

		if (fd >= 0)
			reset(fd);
		else
			collided += errno == EADDRNOTAVAIL;
	}
	reset(first);
	printf("collided=%d\n", collided);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to;

	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4)
		to = address_of(argv[2], atoi(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "crowd"))
		crowd(&to, atoi(argv[4]), atof(argv[5]));
	else if (argc == 4 && !strcmp(argv[1], "fill"))
		fill(&to);
	else if (argc == 5 && !strcmp(argv[1], "collide"))
		collide(&to, atoi(argv[4]));
	else
		return 2;
	return 0;
}
