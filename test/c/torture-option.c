// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: sockets that splicing cannot serve are recognised and stay plain, in both modes:
 * options set before the connection exists (on the client's socket, or on the listener whose
 * children inherit them), MPTCP, a thread that already sleeps in recv() when the handshake ends. An
 * option set later ends redirection: the bytes stay right.
 */
#include "torture-differences.h"
#include "torture-stream.h"
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>

struct option_set {
	int level;
	int name;
	int value;
};

static const struct option_set rcvlowat = { SOL_SOCKET, SO_RCVLOWAT, 1000 };
static const struct option_set zerocopy = { SOL_SOCKET, SO_ZEROCOPY, 1 };
static const struct option_set inq = { IPPROTO_TCP, TCP_INQ, 1 };
static const struct option_set peek_off = { SOL_SOCKET, SO_PEEK_OFF, 0 };
static const struct option_set timestampns = { SOL_SOCKET, SO_TIMESTAMPNS, 1 };
static const struct option_set timestamping = { SOL_SOCKET, SO_TIMESTAMPING,
						SOF_TIMESTAMPING_TX_SOFTWARE |
							SOF_TIMESTAMPING_RX_SOFTWARE |
							SOF_TIMESTAMPING_SOFTWARE };

static uint8_t scratch[200000];

/* A pair whose client (or whose listener) had the option from the start. */
static void pair_with(const struct option_set *option, bool on_listener, int *with, int *other)
{
	int listener = make_listener(4), client = make_client();

	set_int(on_listener ? listener : client, option->level, option->name, option->value);
	must(!connect_to(client, local_port(listener)));
	int server = accept_one(listener);
	close(listener);
	*with = on_listener ? server : client;
	*other = on_listener ? client : server;
	set_timeout(*with, 1000);
	set_timeout(*other, 1000);
}

/* Returns the control message of this type that came with the next bytes, or NULL. */
static void *recv_control(int fd, int level, int type, char *control, size_t size, int flags)
{
	struct iovec io = { scratch, sizeof(scratch) };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = size
	};

	if (recvmsg(fd, &message, flags) < 0)
		return NULL;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == level && header->cmsg_type == type)
			return CMSG_DATA(header);
	return NULL;
}

static void rcvlowat_works(bool on_listener)
{
	int reader, writer;

	pair_with(&rcvlowat, on_listener, &reader, &writer);
	struct pollfd item = { .fd = reader, .events = POLLIN };
	expect(send_range(writer, 1, 0, 500, 500), 0);
	expect(poll(&item, 1, 100), 0);
	expect(send_range(writer, 1, 500, 1500, 1000), 0);
	expect(poll(&item, 1, 1000), 1);
	read_range(reader, 1, 0, 1500);
	expect_plain(writer, 1500);
}

static void inq_works(bool on_listener)
{
	char control[128];
	int reader, writer;

	pair_with(&inq, on_listener, &reader, &writer);
	expect(send_range(writer, 2, 0, 3000, 3000), 0);
	sleep_ms(20);
	int *left = recv_control(reader, IPPROTO_TCP, TCP_CM_INQ, control, sizeof(control), 0);
	expect(left != NULL, true);
	expect(*left, 0);
	expect_plain(writer, 3000);
}

static void peek_off_works(bool on_listener)
{
	char first[4], second[4];
	int reader, writer;

	pair_with(&peek_off, on_listener, &reader, &writer);
	must(send(writer, "01234567", 8, 0) == 8);
	sleep_ms(20);
	expect(result(recv(reader, first, 4, MSG_PEEK)), 4);
	expect(result(recv(reader, second, 4, MSG_PEEK)), 4);
	expect(memcmp(second, "4567", 4), 0);
	expect_plain(writer, 8);
}

static void zerocopy_completes(int writer, int reader, bool one_for_one)
{
	uint8_t *bytes = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	struct pollfd item = { .fd = writer };
	char control[256];
	struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };

	pattern_fill(3, 0, bytes, 100000);
	expect(result(send(writer, bytes, 100000, MSG_ZEROCOPY)), 100000);
	read_range(reader, 3, 0, 100000);
	expect(poll(&item, 1, 2000), 1);
	expect(result(recvmsg(writer, &message, MSG_ERRQUEUE | MSG_DONTWAIT)), 0);
	must(CMSG_FIRSTHDR(&message));
	struct sock_extended_err *completion = (void *)CMSG_DATA(CMSG_FIRSTHDR(&message));
	expect(completion->ee_origin, SO_EE_ORIGIN_ZEROCOPY);
	expect(completion->ee_info, 0);
	if (one_for_one)
		expect(completion->ee_data, 0);
}

static void zerocopy_works(bool on_listener)
{
	int reader, writer;

	pair_with(&zerocopy, on_listener, &writer, &reader);
	zerocopy_completes(writer, reader, true);
	expect_plain(writer, 100000);
}

static void timestampns_works(bool on_listener)
{
	char control[256];
	int reader, writer;

	pair_with(&timestampns, on_listener, &reader, &writer);
	sleep_ms(100); /* the kernel begins to stamp packets a moment after the first socket asks */
	expect(send_range(writer, 4, 0, 100, 100), 0);
	expect(recv_control(reader, SOL_SOCKET, SO_TIMESTAMPNS, control, sizeof(control), 0) !=
		       NULL,
	       true);
	expect_plain(writer, 100);
}

static void timestamping_works(bool on_listener)
{
	char control[512];
	int reader, writer;

	pair_with(&timestamping, on_listener, &writer, &reader);
	sleep_ms(100);
	expect(send_range(writer, 5, 0, 100, 100), 0);
	read_range(reader, 5, 0, 100);
	sleep_ms(20);
	expect(recv_control(writer, SOL_SOCKET, SO_TIMESTAMPING, control, sizeof(control),
			    MSG_ERRQUEUE | MSG_DONTWAIT) != NULL,
	       true);
	expect_plain(writer, 100);
}

static void rcvlowat_client(void)
{
	rcvlowat_works(false);
}

static void rcvlowat_listener(void)
{
	rcvlowat_works(true);
}

static void inq_client(void)
{
	inq_works(false);
}

static void inq_listener(void)
{
	inq_works(true);
}

static void peek_off_client(void)
{
	peek_off_works(false);
}

static void zerocopy_client(void)
{
	zerocopy_works(false);
}

static void zerocopy_listener(void)
{
	zerocopy_works(true);
}

static void timestampns_client(void)
{
	timestampns_works(false);
}

static void timestampns_listener(void)
{
	timestampns_works(true);
}

static void timestamping_client(void)
{
	timestamping_works(false);
}

static void timestamping_listener(void)
{
	timestamping_works(true);
}

/* Set on a connection that already redirects: completions come from now on, the bytes before are
 * not lost. */
static void zerocopy_late(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(server, 1000);
	expect(send_range(client, 3, 0, 500, 500), 0);
	read_range(server, 3, 0, 500);
	expect_path(client, 500);
	set_int(client, SOL_SOCKET, SO_ZEROCOPY, 1);
	/* in the sockhash one send completes as several; its bytes were copied, so none is too early */
	zerocopy_completes(client, server, !options.spliced);
}

static void rcvlowat_late(void)
{
	int client, server;

	connect_pair(&client, &server);
	set_timeout(server, 1000);
	expect(send_range(client, 6, 0, 500, 500), 0);
	set_int(server, SOL_SOCKET, SO_RCVLOWAT, 1000);
	expect(send_range(client, 6, 500, 5000, 700), 0);
	read_range(server, 6, 0, 5000);
}

/* Accept queue full: the SYN is dropped and sent again a second later, so that the client stays in
 * SYN_SENT for a while. */
static void *recv_five(void *argument)
{
	char bytes[8];

	return (void *)result(recv(*(int *)argument, bytes, sizeof(bytes), 0));
}

static void asleep_in_recv_while_connecting(void)
{
	int listener = make_listener(0), fillers[2], client = make_client();
	struct sockaddr_storage address;
	socklen_t length = server_address(&address, local_port(listener));
	pthread_t thread;
	void *got;

	fillers[0] = make_client();
	must(!connect_to(fillers[0], local_port(listener)));
	must(!fcntl(client, F_SETFL, O_NONBLOCK));
	expect(result(connect(client, (void *)&address, length)), -EINPROGRESS);
	must(!fcntl(client, F_SETFL, 0));
	must(!pthread_create(&thread, NULL, recv_five, &client));
	sleep_ms(100);
	fillers[1] = accept_one(listener);
	int server = accept_one(listener);
	expect(result(send(server, "hello", 5, 0)), 5);
	must(!pthread_join(thread, &got));
	expect((long)got, 5);
	expect_plain(server, 5);
	close(fillers[0]);
	close(fillers[1]);
}

/* The same wait spent in connect(2) itself, or in poll: these see the spliced bytes. */
static void slow_connect(void)
{
	int listener = make_listener(0), filler = make_client(), client = make_client();
	struct pollfd item = { .fd = client, .events = POLLOUT };
	struct sockaddr_storage address;
	socklen_t length = server_address(&address, local_port(listener));

	must(!connect_to(filler, local_port(listener)));
	must(!fcntl(client, F_SETFL, O_NONBLOCK));
	expect(result(connect(client, (void *)&address, length)), -EINPROGRESS);
	close(accept_one(listener));
	expect(poll(&item, 1, 5000), 1);
	must(!fcntl(client, F_SETFL, 0));
	int server = accept_one(listener);
	set_timeout(client, 1000);
	expect(send_range(server, 7, 0, 3000, 100), 0);
	read_range(client, 7, 0, 3000);
	expect_path(server, 3000);
}

/* MPTCP sockets, on one side or on both, work as plain ones. */
static void mptcp(void)
{
	for (int which = 1; which < 4; which++) {
		int family = socket_family();
		int listener = make_listener_at(options.server_ns, family, server_ip(), 0,
						which & 1 ? IPPROTO_MPTCP : 0, 4);
		int client = make_socket(options.client_ns, family, which & 2 ? IPPROTO_MPTCP : 0);

		must(!connect_to(client, local_port(listener)));
		int server = accept_one(listener);
		set_timeout(client, 1000);
		set_timeout(server, 1000);
		for (int i = 0; i < 10; i++) {
			expect(send_range(client, 8, i * 3000, i * 3000 + 3000, 3000), 0);
			read_range(server, 8, i * 3000, i * 3000 + 3000);
			expect(send_range(server, 9, i * 300, i * 300 + 300, 300), 0);
			read_range(client, 9, i * 300, i * 300 + 300);
		}
		close(client);
		expect(result(recv(server, scratch, 1, 0)), 0);
		close(server);
		close(listener);
	}
}

static const struct torture_test tests[] = {
	{ "rcvlowat_client", rcvlowat_client, 0 },
	{ "rcvlowat_listener", rcvlowat_listener, 0 },
	{ "rcvlowat_late", rcvlowat_late, 0 },
	{ "inq_client", inq_client, 0 },
	{ "inq_listener", inq_listener, 0 },
	{ "peek_off_client", peek_off_client, 0 },
	{ "zerocopy_client", zerocopy_client, 0 },
	{ "zerocopy_listener", zerocopy_listener, 0 },
	{ "zerocopy_late", zerocopy_late, 0 },
	{ "timestampns_client", timestampns_client, 0 },
	{ "timestampns_listener", timestampns_listener, 0 },
	{ "timestamping_client", timestamping_client, 0 },
	{ "timestamping_listener", timestamping_listener, 0 },
	{ "asleep_in_recv_while_connecting", asleep_in_recv_while_connecting, 0 },
	{ "slow_connect", slow_connect, 0 },
	{ "mptcp", mptcp, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
