/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets in the two namespaces, position-coded streams over them, and the question which way the
 * bytes took.
 */
#ifndef TORTURE_STREAM_H
#define TORTURE_STREAM_H

#include "torture.h"
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* ---- position-coded bytes ---- */

static inline uint8_t pattern_byte(uint64_t seed, uint64_t offset)
{
	uint64_t word = (offset >> 3) * 0x9E3779B97F4A7C15ull + seed;

	word ^= word >> 29;
	return word >> (8 * (offset & 7));
}

static inline void pattern_fill(uint64_t seed, uint64_t offset, uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = pattern_byte(seed, offset + i);
}

/* Position of the first wrong byte, or -1. */
static inline long pattern_mismatch(uint64_t seed, uint64_t offset, const uint8_t *bytes,
				    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != pattern_byte(seed, offset + i))
			return offset + i;
	return -1;
}

/* ---- sockets ---- */

static inline socklen_t make_address(struct sockaddr_storage *address, int family, const char *ip,
				     int port)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	memset(address, 0, sizeof(*address));
	if (family == AF_INET) {
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		must(inet_pton(AF_INET, ip, &v4->sin_addr) == 1);
		return sizeof(*v4);
	}
	*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	must(inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1);
	return sizeof(*v6);
}

/* The family of the client's sockets and of the server's listener, by the options. */
static inline int socket_family(void)
{
	return options.mapped || strchr(options.server_addr, ':') ? AF_INET6 : AF_INET;
}

static inline const char *server_ip(void)
{
	static char mapped[64];

	if (!options.mapped)
		return options.server_addr;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", options.server_addr);
	return mapped;
}

static inline int make_socket(int ns, int family, int protocol)
{
	int fd, yes = 1, no = 0;

	must(!setns(ns, CLONE_NEWNET));
	must((fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol)) >= 0);
	must(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)));
	if (family == AF_INET6)
		must(!setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)));
	return fd;
}

static inline int local_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	must(!getsockname(fd, (void *)&address, &length));
	return ntohs(((struct sockaddr_in *)&address)->sin_port); /* same place in sockaddr_in6 */
}

static inline int make_listener_at(int ns, int family, const char *ip, int port, int protocol,
				   int backlog)
{
	struct sockaddr_storage address;
	int fd = make_socket(ns, family, protocol);
	socklen_t length = make_address(&address, family, ip, port);

	must(!bind(fd, (void *)&address, length));
	must(!listen(fd, backlog));
	return fd;
}

static inline int make_listener(int backlog)
{
	return make_listener_at(options.server_ns, socket_family(), server_ip(), 0, 0, backlog);
}

static inline socklen_t server_address(struct sockaddr_storage *address, int port)
{
	return make_address(address, socket_family(), server_ip(), port);
}

static inline int make_client(void)
{
	return make_socket(options.client_ns, socket_family(), 0);
}

static inline long connect_to(int fd, int port)
{
	struct sockaddr_storage address;
	socklen_t length = server_address(&address, port);

	return result(connect(fd, (void *)&address, length));
}

static inline int accept_one(int listener)
{
	int fd;

	must((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	return fd;
}

static inline void connect_pair(int *client, int *server)
{
	int listener = make_listener(16);

	*client = make_client();
	must(!connect_to(*client, local_port(listener)));
	*server = accept_one(listener);
	close(listener);
}

static inline void set_timeout(int fd, int ms)
{
	struct timeval timeout = { ms / 1000, (ms % 1000) * 1000 };

	must(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
}

static inline void set_int(int fd, int level, int name, int value)
{
	must(!setsockopt(fd, level, name, &value, sizeof(value)));
}

static inline int int_ioctl(int fd, unsigned long request)
{
	int value = -1;

	must(!ioctl(fd, request, &value));
	return value;
}

/* ---- streams ---- */

/* Sends bytes [from, to) of the pattern in writes of `chunk`; returns 0 or -errno. */
static inline long send_range(int fd, uint64_t seed, size_t from, size_t to, size_t chunk)
{
	uint8_t *bytes = malloc(chunk);
	long sent = 0;

	while (from < to && sent >= 0) {
		size_t count = to - from < chunk ? to - from : chunk;

		pattern_fill(seed, from, bytes, count);
		for (size_t done = 0; done < count; done += sent) {
			sent = result(send(fd, bytes + done, count - done, MSG_NOSIGNAL));
			if (sent < 0)
				break;
		}
		from += count;
	}
	free(bytes);
	return sent < 0 ? sent : 0;
}

static inline long send_pattern(int fd, uint64_t seed, size_t count, size_t chunk)
{
	return send_range(fd, seed, 0, count, chunk);
}

/* recv() on a blocking socket without a time-out; see torture-differences.h for what it allows for. */
static inline long recv_blocking(int fd, void *bytes, size_t count)
{
	long got;

	do {
		got = result(recv(fd, bytes, count, 0));
		report->early_wakes += got == -EAGAIN;
	} while (got == -EAGAIN && options.spliced);
	return got;
}

/* Reads until EOF or error in reads of `chunk` and checks every byte; returns how many came and
 * what the last recv said. */
static inline size_t read_all(int fd, uint64_t seed, size_t chunk, int pause_us, long *last)
{
	uint8_t *bytes = malloc(chunk);
	size_t got = 0;

	while ((*last = result(recv(fd, bytes, chunk, 0))) > 0) {
		expect(pattern_mismatch(seed, got, bytes, *last), -1);
		got += *last;
		if (pause_us)
			usleep(pause_us);
	}
	free(bytes);
	return got;
}

/* Reads exactly [from, to) of the pattern. */
static inline void read_range(int fd, uint64_t seed, size_t from, size_t to)
{
	uint8_t bytes[65536];

	while (from < to) {
		long got = result(
			recv(fd, bytes, to - from < sizeof(bytes) ? to - from : sizeof(bytes), 0));

		if (got <= 0)
			torture_fail("line %d: recv is %ld at byte %zu of %zu", report->line, got,
				     from, to);
		expect(pattern_mismatch(seed, from, bytes, got), -1);
		from += got;
	}
}

struct writer {
	pthread_t thread;
	int fd;
	uint64_t seed;
	size_t count;
	size_t chunk;
	int delay_ms;
	bool shut; /* SHUT_WR at the end */
	long error;
};

static inline void *writer_run(void *argument)
{
	struct writer *writer = argument;

	sleep_ms(writer->delay_ms);
	writer->error = send_pattern(writer->fd, writer->seed, writer->count, writer->chunk);
	if (writer->shut)
		shutdown(writer->fd, SHUT_WR);
	return NULL;
}

static inline void writer_start(struct writer *writer)
{
	must(!pthread_create(&writer->thread, NULL, writer_run, writer));
}

static inline void writer_join(struct writer *writer)
{
	must(!pthread_join(writer->thread, NULL));
}

/* ---- which way the bytes took ---- */

/*
 * Of `sent` bytes written to fd so far, how many did not travel through TCP.  Probes of a closed window
 * count as sent, so a stalled connection may show a few less, never more.
 */
static inline long redirected_bytes(int fd, long sent)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	must(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return sent - info.tcpi_notsent_bytes -
	       (long)(info.tcpi_bytes_sent - info.tcpi_bytes_retrans);
}

/* Some bytes must have been redirected under --expect spliced, none under --expect plain. */
static inline void expect_path(int fd, long sent)
{
	long redirected = redirected_bytes(fd, sent);

	if (options.spliced && redirected <= 0)
		torture_fail("line %d: not spliced: all %ld bytes went through TCP", report->line,
			     sent);
	if (!options.spliced && redirected > 0)
		torture_fail("line %d: spliced: %ld of %ld bytes bypassed TCP", report->line,
			     redirected, sent);
}

static inline void expect_plain(int fd, long sent)
{
	long redirected = redirected_bytes(fd, sent);

	if (redirected > 0)
		torture_fail("line %d: spliced: %ld of %ld bytes bypassed TCP", report->line,
			     redirected, sent);
}

#endif
