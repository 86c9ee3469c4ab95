// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The node's data path: one object, because its programs share socket storages and the sockhash.
 * Each header holds the entry points of one hook family:
 *   connect.bpf.h  cgroup/connect4, 6 and getpeername4, 6, cgroup/setsockopt
 *   sockops.bpf.h  provenance, insertion into the sockhash, end of connections
 *   splice.bpf.h   sk_msg verdict (the one-queue protocol) and the sk_skb verdict that only passes
 *   view.bpf.h     iterators: live connections, listeners older than the agent
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "counters.bpf.h"
#include "flow.bpf.h"
#include "policy.bpf.h"
#include "events.bpf.h"
#include "mesh_maps.bpf.h"
#include "trust.bpf.h"
#include "balance.bpf.h"
#include "connect.bpf.h"
#include "sockops.bpf.h"
#include "splice.bpf.h"
#include "view.bpf.h"

char _license[] SEC("license") = "GPL";
