/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Addresses and 4-tuples: 128 bits everywhere, IPv4 as ::ffff:a.b.c.d. */
#ifndef PODWIRE_FLOW_BPF_H
#define PODWIRE_FLOW_BPF_H
#include "abi.h"

#define AF_INET 2
#define AF_INET6 10

static __always_inline void addr_copy(__u8 *to, const __u8 *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void addr_from4(__u8 *to, __u32 ip4)
{
	((__u64 *)to)[0] = 0;
	((__u32 *)to)[2] = bpf_htonl(0xffff);
	((__u32 *)to)[3] = ip4;
}

static __always_inline bool addr_equal(const __u8 *a, const __u8 *b)
{
	return ((const __u64 *)a)[0] == ((const __u64 *)b)[0] &&
	       ((const __u64 *)a)[1] == ((const __u64 *)b)[1];
}

static __always_inline bool addr_is_zero(const __u8 *a)
{
	return !((const __u64 *)a)[0] && !((const __u64 *)a)[1];
}

static __always_inline bool addr_is_mapped(const __u8 *a)
{
	return !((const __u64 *)a)[0] && ((const __u32 *)a)[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8 or ::1 */
static __always_inline bool addr_is_loopback(const __u8 *a)
{
	if (((const __u64 *)a)[0])
		return false;
	if (!((const __u32 *)a)[2])
		return ((const __u32 *)a)[3] == bpf_htonl(1);
	return ((const __u32 *)a)[2] == bpf_htonl(0xffff) && a[12] == 127;
}

/* The same connection seen from the other end. */
static __always_inline void flow_flip(const struct flow_key *key, struct flow_key *peer)
{
	addr_copy(peer->local, key->remote);
	addr_copy(peer->remote, key->local);
	peer->local_port = key->remote_port;
	peer->remote_port = key->local_port;
	peer->pad = 0;
	peer->netns = key->netns;
}

#endif
