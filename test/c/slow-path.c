// SPDX-License-Identifier: Apache-2.0
/*
 * A link between two network namespaces that is slow: a tun device "slow0" in each, and every packet is handed on after
 * MS milliseconds.  (This kernel has no netem.)  The devices go with the process.
 *
 *   slow-path NETNS_PATH NETNS_PATH MS
 *
 * Prints "ready" when both devices are there; addresses and routes are the caller's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 1024, BYTES = 2048 };

struct packet {
	uint64_t due_ms;
	int to;
	int length;
	char bytes[BYTES];
};

static struct packet queue[PACKETS];
static unsigned head, tail;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static int tun_in(const char *netns)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), tun;

	strcpy(request.ifr_name, "slow0");
	if (ns < 0 || setns(ns, CLONE_NEWNET)) {
		perror(netns);
		exit(1);
	}
	close(ns);
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) {
		perror("/dev/net/tun");
		exit(1);
	}
	return tun;
}

int main(int argc, char **argv)
{
	struct pollfd ends[2] = { { .events = POLLIN }, { .events = POLLIN } };
	uint64_t delay;

	if (argc != 4)
		return 2;
	ends[0].fd = tun_in(argv[1]);
	ends[1].fd = tun_in(argv[2]);
	delay = atoi(argv[3]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int wait = -1;

		while (head != tail && queue[head % PACKETS].due_ms <= now_ms()) {
			struct packet *packet = &queue[head++ % PACKETS];

			/* a packet the other end does not take is lost, as on any link */
			if (write(packet->to, packet->bytes, packet->length) < 0)
				continue;
		}
		if (head != tail) {
			uint64_t now = now_ms(), due = queue[head % PACKETS].due_ms;

			wait = due > now ? due - now : 0;
		}
		if (poll(ends, 2, wait) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			struct packet *packet = &queue[tail % PACKETS];

			if (!(ends[i].revents & POLLIN) || tail - head == PACKETS)
				continue;
			packet->length = read(ends[i].fd, packet->bytes, BYTES);
			if (packet->length <= 0)
				continue;
			packet->to = ends[!i].fd;
			packet->due_ms = now_ms() + delay;
			tail++;
		}
	}
}
