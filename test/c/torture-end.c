// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: how connections end, and what a send or recv says afterwards: FIN, RST, SHUT_RD,
 * SHUT_WR, kill, linger, keepalive, time-outs, disconnect.  The kernel does not check any of these
 * states before it redirects: the verdict must.
 */
#include "torture-differences.h"
#include "torture-stream.h"

static uint8_t scratch[65536];

static long try_send(int fd, size_t count)
{
	return result(send(fd, scratch, count, MSG_NOSIGNAL | MSG_DONTWAIT));
}

static long try_recv(int fd)
{
	return result(recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT));
}

static void close_unread(void)
{
	int client, server;

	connect_pair(&client, &server);
	expect(try_send(client, 10000), 10000);
	expect_path(client, 10000);
	sleep_ms(20);
	close(server);
	sleep_ms(20);
	expect(try_recv(client), differs(CLOSE_UNREAD_RECV));
	expect(try_send(client, 10), differs(CLOSE_UNREAD_SEND));
	sleep_ms(20);
	expect(try_send(client, 10), -EPIPE);
}

static void close_part_read(void)
{
	int client, server;

	connect_pair(&client, &server);
	expect(try_send(client, 10000), 10000);
	sleep_ms(20);
	expect(result(recv(server, scratch, 100, 0)), 100);
	expect(try_send(server, 500), 500);
	close(server);
	sleep_ms(20);
	expect(try_recv(client), 500);
	expect(try_recv(client), differs(CLOSE_PART_READ_RECV));
	expect(try_send(client, 10), differs(CLOSE_PART_READ_SEND));
	sleep_ms(20);
	expect(try_send(client, 10), -EPIPE);
}

static void send_after_peer_close(void)
{
	int client, server;

	connect_pair(&client, &server);
	close(server);
	sleep_ms(20);
	expect(try_recv(client), 0);
	expect(try_send(client, 10), 10);
	sleep_ms(20);
	expect(try_send(client, 10), -EPIPE);
	expect(try_send(client, 10), -EPIPE);
}

/* Only the child holds the server's end from now on. */
static pid_t receive_in_child(int client, int server)
{
	pid_t receiver = fork();

	if (!receiver) {
		close(client);
		pause();
	}
	close(server);
	return receiver;
}

static void kill_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void kill_receiver(void)
{
	int client, server;

	connect_pair(&client, &server);
	pid_t receiver = receive_in_child(client, server);
	expect(try_send(client, 50000), 50000);
	sleep_ms(30);
	kill_child(receiver);
	sleep_ms(30);
	expect(try_recv(client), differs(KILL_UNREAD_RECV));
	expect(try_send(client, 10), differs(KILL_UNREAD_SEND));
	sleep_ms(20);
	expect(try_send(client, 10), -EPIPE);
}

/* A blocked writer is woken when its reader dies. */
static void kill_receiver_of_blocked_writer(void)
{
	int client, server;

	connect_pair(&client, &server);
	pid_t receiver = receive_in_child(client, server);
	struct writer writer = { .fd = client, .seed = 1, .count = 64 * MIB, .chunk = 65536 };
	writer_start(&writer);
	sleep_ms(300);
	kill_child(receiver);
	writer_join(&writer);
	/* spliced: the reader's unread bytes are not TCP's, so no RST comes and a short user timeout ends the writer */
	expect(writer.error == -ECONNRESET || writer.error == -EPIPE || writer.error == -ETIMEDOUT,
	       true);
}

static void linger_zero(void)
{
	struct linger linger = { 1, 0 };
	int client, server;

	connect_pair(&client, &server);
	expect(send_pattern(client, 2, 10000, 10000), 0);
	sleep_ms(20);
	must(!setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(client);
	sleep_ms(20);
	/* what arrived before the RST may be read, then the error, then the end */
	long got = try_recv(server);
	expect(got == 10000 || got == -ECONNRESET, true);
	if (got == 10000) {
		expect(pattern_mismatch(2, 0, scratch, 10000), -1);
		expect(try_recv(server), -ECONNRESET);
	}
	expect(try_recv(server), 0);
	expect(try_send(server, 10), -EPIPE);
}

static void linger_waits_for_nothing_redirected(void)
{
	struct linger linger = { 1, 3 };
	int client, server;
	uint64_t start;
	long last;

	connect_pair(&client, &server);
	expect(send_pattern(client, 3, 100000, 100000), 0);
	must(!setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	start = now_ms();
	close(client);
	expect_at_most(now_ms() - start, 3500);
	expect(read_all(server, 3, 8192, 0, &last), 100000);
	expect(last, 0);
}

static void send_after_shut_wr(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(server, 1000);
	set_timeout(client, 1000);
	expect(try_send(client, 1), 1);
	expect_path(client, 1);
	shutdown(client, SHUT_WR);
	expect(try_send(client, 4), -EPIPE);
	sleep_ms(20);
	expect(result(recv(server, scratch, 10, 0)), 1);
	expect(result(recv(server, scratch, 10, 0)), 0);
	expect(try_send(server, 3), 3);
	expect(result(recv(client, scratch, 10, 0)), 3);
}

static void send_after_reset(void)
{
	struct linger linger = { 1, 0 };
	int client, server;

	connect_pair(&client, &server);
	must(!setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(client);
	sleep_ms(20);
	expect(try_recv(server), -ECONNRESET);
	expect(try_recv(server), 0);
	expect(try_send(server, 1), -EPIPE);
}

static void shut_rd(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(client, 1000);
	shutdown(server, SHUT_RD);
	expect(try_send(client, 100), 100);
	sleep_ms(10);
	expect(try_send(client, 100), 100);
	expect(try_send(server, 4), 4);
	expect(result(recv(client, scratch, 10, 0)), 4);
}

static void shut_both(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(client, 1000);
	expect(try_send(server, 700), 700);
	shutdown(server, SHUT_RDWR);
	expect(result(recv(client, scratch, sizeof(scratch), 0)), 700);
	expect(result(recv(client, scratch, sizeof(scratch), 0)), 0);
	expect(try_send(server, 1), -EPIPE);
}

/* A thread blocked in recv() is woken by FIN, by RST and by its own shutdown. */
static void *recv_blocked(void *argument)
{
	char byte;

	return (void *)recv_blocking(*(int *)argument, &byte, 1);
}

static void blocked_recv_ends(void)
{
	enum { FIN, RST, OWN_SHUTDOWN, WAYS };
	struct linger linger = { 1, 0 };

	for (int way = 0; way < WAYS; way++) {
		int client, server;
		pthread_t thread;
		void *got;

		connect_pair(&client, &server);
		must(!pthread_create(&thread, NULL, recv_blocked, &server));
		sleep_ms(50);
		if (way == RST)
			must(!setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
		if (way == OWN_SHUTDOWN)
			shutdown(server, SHUT_RD);
		else
			close(client);
		must(!pthread_join(thread, &got));
		expect((long)got, way == RST ? -ECONNRESET : 0);
		expect(try_recv(server), 0);
	}
	note("woken early %d times", report->early_wakes);
}

static void keepalive(void)
{
	int client, server, fds[2];

	connect_pair(&client, &server);
	fds[0] = client;
	fds[1] = server;
	for (int i = 0; i < 2; i++) {
		set_int(fds[i], SOL_SOCKET, SO_KEEPALIVE, 1);
		set_int(fds[i], IPPROTO_TCP, TCP_KEEPIDLE, 1);
		set_int(fds[i], IPPROTO_TCP, TCP_KEEPINTVL, 1);
		set_int(fds[i], IPPROTO_TCP, TCP_KEEPCNT, 2);
	}
	set_timeout(server, 1000);
	for (int i = 0; i < 2; i++) {
		expect(send_range(client, 4, i * 100, i * 100 + 100, 100), 0);
		read_range(server, 4, i * 100, i * 100 + 100);
		if (!i)
			sleep(4);
	}
}

static void user_timeout(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_int(client, IPPROTO_TCP, TCP_USER_TIMEOUT, 1500);
	expect(send_range(client, 5, 0, 50000, 50000), 0);
	sleep(3); /* unread is not unacknowledged */
	expect(send_range(client, 5, 50000, 50010, 10), 0);
	set_timeout(server, 1000);
	read_range(server, 5, 0, 50010);
}

static void disconnect_and_reconnect(void)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	int client, server;

	connect_pair(&client, &server);
	expect(send_range(client, 6, 0, 100, 100), 0);
	read_range(server, 6, 0, 100);
	expect(result(connect(client, &nowhere, sizeof(nowhere))), 0);
	sleep_ms(10);
	expect(try_recv(server), -ECONNRESET);
	for (int i = 0; i < 3; i++) {
		int listener = make_listener(4), again;

		expect(connect_to(client, local_port(listener)), 0);
		again = accept_one(listener);
		set_timeout(again, 1000);
		set_timeout(client, 1000);
		expect(send_range(client, 7, 0, 1000, 100), 0);
		read_range(again, 7, 0, 1000);
		expect(send_range(again, 8, 0, 1000, 100), 0);
		read_range(client, 8, 0, 1000);
		expect(result(connect(client, &nowhere, sizeof(nowhere))), 0);
		close(again);
		close(listener);
	}
}

static const struct torture_test tests[] = {
	{ "close_unread", close_unread, 0 },
	{ "close_part_read", close_part_read, 0 },
	{ "send_after_peer_close", send_after_peer_close, 0 },
	{ "kill_receiver", kill_receiver, 0 },
	{ "kill_receiver_of_blocked_writer", kill_receiver_of_blocked_writer, 0 },
	{ "linger_zero", linger_zero, 0 },
	{ "linger_waits_for_nothing_redirected", linger_waits_for_nothing_redirected, 0 },
	{ "send_after_shut_wr", send_after_shut_wr, 0 },
	{ "send_after_reset", send_after_reset, 0 },
	{ "shut_rd", shut_rd, 0 },
	{ "shut_both", shut_both, 0 },
	{ "blocked_recv_ends", blocked_recv_ends, 0 },
	{ "keepalive", keepalive, 0 },
	{ "user_timeout", user_timeout, 0 },
	{ "disconnect_and_reconnect", disconnect_and_reconnect, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
