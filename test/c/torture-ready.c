// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: readiness, counting and backpressure.  epoll edges, poll, time-outs, MSG_PEEK,
 * FIONREAD, io_uring, and how much may be accepted, and how much kernel memory pinned, while nobody
 * reads.
 */
#include "torture-differences.h"
#include "torture-ring.h"
#include "torture-stream.h"
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static uint8_t scratch[65536];

static int watch(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int epoll;

	must(!fcntl(fd, F_SETFL, O_NONBLOCK));
	must((epoll = epoll_create1(0)) >= 0);
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

static int ready(int epoll, int ms)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, ms);
}

static void epoll_stream(bool edge)
{
	struct writer writer = { .seed = 1, .count = 3000000, .chunk = 777, .shut = true };
	bool ended = false;
	size_t got = 0;
	int server;

	connect_pair(&writer.fd, &server);
	int epoll = watch(server, EPOLLIN | EPOLLRDHUP | (edge ? EPOLLET : 0));
	expect(ready(epoll, 20), 0);
	writer_start(&writer);
	while (!ended) {
		expect(ready(epoll, 5000), 1);
		do {
			long count = result(recv(server, scratch, 5000, 0));
			if (count == -EAGAIN)
				break;
			expect(count >= 0, true);
			expect(pattern_mismatch(1, got, scratch, count), -1);
			got += count;
			ended = count == 0;
		} while (edge && !ended);
	}
	writer_join(&writer);
	expect(got, writer.count);
	expect_path(writer.fd, writer.count);
}

static void epoll_level(void)
{
	epoll_stream(false);
}

static void epoll_edge(void)
{
	epoll_stream(true);
}

/* Edge triggered and read in part: new bytes give a new edge. */
static void epoll_edge_partial(void)
{
	int client, server;

	connect_pair(&client, &server);
	int epoll = watch(server, EPOLLIN | EPOLLET);
	expect(send_range(client, 2, 0, 1000, 1000), 0);
	expect(ready(epoll, 1000), 1);
	read_range(server, 2, 0, 10);
	expect(ready(epoll, 50), 0);
	expect(send_range(client, 2, 1000, 2000, 1000), 0);
	expect(ready(epoll, 1000), 1);
	read_range(server, 2, 10, 2000);
	expect(result(recv(server, scratch, 1, 0)), -EAGAIN);
}

static void added_after_data(void)
{
	int client, server;

	connect_pair(&client, &server);
	expect(send_range(client, 3, 0, 10, 10), 0);
	expect_path(client, 10);
	sleep_ms(20);
	expect(ready(watch(server, EPOLLIN | EPOLLET), 1000), 1);
	struct pollfd item = { .fd = server, .events = POLLIN };
	expect(poll(&item, 1, 0), 1);
	struct timeval none = { 0, 0 };
	fd_set set;
	FD_ZERO(&set);
	FD_SET(server, &set);
	expect(select(server + 1, &set, NULL, NULL, &none), 1);
}

/* EPOLLOUT comes back when a stalled reader begins to read. */
static void writable_again(void)
{
	int client, server;
	size_t sent = 0;
	long count;

	connect_pair(&client, &server);
	int epoll = watch(client, EPOLLOUT | EPOLLET);
	while ((count = result(send(client, scratch, sizeof(scratch), MSG_NOSIGNAL))) > 0)
		sent += count;
	expect(count, -EAGAIN);
	while (ready(epoll, 300)) /* the TCP leg may still move a little */
		while ((count = result(send(client, scratch, sizeof(scratch), MSG_NOSIGNAL))) > 0)
			sent += count;
	set_timeout(server, 1000);
	for (size_t got = 0; got < sent; got += count)
		expect((count = result(recv(server, scratch, sizeof(scratch), 0))) > 0, true);
	expect(ready(epoll, 2000), 1);
}

static void timeouts(void)
{
	struct timeval send_timeout = { 0, 200000 };
	struct writer writer = { .seed = 4, .count = 5, .chunk = 5, .delay_ms = 100 };
	int server;
	size_t sent = 0;
	uint64_t start = now_ms();
	long count;

	connect_pair(&writer.fd, &server);
	set_timeout(server, 200);
	expect(result(recv(server, scratch, 10, 0)), -EAGAIN);
	expect(now_ms() - start >= 190, true);
	writer_start(&writer);
	expect(result(recv(server, scratch, 10, 0)), 5);
	writer_join(&writer);
	must(!setsockopt(writer.fd, SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof(send_timeout)));
	while ((count = result(send(writer.fd, scratch, sizeof(scratch), MSG_NOSIGNAL))) > 0 &&
	       sent < 64 * MIB)
		sent += count;
	expect(count, -EAGAIN);
}

static void blocked_recv_is_woken(void)
{
	for (int i = 0; i < 20; i++) {
		struct writer writer = { .seed = 5, .count = 50, .chunk = 50, .delay_ms = 10 };
		int server;

		connect_pair(&writer.fd, &server);
		writer_start(&writer);
		read_range(server, 5, 0, 50);
		writer_join(&writer);
		expect_path(writer.fd, 50);
		close(server);
		close(writer.fd);
	}
}

static void *recv_reply(void *argument)
{
	uint8_t bytes[8];

	return (void *)recv_blocking(*(int *)argument, bytes, sizeof(bytes));
}

/* One thread sleeps in recv() while another writes more to the same socket than its peer reads. */
static void blocked_recv_while_sending(void)
{
	struct writer writer = { .seed = 12, .count = 8 * MIB, .chunk = 65536 };
	int server;
	pthread_t thread;
	void *got;

	connect_pair(&writer.fd, &server);
	must(!pthread_create(&thread, NULL, recv_reply, &writer.fd));
	sleep_ms(20);
	writer_start(&writer);
	sleep_ms(100);
	read_range(server, 12, 0, writer.count);
	writer_join(&writer);
	expect(result(send(server, "reply", 5, 0)), 5);
	must(!pthread_join(thread, &got));
	expect((long)got, 5);
	note("woken early %d times", report->early_wakes);
}

static void peek(void)
{
	char text[16] = "";
	int client, server;

	connect_pair(&client, &server);
	set_timeout(server, 300);
	must(send(client, "AAAA", 4, 0) == 4);
	sleep_ms(10);
	expect(result(recv(server, text, 2, MSG_PEEK)), 2);
	expect(result(recv(server, text, 10, MSG_PEEK)), 4);
	must(send(client, "BBBB", 4, 0) == 4);
	sleep_ms(10);
	expect(result(recv(server, text, 10, MSG_PEEK)), 8);
	expect(memcmp(text, "AAAABBBB", 8), 0);
	expect(result(recv(server, text, 3, 0)), 3);
	expect(result(recv(server, text, 10, MSG_PEEK)), 5);
	expect(memcmp(text, "ABBBB", 5), 0);
	expect(result(recv(server, text, 10, 0)), 5);
	expect(memcmp(text, "ABBBB", 5), 0);
	expect(result(recv(server, text, 10, MSG_PEEK)), -EAGAIN);
	expect_path(client, 8);
}

static void fionread(void)
{
	int client, server;

	connect_pair(&client, &server);
	expect(int_ioctl(server, FIONREAD), 0);
	expect(send_range(client, 6, 0, 5000, 5000), 0);
	sleep_ms(20);
	expect(int_ioctl(server, FIONREAD), 5000);
	expect(int_ioctl(client, SIOCOUTQ), 0);
	read_range(server, 6, 0, 1000);
	expect(int_ioctl(server, FIONREAD), 4000);
	read_range(server, 6, 1000, 5000);
	expect(int_ioctl(server, FIONREAD), 0);
	expect_path(client, 5000);
}

/* Fills until nothing more is accepted; what nobody reads is bounded. */
static size_t fill(int client, size_t limit)
{
	size_t sent = 0;

	for (int idle = 0; idle < 60 && sent < limit;) {
		size_t count = limit - sent < sizeof(scratch) ? limit - sent : sizeof(scratch);

		pattern_fill(7, sent, scratch, count);
		long accepted = result(send(client, scratch, count, MSG_DONTWAIT | MSG_NOSIGNAL));
		if (accepted > 0) {
			sent += accepted;
			idle = 0;
			continue;
		}
		expect(accepted, -EAGAIN);
		idle++;
		sleep_ms(5);
	}
	return sent;
}

/* A queue that holds redirected bytes and bytes that came through TCP: counts and peeks see one
 * queue. */
static void fionread_of_mixed_queue(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	size_t sent = fill(client, 64 * MIB);
	int readable = int_ioctl(server, FIONREAD), unacked = int_ioctl(client, SIOCOUTQ);
	uint8_t *bytes = malloc(sent);
	expect(readable + unacked >= (long)sent, true);
	/* sk_rcvbuf may end a peek of the plain queue early, never add to it */
	long peeked = result(recv(server, bytes, sent, MSG_PEEK));
	expect(peeked, readable);
	expect(pattern_mismatch(7, 0, bytes, peeked), -1);
	shutdown(client, SHUT_WR);
	expect(read_all(server, 7, 65536, 0, &last), sent);
	expect(last, 0);
	expect_path(client, sent);
	if (options.spliced)
		expect(redirected_bytes(client, sent) < (long)sent, true);
	note("%zu KiB accepted, %ld KiB redirected", sent / 1024,
	     redirected_bytes(client, sent) / 1024);
}

static void backpressure(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	size_t sent = fill(client, 64 * MIB);
	expect_at_most(sent, 4 * MIB);
	expect(result(send(client, scratch, 1, MSG_DONTWAIT | MSG_NOSIGNAL)), -EAGAIN);
	shutdown(client, SHUT_WR);
	expect(read_all(server, 7, 65536, 0, &last), sent);
	expect(last, 0);
	note("%zu KiB accepted", sent / 1024);
}

static void backpressure_of_blocking_writer(void)
{
	struct writer writer = { .seed = 8, .count = 32 * MIB, .chunk = 65536, .shut = true };
	int server;
	long last;

	connect_pair(&writer.fd, &server);
	writer_start(&writer);
	sleep_ms(500);
	expect_at_most(int_ioctl(server, FIONREAD) + int_ioctl(writer.fd, SIOCOUTQ), 4 * MIB);
	expect(read_all(server, 8, 65536, 0, &last), writer.count);
	expect(last, 0);
	writer_join(&writer);
	expect(writer.error, 0);
}

/* The reader comes back after a pause longer than any retransmission time-out in use by then. */
static void long_stall(void)
{
	struct writer writer = { .seed = 11, .count = 8 * MIB, .chunk = 65536, .shut = true };
	int server;
	long last;

	connect_pair(&writer.fd, &server);
	writer_start(&writer);
	sleep(8);
	expect(read_all(server, 11, 65536, 0, &last), writer.count);
	expect(last, 0);
	writer_join(&writer);
	expect(writer.error, 0);
}

static long available_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	must(file);
	while (kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %ld", &kib);
	fclose(file);
	return kib;
}

/*
 * A redirected message costs about 1.2 KB of kernel memory even when it carries one byte: 400,000
 * of them would pin 480 MB.  Others use the machine too, so the least of three measurements counts.
 */
static void backpressure_of_single_bytes(void)
{
	enum { MESSAGES = 400000 };
	long least = 1 << 30, accepted = 0;

	for (int attempt = 0; attempt < 3 && least > 32 * KIB; attempt++) {
		int client, server;

		connect_pair(&client, &server);
		long before = available_kib(), last;
		for (accepted = 0; accepted < MESSAGES; accepted++) {
			uint8_t byte = pattern_byte(9, accepted);
			if (send(client, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
				break;
		}
		long used = before - available_kib();
		least = used < least ? used : least;
		shutdown(client, SHUT_WR);
		expect(read_all(server, 9, 65536, 0, &last), accepted);
		expect(last, 0);
		close(client);
		close(server);
	}
	expect_at_most(least, 32 * KIB);
	note("%ld messages accepted, %ld KiB pinned", accepted, least);
}

/* The receive is queued before the bytes come, so it completes through io_uring's own poll. */
static void io_uring_recv(void)
{
	uint8_t bytes[4096];
	struct ring ring;
	int client, server;

	ring_open(&ring);
	connect_pair(&client, &server);
	for (int i = 0; i < 50; i++) {
		ring_submit(&ring, IORING_OP_RECV, server, bytes, sizeof(bytes));
		expect(send_range(client, 10, i * 3000, i * 3000 + 3000, 3000), 0);
		expect(ring_wait(&ring), 3000);
		expect(pattern_mismatch(10, i * 3000, bytes, 3000), -1);
		ring_submit(&ring, IORING_OP_SEND, server, bytes, 3000);
		expect(ring_wait(&ring), 3000);
		read_range(client, 10, i * 3000, i * 3000 + 3000);
	}
	expect_path(client, 150000);
	expect_path(server, 150000);
}

static const struct torture_test tests[] = {
	{ "epoll_level", epoll_level, 0 },
	{ "epoll_edge", epoll_edge, 0 },
	{ "epoll_edge_partial", epoll_edge_partial, 0 },
	{ "added_after_data", added_after_data, 0 },
	{ "writable_again", writable_again, 0 },
	{ "timeouts", timeouts, 0 },
	{ "blocked_recv_is_woken", blocked_recv_is_woken, 0 },
	{ "blocked_recv_while_sending", blocked_recv_while_sending, 0 },
	{ "peek", peek, 0 },
	{ "fionread", fionread, 0 },
	{ "fionread_of_mixed_queue", fionread_of_mixed_queue, 0 },
	{ "backpressure", backpressure, 0 },
	{ "backpressure_of_blocking_writer", backpressure_of_blocking_writer, 0 },
	{ "long_stall", long_stall, 30 },
	{ "backpressure_of_single_bytes", backpressure_of_single_bytes, 60 },
	{ "io_uring_recv", io_uring_recv, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
