/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two programs of `podwire demo` agree on, and how they print what they see.
 */
#ifndef DEMO_H
#define DEMO_H
#include "bench.h"

/* the size of every message; two times ADDRESS:PORT as text */
enum { DEMO_MESSAGE = 64, DEMO_ENDS = 2 * (INET_ADDRSTRLEN + 7) };

/* "PEER LOCAL" into a buffer of DEMO_ENDS bytes: getpeername() and getsockname(). */
static inline char *describe_ends(int fd, char *text)
{
	struct sockaddr_in peer = { 0 }, local = { 0 };
	socklen_t peer_length = sizeof(peer), local_length = sizeof(local);
	char peer_host[INET_ADDRSTRLEN], local_host[INET_ADDRSTRLEN];

	getpeername(fd, (void *)&peer, &peer_length);
	getsockname(fd, (void *)&local, &local_length);
	inet_ntop(AF_INET, &peer.sin_addr, peer_host, sizeof(peer_host));
	inet_ntop(AF_INET, &local.sin_addr, local_host, sizeof(local_host));
	snprintf(text, DEMO_ENDS, "%s:%u %s:%u", peer_host, ntohs(peer.sin_port), local_host,
		 ntohs(local.sin_port));
	return text;
}

#endif
