// SPDX-License-Identifier: Apache-2.0
/*
 * Readers that the redirect queue cannot serve: splice(2) out of a socket, MSG_WAITALL, MSG_TRUNC,
 * MSG_OOB.  There is no sign of them on the socket.
 *
 * `--expect plain`: at the default setting the executable is observed before anything is spliced,
 * so all of them are right from the first connection on.  `--expect spliced`: the operator forced
 * it (podwire.io/splice: always); the answers are those of torture-differences.h, and a splice(2)
 * reader is not left hanging: its connection is reset.
 */
#include "torture-differences.h"
#include "torture-stream.h"
#include <poll.h>
#include <sys/epoll.h>

static uint8_t scratch[65536];

static void waitall(void)
{
	struct writer writer = { .seed = 1, .count = 500, .chunk = 500, .delay_ms = 200 };
	int server;

	connect_pair(&writer.fd, &server);
	set_timeout(server, 3000);
	expect(result(send(writer.fd, scratch, 500, 0)), 500);
	writer_start(&writer);
	expect(result(recv(server, scratch, 1000, MSG_WAITALL)), differs(WAITALL_FIRST));
	writer_join(&writer);
}

static void trunc_skips(void)
{
	int client, server;

	connect_pair(&client, &server);
	expect(result(send(client, scratch, 10, 0)), 10);
	sleep_ms(20);
	expect(result(recv(server, NULL, 10, MSG_TRUNC | MSG_DONTWAIT)), differs(TRUNC_SKIPS));
}

static void urgent_byte(void)
{
	int client, server;
	long count, total = 0;

	connect_pair(&client, &server);
	set_timeout(server, 200);
	expect(result(send(client, "abc", 3, 0)), 3);
	expect(result(send(client, "X", 1, MSG_OOB)), 1);
	expect(result(send(client, "def", 3, 0)), 3);
	sleep_ms(20);
	while ((count = result(recv(server, scratch, 100, 0))) > 0)
		total += count;
	expect(total, differs(OOB_STREAM_BYTES));
}

/* Moves everything from socket to pipe to socket, as Go's io.Copy and HAProxy do; returns 0 at EOF
 * or the error. */
static long splice_through(int from, int to, bool nonblocking)
{
	unsigned int flags = nonblocking ? SPLICE_F_NONBLOCK : 0;
	int ends[2], epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	ssize_t count;

	must(!pipe(ends));
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, from, &event));
	if (nonblocking)
		must(!fcntl(from, F_SETFL, O_NONBLOCK));
	for (;;) {
		if (nonblocking)
			epoll_wait(epoll, &event, 1, 1000);
		count = splice(from, NULL, ends[1], NULL, 65536, flags);
		if (count < 0 && errno == EAGAIN && nonblocking)
			continue;
		if (count <= 0)
			return result(count);
		for (ssize_t left = count, moved; left > 0; left -= moved) {
			moved = splice(ends[0], NULL, to, NULL, left, 0);
			if (moved <= 0)
				return result(moved);
		}
	}
}

/* client → (server, splice) → client2 → server2 */
static void splice_proxy(bool nonblocking)
{
	/* spliced and shut, the reader would see the FIN and miss the bytes before it: that is the
	 * harm the detector can only bound */
	struct writer writer = {
		.seed = 3, .count = 300000, .chunk = 10000, .shut = !options.spliced
	};
	int server, onward, sink;
	long last;

	connect_pair(&writer.fd, &server);
	connect_pair(&onward, &sink);
	pid_t proxy = fork();
	if (!proxy) {
		close(writer.fd);
		close(sink);
		long error = splice_through(server, onward, nonblocking);
		if (options.spliced)
			expect(error == -ECONNABORTED || error == -ECONNRESET, true);
		else
			expect(error, 0);
		_exit(0);
	}
	close(server);
	close(onward);
	uint64_t start = now_ms();
	writer_start(&writer);
	size_t got = read_all(sink, 3, 65536, 0, &last);
	writer_join(&writer);
	int status;
	must(waitpid(proxy, &status, 0) == proxy);
	expect(status, 0);
	if (options.spliced) {
		expect_at_most(now_ms() - start, 3000);
	} else {
		expect(got, writer.count);
		expect(last, 0);
		expect_plain(writer.fd, writer.count);
	}
	note("%zu bytes in %ld ms", got, (long)(now_ms() - start));
}

static void splice_blocking(void)
{
	splice_proxy(false);
}

static void splice_epoll(void)
{
	splice_proxy(true);
}

static const struct torture_test tests[] = {
	{ "waitall", waitall, 0 },
	{ "trunc_skips", trunc_skips, 0 },
	{ "urgent_byte", urgent_byte, 0 },
	{ "splice_blocking", splice_blocking, 10 },
	{ "splice_epoll", splice_epoll, 10 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
