// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * sk_lookup: inbound policy and capture, in the pod's own network namespace.
 *
 * Loaded once per pod with the pod's numbers in .rodata, because bpf_get_netns_cookie() is refused here.  Written
 * against the UAPI headers only: without CO-RE there is no kernel BTF to parse, and a pod costs about a millisecond.
 * It runs for SYNs (and for the last ACK under SYN cookies), never for packets of established connections.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "maps.bpf.h"
#include "counters.bpf.h"
#include "policy.bpf.h"
#include "events.bpf.h"

char _license[] SEC("license") = "GPL";

const volatile __u64 pod_netns;
const volatile __u32 pod_id;
const volatile __u32 pod_identity;
const volatile __u32 pod_flags;
const volatile __u32 pod_workers = 1;

static __always_inline int refuse(const struct flow_key *client, const struct record *rec,
				  __u32 reason, __u32 policy)
{
	struct denial denial = {
		.reason = reason,
		.policy = policy,
		.destination_pod = pod_id,
		.destination_identity = pod_identity,
		.source_pod = rec ? rec->pod : 0,
		.source_identity = rec ? rec->identity : 0,
	};

	event_denied(client, &denial);
	return SK_DROP;
}

/* Hands the SYN to the agent's listener; false when the agent has none (it is gone). */
static __always_inline bool assign(struct bpf_sk_lookup *ctx, __u8 role, __u32 port)
{
	struct listener_key key = {
		.pod = pod_id,
		.role = role,
		.family = ctx->family == AF_INET ? 4 : 6,
		.worker = pod_workers ? port % pod_workers : 0,
	};
	struct bpf_sock *sk = bpf_map_lookup_elem(&listeners, &key);
	long err;

	if (!sk && key.worker) { /* that worker is being replaced */
		key.worker = 0;
		sk = bpf_map_lookup_elem(&listeners, &key);
	}
	if (!sk)
		return false;
	err = bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT);
	bpf_sk_release(sk);
	return !err;
}

/*
 * Only with a record of the node's own namespace: its address alone proves nothing, NodePort and masqueraded clients have
 * it too.
 */
static __always_inline bool is_probe(__u32 port)
{
	struct port_key key = { .pod = pod_id, .port = port };

	return bpf_map_lookup_elem(&probes, &key) != NULL;
}

SEC("sk_lookup")
int podwire_lookup(struct bpf_sk_lookup *ctx)
{
	struct flow_key client = {};
	struct record *rec;
	__u32 local_port = ctx->local_port, identity = 0, reason, policy;
	bool loopback, agent_port;

	if (ctx->protocol != IPPROTO_TCP)
		return SK_PASS;
	if (ctx->family == AF_INET) {
		addr_from4(client.local, ctx->remote_ip4);
		addr_from4(client.remote, ctx->local_ip4);
	} else {
		((__u32 *)client.local)[0] = ctx->remote_ip6[0];
		((__u32 *)client.local)[1] = ctx->remote_ip6[1];
		((__u32 *)client.local)[2] = ctx->remote_ip6[2];
		((__u32 *)client.local)[3] = ctx->remote_ip6[3];
		((__u32 *)client.remote)[0] = ctx->local_ip6[0];
		((__u32 *)client.remote)[1] = ctx->local_ip6[1];
		((__u32 *)client.remote)[2] = ctx->local_ip6[2];
		((__u32 *)client.remote)[3] = ctx->local_ip6[3];
	}
	client.local_port = bpf_ntohs(ctx->remote_port);
	client.remote_port = local_port;
	loopback = addr_is_loopback(client.remote);
	if (loopback)
		client.netns = pod_netns;
	agent_port = local_port == PORT_OUTBOUND || local_port == PORT_INBOUND ||
		     local_port == PORT_HBONE;
	rec = bpf_map_lookup_elem(&records, &client);
	/* The pod's own traffic on loopback is none of the mesh's business, except what connect4/6 sent to the agent. */
	if (loopback) {
		if (!agent_port)
			return SK_PASS;
		if (!rec || !(rec->flags & RECORD_CAPTURED))
			return refuse(&client, rec, REASON_AGENT_PORT, 0);
		if (!assign(ctx, LISTENER_OUTBOUND, client.local_port))
			return refuse(&client, rec, REASON_NO_AGENT, 0);
		return SK_PASS;
	}
	if (rec && rec->flags & RECORD_AGENT && rec->netns == pod_netns)
		return SK_PASS; /* the agent's second leg: decided on the first */
	if (local_port == PORT_HBONE && pod_flags & POD_TUNNEL) {
		/* Who it is, and where to, is said after the handshake: the agent decides. */
		if (!assign(ctx, LISTENER_HBONE, client.local_port))
			return refuse(&client, rec, REASON_NO_AGENT, 0);
		count(COUNTER_TUNNELLED_IN);
		return SK_PASS;
	}
	if (agent_port)
		return refuse(&client, rec, REASON_AGENT_PORT, 0);
	if (rec && rec->flags & RECORD_NODE && is_probe(local_port)) {
		count(COUNTER_PROBES);
		return SK_PASS; /* straight to the application */
	}
	if (rec && !(pod_flags & POD_TUNNEL_ONLY))
		identity = rec->identity;
	reason = policy_check(pod_id, identity, local_port, client.local, &policy);
	if (reason == POLICY_ASK) {
		if (!assign(ctx, LISTENER_INBOUND, client.local_port))
			return refuse(&client, rec, REASON_NO_AGENT, 0);
		count(COUNTER_ASKED);
		return SK_PASS;
	}
	if (reason)
		return refuse(&client, rec, reason, policy);
	if (pod_flags & POD_CAPTURE_PROXY && !(rec && rec->netns == pod_netns)) {
		if (assign(ctx, LISTENER_INBOUND, client.local_port)) {
			count(COUNTER_CAPTURED_IN);
			return SK_PASS;
		}
		if (!(pod_flags & POD_FALLBACK_DIRECT))
			return refuse(&client, rec, REASON_NO_AGENT, 0);
	}
	return SK_PASS;
}
