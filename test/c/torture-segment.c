// SPDX-License-Identifier: Apache-2.0
/*
 * Torture tests: segments that TCP may deliver after a retransmission or out of order, made by hand and
 * sent through a raw socket in the client's namespace: repeated, overlapping, in the wrong order.  The
 * reader sees every byte once.  (In a sockhash the kernel hands whole segments to the reader's queue and
 * forgets that they may begin before what has already been received.)
 */
#include "torture-differences.h"
#include "torture-stream.h"
#include <netinet/ip.h>

struct forged {
	int sniffer; /* sees the server's incoming segments */
	int injector;
	int client;
	int server;
	struct sockaddr_in from;
	struct sockaddr_in to;
	uint32_t first; /* sequence number of the stream's byte 0 */
	uint32_t acknowledged;
};

static uint32_t checksum_add(uint32_t sum, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < count; i++)
		sum += i & 1 ? at[i] : at[i] << 8;
	return sum;
}

static uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* Connects and learns the sequence numbers from the handshake. */
static void forged_connect(struct forged *forged)
{
	uint8_t packet[2048];
	socklen_t length = sizeof(forged->from);

	must(!setns(options.server_ns, CLONE_NEWNET));
	must((forged->sniffer = socket(AF_INET, SOCK_RAW, IPPROTO_TCP)) >= 0);
	set_timeout(forged->sniffer, 1000);
	must(!setns(options.client_ns, CLONE_NEWNET));
	must((forged->injector = socket(AF_INET, SOCK_RAW, IPPROTO_TCP)) >= 0);
	connect_pair(&forged->client, &forged->server);
	set_timeout(forged->server, 1000);
	must(!getsockname(forged->client, (void *)&forged->from, &length));
	must(!getpeername(forged->client, (void *)&forged->to, &length));
	for (;;) { /* the last segment of the handshake has both numbers */
		ssize_t count = recv(forged->sniffer, packet, sizeof(packet), 0);
		struct iphdr *ip = (void *)packet;
		struct tcphdr *tcp = (void *)(packet + ip->ihl * 4);

		must(count > (ssize_t)(sizeof(*ip) + sizeof(*tcp)));
		if (tcp->source != forged->from.sin_port || tcp->dest != forged->to.sin_port ||
		    tcp->syn)
			continue;
		forged->first = ntohl(tcp->seq);
		forged->acknowledged = tcp->ack_seq;
		return;
	}
}

/* Bytes [from, to) of the pattern in one segment. */
static void forged_send(struct forged *forged, uint64_t seed, long from, long to)
{
	uint8_t segment[2048] = {};
	struct tcphdr *tcp = (void *)segment;
	size_t length = sizeof(*tcp) + to - from;
	struct sockaddr_in to_host = forged->to;
	uint32_t sum = IPPROTO_TCP + length;

	tcp->source = forged->from.sin_port;
	tcp->dest = forged->to.sin_port;
	tcp->seq = htonl(forged->first + from);
	tcp->ack_seq = forged->acknowledged;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->ack = tcp->psh = 1;
	tcp->window = htons(1000);
	pattern_fill(seed, from, segment + sizeof(*tcp), to - from);
	sum = checksum_add(sum, &forged->from.sin_addr, 4);
	sum = checksum_add(sum, &forged->to.sin_addr, 4);
	tcp->check = checksum_fold(checksum_add(sum, segment, length));
	to_host.sin_port = 0;
	must(sendto(forged->injector, segment, length, 0, (void *)&to_host, sizeof(to_host)) ==
	     (ssize_t)length);
	sleep_ms(5);
}

static void expect_exactly(struct forged *forged, uint64_t seed, long count)
{
	uint8_t byte;

	expect(int_ioctl(forged->server, FIONREAD), count);
	read_range(forged->server, seed, 0, count);
	expect(result(recv(forged->server, &byte, 1, MSG_DONTWAIT)), -EAGAIN);
}

/* True when the segments cannot be forged: raw IPv6 has another interface, and the code under test is the same. */
static bool not_over_ipv4(void)
{
	if (socket_family() == AF_INET)
		return false;
	note("IPv4 only");
	return true;
}

static void in_order(void)
{
	struct forged forged;

	if (not_over_ipv4())
		return;
	forged_connect(&forged);
	for (int i = 0; i < 10; i++)
		forged_send(&forged, 1, i * 100, i * 100 + 100);
	expect_exactly(&forged, 1, 1000);
}

static void repeated(void)
{
	struct forged forged;

	if (not_over_ipv4())
		return;
	forged_connect(&forged);
	for (int i = 0; i < 10; i++) {
		forged_send(&forged, 2, i * 100, i * 100 + 100);
		forged_send(&forged, 2, i * 100, i * 100 + 100);
		forged_send(&forged, 2, 0, i * 100 + 100);
	}
	expect_exactly(&forged, 2, 1000);
}

/* Each segment begins in the middle of what has been received. */
static void overlapping(void)
{
	struct forged forged;

	if (not_over_ipv4())
		return;
	forged_connect(&forged);
	forged_send(&forged, 3, 0, 100);
	for (int i = 1; i < 10; i++)
		forged_send(&forged, 3, i * 100 - 70, i * 100 + 100);
	forged_send(&forged, 3, 0, 1400);
	expect_exactly(&forged, 3, 1400);
}

static void overlapping_after_read(void)
{
	struct forged forged;

	if (not_over_ipv4())
		return;
	forged_connect(&forged);
	forged_send(&forged, 4, 0, 100);
	read_range(forged.server, 4, 0, 100);
	forged_send(&forged, 4, 50, 150);
	expect(int_ioctl(forged.server, FIONREAD), 50);
	read_range(forged.server, 4, 100, 150);
	forged_send(&forged, 4, 0, 151);
	read_range(forged.server, 4, 150, 151);
}

/* Later segments first; the one that closes the gap covers a part of them. */
static void out_of_order(void)
{
	struct forged forged;

	if (not_over_ipv4())
		return;
	forged_connect(&forged);
	forged_send(&forged, 5, 300, 400);
	forged_send(&forged, 5, 150, 250);
	forged_send(&forged, 5, 0, 200);
	forged_send(&forged, 5, 220, 350);
	expect_exactly(&forged, 5, 400);
}

static const struct torture_test tests[] = {
	{ "in_order", in_order, 0 },
	{ "repeated", repeated, 0 },
	{ "overlapping", overlapping, 0 },
	{ "overlapping_after_read", overlapping_after_read, 0 },
	{ "out_of_order", out_of_order, 0 },
};

int main(int argc, char **argv)
{
	return torture_main(argc, argv, tests, ARRAY_SIZE(tests));
}
