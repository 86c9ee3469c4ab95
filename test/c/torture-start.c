// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: how connections begin.  Every mix of address families, loopback, the same 4-tuple
 * used again, a server that speaks first, bytes that arrive before accept (deferred accept) or
 * before the handshake ends (fast open): nothing overtakes anything.
 */
#include "torture-differences.h"
#include "torture-stream.h"

enum path_wanted { SPLICED_IF_ASKED, ANY_PATH };

/* Requests of 300 bytes, replies of 5000, FIONREAD asked every time. */
static long exchange(int client, int server)
{
	for (int i = 0; i < 5; i++) {
		expect(send_range(client, 1, i * 300, i * 300 + 300, 300), 0);
		sleep_ms(1);
		expect(int_ioctl(server, FIONREAD), 300);
		read_range(server, 1, i * 300, i * 300 + 300);
		expect(send_range(server, 2, i * 5000, i * 5000 + 5000, 5000), 0);
		sleep_ms(1);
		expect(int_ioctl(client, FIONREAD), 5000);
		read_range(client, 2, i * 5000, i * 5000 + 5000);
	}
	return redirected_bytes(client, 1500) + redirected_bytes(server, 25000);
}

static void family_case(int server_ns, int listen_family, const char *listen_ip, int client_family,
			const char *dial_ip, enum path_wanted wanted)
{
	int listener = make_listener_at(server_ns, listen_family, listen_ip, 0, 0, 4);
	int client_ns = wanted == ANY_PATH ? server_ns : options.client_ns;
	int client = make_socket(client_ns, client_family, 0);
	struct sockaddr_storage address;
	socklen_t length = make_address(&address, client_family, dial_ip, local_port(listener));

	must(!connect(client, (void *)&address, length));
	int server = accept_one(listener);
	set_timeout(client, 1000);
	set_timeout(server, 1000);
	long redirected = exchange(client, server);
	if (wanted == SPLICED_IF_ASKED) {
		expect_path(client, 1500);
		expect_path(server, 25000);
	}
	note("%ld of 26500 bytes redirected", redirected);
	shutdown(client, SHUT_WR);
	char byte;
	expect(result(recv(server, &byte, 1, 0)), 0);
}

static const char *mapped_server(void)
{
	static char ip[64];

	snprintf(ip, sizeof(ip), "::ffff:%s", options.server_addr);
	return ip;
}

static void v4(void)
{
	family_case(options.server_ns, AF_INET, options.server_addr, AF_INET, options.server_addr,
		    SPLICED_IF_ASKED);
}

static void v6(void)
{
	family_case(options.server_ns, AF_INET6, options.server_addr6, AF_INET6,
		    options.server_addr6, SPLICED_IF_ASKED);
}

static void v4_to_wildcard(void)
{
	family_case(options.server_ns, AF_INET, "0.0.0.0", AF_INET, options.server_addr,
		    SPLICED_IF_ASKED);
}

static void v4_to_dual_stack(void)
{
	family_case(options.server_ns, AF_INET6, "::", AF_INET, options.server_addr,
		    SPLICED_IF_ASKED);
}

static void v6_to_dual_stack(void)
{
	family_case(options.server_ns, AF_INET6, "::", AF_INET6, options.server_addr6,
		    SPLICED_IF_ASKED);
}

static void mapped_to_v4(void)
{
	family_case(options.server_ns, AF_INET, options.server_addr, AF_INET6, mapped_server(),
		    SPLICED_IF_ASKED);
}

static void v4_to_mapped(void)
{
	family_case(options.server_ns, AF_INET6, mapped_server(), AF_INET, options.server_addr,
		    SPLICED_IF_ASKED);
}

static void mapped_to_dual_stack(void)
{
	family_case(options.server_ns, AF_INET6, "::", AF_INET6, mapped_server(), SPLICED_IF_ASKED);
}

static void loopback_v4(void)
{
	family_case(options.client_ns, AF_INET, "127.0.0.1", AF_INET, "127.0.0.1", ANY_PATH);
}

static void loopback_v4_other(void)
{
	family_case(options.client_ns, AF_INET, "127.0.0.5", AF_INET, "127.0.0.5", ANY_PATH);
}

static void loopback_v6(void)
{
	family_case(options.client_ns, AF_INET6, "::1", AF_INET6, "::1", ANY_PATH);
}

static void loopback_mapped(void)
{
	family_case(options.client_ns, AF_INET, "127.0.0.1", AF_INET6, "::ffff:127.0.0.1",
		    ANY_PATH);
}

static void own_address_v4(void)
{
	family_case(options.client_ns, AF_INET, options.client_addr, AF_INET, options.client_addr,
		    ANY_PATH);
}

static void own_address_v6(void)
{
	family_case(options.client_ns, AF_INET6, options.client_addr6, AF_INET6,
		    options.client_addr6, ANY_PATH);
}

/* 127.0.0.1:5555 → 127.0.0.1:7777 lives in both namespaces at once. */
static void same_loopback_tuple_twice(void)
{
	int namespaces[2] = { options.client_ns, options.server_ns }, clients[2], servers[2];
	struct sockaddr_storage address;

	for (int i = 0; i < 2; i++) {
		int listener = make_listener_at(namespaces[i], AF_INET, "127.0.0.1", 7777, 0, 4);

		clients[i] = make_socket(namespaces[i], AF_INET, 0);
		socklen_t length = make_address(&address, AF_INET, "127.0.0.1", 5555);
		must(!bind(clients[i], (void *)&address, length));
		length = make_address(&address, AF_INET, "127.0.0.1", 7777);
		must(!connect(clients[i], (void *)&address, length));
		servers[i] = accept_one(listener);
		set_timeout(servers[i], 1000);
	}
	for (int i = 0; i < 2; i++)
		expect(send_range(clients[i], 30 + i, 0, 1000, 100), 0);
	for (int i = 0; i < 2; i++)
		read_range(servers[i], 30 + i, 0, 1000);
}

static void self_connect(void)
{
	struct sockaddr_storage address;
	int fd = make_socket(options.client_ns, AF_INET, 0);
	socklen_t length = make_address(&address, AF_INET, options.client_addr, 6666);

	must(!bind(fd, (void *)&address, length));
	expect(result(connect(fd, (void *)&address, length)), 0);
	set_timeout(fd, 1000);
	expect(send_range(fd, 3, 0, 1000, 100), 0);
	read_range(fd, 3, 0, 1000);
	expect_plain(fd, 1000);
}

/* The same 4-tuple 200 times, ended by FIN of either side or by RST. */
static void tuple_reuse(void)
{
	struct linger linger = { 1, 0 };
	struct sockaddr_storage from;
	int listener = make_listener(16), connected = 0;
	bool six = strchr(options.client_addr, ':') || options.mapped;
	char ip[64];

	snprintf(ip, sizeof(ip), "%s%s", options.mapped ? "::ffff:" : "", options.client_addr);
	for (int i = 0; i < 200; i++) {
		int client = make_client(), server;
		socklen_t length = make_address(&from, six ? AF_INET6 : AF_INET, ip, 23456);

		must(!bind(client, (void *)&from, length));
		long error = connect_to(client, local_port(listener));
		if (error == -EADDRNOTAVAIL) { /* our own TIME_WAIT, once: an RST would have been
						  needed */
			close(client);
			sleep_ms(2);
			continue;
		}
		expect(error, 0);
		connected++;
		server = accept_one(listener);
		set_timeout(client, 1000);
		set_timeout(server, 1000);
		expect(send_range(client, i, 0, 500, 500), 0);
		read_range(server, i, 0, 500);
		expect(send_range(server, i + 7, 0, 500, 500), 0);
		read_range(client, i + 7, 0, 500);
		expect_path(client, 500);
		if (i % 4 == 0) {
			must(!setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
			close(client);
			close(server);
		} else if (i % 4 == 2) {
			close(client);
			usleep(500);
			close(server);
		} else {
			close(server);
			usleep(500);
			close(client);
		}
	}
	note("%d connections", connected);
	expect(connected >= 100, true);
}

/* The server writes before the client has even returned from connect(). */
static void server_speaks_first(void)
{
	enum { ROUNDS = 300 };
	int listener = make_listener(16), port = local_port(listener);

	pid_t speaker = fork();
	if (!speaker) {
		for (int i = 0; i < ROUNDS; i++) {
			int server = accept_one(listener);
			char byte;

			expect(send_range(server, 4, 0, 20, 20), 0);
			expect(send_range(server, 4, 20, 1500, 1480), 0);
			expect(send_range(server, 4, 1500, 2000, 500), 0);
			shutdown(server, SHUT_WR);
			expect(recv_blocking(server, &byte, 1), 0);
			close(server);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int client = make_client();
		long last;

		expect(connect_to(client, port), 0);
		set_timeout(client, 2000);
		expect(read_all(client, 4, 4000, 0, &last), 2000);
		expect(last, 0);
		close(client);
	}
}

/* With TCP_DEFER_ACCEPT the first bytes go through TCP before the server's socket exists; a late
 * reader must still see them first. */
static void deferred(int delay_us)
{
	enum { ROUNDS = 300, WRITES = 8, SIZE = 10 };
	int listener = make_listener(512), port = local_port(listener);

	set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	pid_t reader = fork();
	if (!reader) {
		for (int i = 0; i < ROUNDS; i++) {
			int server = accept_one(listener);
			long last;

			usleep(delay_us);
			set_timeout(server, 2000);
			expect(read_all(server, 5, 4096, 0, &last), WRITES * SIZE);
			expect(last, 0);
			close(server);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int client = make_client();
		char byte;

		expect(connect_to(client, port), 0);
		for (int k = 0; k < WRITES; k++)
			expect(send_range(client, 5, k * SIZE, k * SIZE + SIZE, SIZE), 0);
		shutdown(client, SHUT_WR);
		expect(recv_blocking(client, &byte, 1), 0);
		close(client);
	}
	int status;
	must(waitpid(reader, &status, 0) == reader);
	expect(status, 0);
}

static void deferred_accept(void)
{
	deferred(0);
}

static void deferred_accept_late_reader(void)
{
	deferred(2000);
}

/* /proc/sys/net shows the namespace of the calling thread. */
static void allow_fast_open(int ns)
{
	int fd;

	must(!setns(ns, CLONE_NEWNET));
	must((fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY)) >= 0);
	must(write(fd, "3", 1) == 1);
	close(fd);
}

static void fast_open(void)
{
	enum { ROUNDS = 20 };
	int listener = make_listener(16), with_data = 0;
	struct sockaddr_storage address;
	socklen_t length = server_address(&address, local_port(listener));
	uint8_t bytes[1000];

	allow_fast_open(options.client_ns);
	allow_fast_open(options.server_ns);
	set_int(listener, IPPROTO_TCP, TCP_FASTOPEN, 16);
	for (int i = 0; i < ROUNDS; i++) {
		struct tcp_info info;
		socklen_t size = sizeof(info);
		int client = make_client();

		pattern_fill(6, 0, bytes, sizeof(bytes));
		expect(result(sendto(client, bytes, sizeof(bytes), MSG_FASTOPEN, (void *)&address,
				     length)),
		       sizeof(bytes));
		expect(send_range(client, 6, 1000, 2000, 1000), 0);
		int server = accept_one(listener);
		expect(send_range(client, 6, 2000, 3000, 1000), 0);
		sleep_ms(2);
		set_timeout(server, 1000);
		read_range(server, 6, 0, 3000);
		expect(send_range(server, 7, 0, 3000, 1000), 0);
		set_timeout(client, 1000);
		read_range(client, 7, 0, 3000);
		must(!getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size));
		with_data += !!(info.tcpi_options & TCPI_OPT_SYN_DATA);
		close(client);
		close(server);
	}
	note("%d of %d with data in the SYN", with_data, ROUNDS);
	expect(with_data > 0, true);
}

static const struct torture_test tests[] = {
	{ "v4", v4, 0 },
	{ "v6", v6, 0 },
	{ "v4_to_wildcard", v4_to_wildcard, 0 },
	{ "v4_to_dual_stack", v4_to_dual_stack, 0 },
	{ "v6_to_dual_stack", v6_to_dual_stack, 0 },
	{ "mapped_to_v4", mapped_to_v4, 0 },
	{ "v4_to_mapped", v4_to_mapped, 0 },
	{ "mapped_to_dual_stack", mapped_to_dual_stack, 0 },
	{ "loopback_v4", loopback_v4, 0 },
	{ "loopback_v4_other", loopback_v4_other, 0 },
	{ "loopback_v6", loopback_v6, 0 },
	{ "loopback_mapped", loopback_mapped, 0 },
	{ "own_address_v4", own_address_v4, 0 },
	{ "own_address_v6", own_address_v6, 0 },
	{ "same_loopback_tuple_twice", same_loopback_tuple_twice, 0 },
	{ "self_connect", self_connect, 0 },
	{ "tuple_reuse", tuple_reuse, 0 },
	{ "server_speaks_first", server_speaks_first, 0 },
	{ "deferred_accept", deferred_accept, 0 },
	{ "deferred_accept_late_reader", deferred_accept_late_reader, 0 },
	{ "fast_open", fast_open, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
