/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bench's drivers share: addresses, whole reads and writes, a latency histogram and the
 * one JSON line each client prints.
 */
#ifndef BENCH_H
#define BENCH_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Each power of two of nanoseconds has 512 buckets: 0.2 % wide, whatever the size. */
enum { SUB_BITS = 9, SUB = 1 << SUB_BITS, OCTAVES = 40 };

struct histogram {
	uint32_t counts[OCTAVES * SUB];
	uint64_t total;
};

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

struct report {
	const struct histogram *latency; /* NULL: has none */
	uint64_t operations; /* in the measured time */
	uint64_t total_operations; /* with those before it: what the CPU seconds are for */
	double seconds;
	double gbps; /* negative: not a matter of throughput */
};

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "the stream ended");
	exit(1);
}

static inline void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* TEXT is `A.B.C.D:PORT` or `unix:PATH`. */
static inline struct address parse_address(const char *text)
{
	struct address result = { 0 };
	struct sockaddr_in *in = (void *)&result.storage;
	struct sockaddr_un *un = (void *)&result.storage;
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	long port;

	if (!strncmp(text, "unix:", 5)) {
		if (strlen(text + 5) >= sizeof(un->sun_path))
			fail("the socket's path is too long");
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
		result.length = sizeof(*un);
		return result;
	}
	port = colon ? strtol(colon + 1, NULL, 10) : 0;
	if (port < 1 || port > 65535 || colon - text >= (long)sizeof(host))
		fail("an address is A.B.C.D:PORT or unix:PATH");
	memcpy(host, text, colon - text);
	host[colon - text] = 0;
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		fail("an address is A.B.C.D:PORT or unix:PATH");
	result.length = sizeof(*in);
	return result;
}

static inline void no_delay(int fd, const struct address *address)
{
	int one = 1;

	if (address->storage.ss_family == AF_INET)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static inline int dial(const struct address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	no_delay(fd, address);
	if (connect(fd, (const void *)&address->storage, address->length))
		die("connect");
	return fd;
}

static inline int serve(const struct address *address, int flags)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const void *)&address->storage, address->length))
		die("bind");
	if (listen(fd, 4096))
		die("listen");
	return fd;
}

/*
 * How many blocking reads returned EAGAIN.  In a sockmap they do when they are woken without data (the
 * kernel's tcp_bpf_recvmsg_parser waits once); a bench can read again, but many programs would not.
 */
static uint64_t empty_wakes;

static inline ssize_t read_some(int fd, void *buffer, size_t count)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t got;

	for (;;) {
		errno = 0;
		got = read(fd, buffer, count);
		if (got >= 0 || errno != EAGAIN)
			return got;
		if (fcntl(fd, F_GETFL) & O_NONBLOCK)
			poll(&ready, 1, -1);
		else
			empty_wakes++;
	}
}

/* Whether all of COUNT bytes were read; errno is 0 when the stream ended. */
static inline bool read_all(int fd, void *buffer, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t got = read_some(fd, (char *)buffer + done, count - done);

		if (got <= 0)
			return false;
		done += got;
	}
	return true;
}

static inline bool write_all(int fd, const void *buffer, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t put = write(fd, (const char *)buffer + done, count - done);

		if (put <= 0)
			return false;
		done += put;
	}
	return true;
}

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
	uint64_t limit = 1ull << (OCTAVES + SUB_BITS - 2);
	uint32_t octave, index;

	if (ns >= limit)
		ns = limit - 1;
	/* Below SUB every nanosecond has a bucket of its own. */
	octave = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - SUB_BITS + 1;
	index = octave ? octave * SUB + (ns >> (octave - 1)) - SUB : ns;
	histogram->counts[index]++;
	histogram->total++;
}

/* In microseconds; the middle of the bucket that holds the SHARE-th of all values. */
static inline double histogram_us(const struct histogram *histogram, double share)
{
	uint64_t rank = histogram->total * share, seen = 0;

	for (uint32_t index = 0; index < OCTAVES * SUB; index++) {
		seen += histogram->counts[index];
		if (seen > rank) {
			uint32_t octave = index / SUB;
			double width = octave ? 1ull << (octave - 1) : 1;
			double low = octave ? (index % SUB + SUB) * width : index;

			return (low + width / 2) / 1000;
		}
	}
	return 0;
}

static inline double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static inline void print_us(const char *name, const struct histogram *latency, double share)
{
	if (latency && latency->total)
		printf("\"%s\":%.3f,", name, histogram_us(latency, share));
	else
		printf("\"%s\":null,", name);
}

static inline void print_report(const struct report *report)
{
	printf("{");
	print_us("p50Us", report->latency, 0.5);
	print_us("p90Us", report->latency, 0.9);
	print_us("p99Us", report->latency, 0.99);
	print_us("p999Us", report->latency, 0.999);
	printf("\"opsPerSecond\":%.1f,", report->operations / report->seconds);
	if (report->gbps >= 0)
		printf("\"gbps\":%.4f,", report->gbps);
	else
		printf("\"gbps\":null,");
	printf("\"operations\":%llu,\"emptyWakes\":%llu,\"cpuSeconds\":%.6f}\n",
	       (unsigned long long)report->total_operations, (unsigned long long)empty_wakes,
	       cpu_seconds());
}

#endif
