/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Every map that outlives an object: mesh.bpf.c owns them, lookup.bpf.c (loaded once per pod) is given the same ones
 * by file descriptor.  Pinned under <bpffs>/podwire/gen-N/ by the loader.
 */
#ifndef PODWIRE_MAPS_BPF_H
#define PODWIRE_MAPS_BPF_H
#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} settings SEC(".maps");

/* Rows of COUNTER_MAX per CPU, written without atomics; user space sizes it and adds up. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Rows of REASON_MAX per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_RECORDS);
	__type(key, struct flow_key);
	__type(value, struct record);
} records SEC(".maps");

struct policy_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	/* sizes, not types: clang 14 leaves types of an inner map incomplete in BTF */
	__uint(key_size, sizeof(struct policy_key));
	__uint(value_size, sizeof(struct policy_verdict));
};

/* By pod id.  No table: the pod has no policy.  Replaced whole, so that nobody meets half a policy. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, MAX_PODS);
	__type(key, __u32);
	__array(values, struct policy_table);
} policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_CIDR_RULES);
	__type(key, struct cidr_key);
	__type(value, struct policy_verdict);
} cidr_rules SEC(".maps");

/* Declared probe ports of pods: the node's own namespace reaches them whatever the policy says. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_PROBES);
	__type(key, struct port_key);
	__type(value, __u32);
} probes SEC(".maps");

/* The agent's listening sockets; the kernel removes them when the agent dies, which is how connect and sk_lookup see it. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, struct listener_key);
	__type(value, __u64);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_RING_BYTES);
} events SEC(".maps");

#endif
