// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: the byte stream itself.  Whatever the way the bytes take, they arrive once, in
 * order, complete, however they were written, and a sender that dies or closes takes nothing back.
 */
#include "torture-differences.h"
#include "torture-stream.h"
#include <linux/sockios.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static void basic(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(client, 2000);
	set_timeout(server, 2000);
	for (int i = 0; i < 20; i++) {
		expect(send_range(client, 1, i * 1000, i * 1000 + 1000, 1000), 0);
		read_range(server, 1, i * 1000, i * 1000 + 1000);
		expect(send_range(server, 2, i * 500, i * 500 + 500, 500), 0);
		read_range(client, 2, i * 500, i * 500 + 500);
	}
	expect_path(client, 20000);
	expect_path(server, 10000);
}

static void half_close(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	struct writer writer = {
		.fd = client, .seed = 3, .count = 1000000, .chunk = 30000, .shut = true
	};
	writer_start(&writer);
	sleep_ms(100);
	expect(read_all(server, 3, 20000, 500, &last), 1000000);
	expect(last, 0);
	writer_join(&writer);
	expect(writer.error, 0);
	/* the other direction stays open */
	writer = (struct writer){
		.fd = server, .seed = 4, .count = 300000, .chunk = 30000, .shut = true
	};
	writer_start(&writer);
	expect(read_all(client, 4, 65536, 0, &last), 300000);
	expect(last, 0);
	writer_join(&writer);
	expect_path(client, 1000000);
}

static void close_after_send(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	expect(send_pattern(client, 5, 100000, 100000), 0);
	expect_path(client, 100000);
	close(client);
	sleep_ms(50);
	expect(read_all(server, 5, 7000, 0, &last), 100000);
	expect(last, 0);
}

static void big_write(void)
{
	size_t count = 10 * MIB;
	uint8_t *bytes = malloc(count);
	int client, server;

	connect_pair(&client, &server);
	pid_t reader = fork();
	if (!reader) {
		long last;

		close(client);
		expect(read_all(server, 6, 65536, 0, &last), count);
		expect(last, 0);
		_exit(0);
	}
	close(server);
	pattern_fill(6, 0, bytes, count);
	expect(result(send(client, bytes, count, 0)), count);
	shutdown(client, SHUT_WR);
	int status;
	must(waitpid(reader, &status, 0) == reader);
	expect(status, 0);
	expect_path(client, count);
}

/* One connection changes between ping-pong and bulk with a late reader: both ways of travel meet in
 * one queue. */
static void bursts(void)
{
	uint8_t bytes[4096];
	int client, server;
	size_t at = 0;

	connect_pair(&client, &server);
	set_timeout(server, 3000);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++, at += 64) {
			expect(send_range(client, 7, at, at + 64, 64), 0);
			read_range(server, 7, at, at + 64);
		}
		size_t from = at;
		while (at - from < 3000000) {
			pattern_fill(7, at, bytes, sizeof(bytes));
			long sent = result(
				send(client, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL));
			if (sent < 0) {
				expect(sent, -EAGAIN);
				break;
			}
			at += sent;
		}
		read_range(server, 7, from, at);
	}
	expect_path(client, at);
}

/*
 * Two processes write 64-byte records to one socket without agreeing on an order.  Each one's bytes keep
 * their order; under TCP the records also stay whole as long as no send waits for memory.  Spliced, a
 * record that goes through TCP may be parted at a segment's end by one that is being redirected, because
 * the kernel lets go of the sender's lock to redirect.
 */
static void two_writers(void)
{
	enum { RECORDS = 20000, SIZE = 64, WRITERS = 2 };
	uint8_t record[SIZE], bytes[SIZE * 512];
	long got[WRITERS] = {}, torn = 0, total = 0;
	int client, server, last = 0;
	ssize_t count;

	connect_pair(&client, &server);
	for (int k = 0; k < WRITERS; k++) {
		if (fork())
			continue;
		for (long i = 0; i < RECORDS; i++) {
			for (int b = 0; b < SIZE; b++)
				record[b] = k << 7 | (i * SIZE + b) % 127;
			while (int_ioctl(client, SIOCOUTQ) > 4096)
				sched_yield();
			expect(result(send(client, record, SIZE, MSG_NOSIGNAL)), SIZE);
		}
		_exit(0);
	}
	close(client);
	while ((count = recv(server, bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < count; i++) {
			int k = bytes[i] >> 7;

			expect(bytes[i] & 127, got[k] % 127);
			torn += k != last && got[last] % SIZE != 0;
			last = k;
			got[k]++;
		}
		total += count;
	}
	expect(total, WRITERS * RECORDS * SIZE);
	if (!options.spliced)
		expect(torn, 0);
	note("%ld records parted", torn);
}

static void vectors(void)
{
	uint8_t a[100], b[3000], c[7], bytes[10000];
	struct iovec out[3] = { { a, sizeof(a) }, { b, sizeof(b) }, { c, sizeof(c) } };
	struct iovec in[3] = { { bytes, 2999 }, { bytes + 2999, 100 }, { bytes + 3099, 901 } };
	struct mmsghdr messages[3] = {}, received = {};
	struct iovec all = { bytes, sizeof(bytes) };
	int client, server;

	connect_pair(&client, &server);
	set_timeout(server, 1000);
	pattern_fill(8, 0, a, sizeof(a));
	pattern_fill(8, 100, b, sizeof(b));
	pattern_fill(8, 3100, c, sizeof(c));
	expect(result(writev(client, out, 3)), 3107);
	expect(result(readv(server, in, 3)), 3107);
	expect(pattern_mismatch(8, 0, bytes, 3107), -1);
	for (int i = 0; i < 3; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &out[i], .msg_iovlen = 1 };
	expect(result(sendmmsg(client, messages, 3, 0)), 3);
	sleep_ms(5);
	received.msg_hdr = (struct msghdr){ .msg_iov = &all, .msg_iovlen = 1 };
	expect(result(recvmmsg(server, &received, 1, MSG_DONTWAIT, NULL)), 1);
	expect(received.msg_len, 3107);
	expect(pattern_mismatch(8, 0, bytes, 3107), -1);
	expect(result(write(client, "", 0)), 0);
	expect(result(recv(server, bytes, 0, MSG_DONTWAIT)), differs(RECV_ZERO_LENGTH));
	expect_path(client, 6214);
}

struct file_sender {
	int socket;
	int file;
	size_t count;
	bool through_pipe;
};

static void *send_file(void *argument)
{
	struct file_sender *sender = argument;
	int ends[2];

	must(!pipe(ends));
	for (size_t done = 0; done < sender->count;) {
		ssize_t moved;

		if (sender->through_pipe) {
			must((moved = splice(sender->file, NULL, ends[1], NULL, 65536, 0)) > 0);
			for (ssize_t left = moved, out; left > 0; left -= out)
				must((out = splice(ends[0], NULL, sender->socket, NULL, left,
						   SPLICE_F_MORE)) > 0);
		} else {
			must((moved = sendfile(sender->socket, sender->file, NULL,
					       sender->count - done)) > 0);
		}
		done += moved;
	}
	shutdown(sender->socket, SHUT_WR);
	return NULL;
}

static void file_to_socket(bool through_pipe)
{
	size_t count = 3000000;
	uint8_t *bytes = malloc(count);
	struct file_sender sender = { .count = count, .through_pipe = through_pipe };
	pthread_t thread;
	int server;
	long last;

	connect_pair(&sender.socket, &server);
	set_timeout(server, 3000);
	must((sender.file = memfd_create("torture", MFD_CLOEXEC)) >= 0);
	pattern_fill(9, 0, bytes, count);
	must(write(sender.file, bytes, count) == (ssize_t)count);
	must(!lseek(sender.file, 0, SEEK_SET));
	must(!pthread_create(&thread, NULL, send_file, &sender));
	expect(read_all(server, 9, 50000, 0, &last), count);
	expect(last, 0);
	pthread_join(thread, NULL);
	expect_path(sender.socket, count);
}

static void sendfile_in(void)
{
	file_to_socket(false);
}

static void splice_in(void)
{
	file_to_socket(true);
}

static void kill_sender(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	pid_t sender = fork();
	if (!sender) {
		close(server);
		expect(send_pattern(client, 10, 50000, 50000), 0);
		pause();
	}
	close(client);
	sleep_ms(100);
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	expect(read_all(server, 10, 7000, 0, &last), 50000);
	expect(last, 0);
}

/* Killed in the middle of a blocked send: what was accepted arrives intact, then the stream ends.
 */
static void kill_blocked_sender(void)
{
	int client, server;
	long last;

	connect_pair(&client, &server);
	pid_t sender = fork();
	if (!sender) {
		close(server);
		send_pattern(client, 11, 20000000, 100000);
		_exit(1); /* it cannot get this far: nobody reads */
	}
	close(client);
	sleep_ms(300);
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	size_t got = read_all(server, 11, 70000, 0, &last);
	expect(last, 0);
	expect(got > 0 && got < 20000000, true);
	note("%zu KiB were accepted", got / 1024);
}

static void fork_shares_socket(void)
{
	int client, server, status;

	connect_pair(&client, &server);
	set_timeout(server, 1000);
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		if (!child)
			_exit(send_range(client, 12, i * 300, i * 300 + 300, 300) != 0);
		must(waitpid(child, &status, 0) == child);
		expect(status, 0);
		read_range(server, 12, i * 300, i * 300 + 300);
	}
	expect_path(client, 3000);
}

/* The reader's end travels to another process over a unix socket while bytes wait in it. */
static void passed_descriptor(void)
{
	char control[CMSG_SPACE(sizeof(int))], byte = 'x';
	struct iovec io = { &byte, 1 };
	struct msghdr message = { .msg_iov = &io,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int client, server, unix_pair[2], status;

	connect_pair(&client, &server);
	must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, unix_pair));
	expect(send_range(client, 13, 0, 40000, 40000), 0);
	pid_t child = fork();
	if (!child) {
		int fd;

		close(client);
		close(server);
		must(recvmsg(unix_pair[1], &message, 0) == 1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		set_timeout(fd, 2000);
		read_range(fd, 13, 0, 80000);
		_exit(send_pattern(fd, 14, 5000, 5000) != 0);
	}
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				    .cmsg_type = SCM_RIGHTS,
				    .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(header), &server, sizeof(server));
	must(sendmsg(unix_pair[0], &message, 0) == 1);
	close(server);
	expect(send_range(client, 13, 40000, 80000, 1000), 0);
	set_timeout(client, 2000);
	read_range(client, 14, 0, 5000);
	must(waitpid(child, &status, 0) == child);
	expect(status, 0);
	expect_path(client, 80000);
}

static const struct torture_test tests[] = {
	{ "basic", basic, 0 },
	{ "half_close", half_close, 0 },
	{ "close_after_send", close_after_send, 0 },
	{ "big_write", big_write, 0 },
	{ "bursts", bursts, 0 },
	{ "two_writers", two_writers, 0 },
	{ "vectors", vectors, 0 },
	{ "sendfile_in", sendfile_in, 0 },
	{ "splice_in", splice_in, 0 },
	{ "kill_sender", kill_sender, 0 },
	{ "kill_blocked_sender", kill_blocked_sender, 0 },
	{ "fork_shares_socket", fork_shares_socket, 0 },
	{ "passed_descriptor", passed_descriptor, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
