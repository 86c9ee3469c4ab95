/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * cgroup hooks on the node's root: connect (Service VIP to backend, capture for the agent, refusal at once),
 * getpeername and getsockname (the addresses applications may believe in) and setsockopt (options a spliced socket cannot serve).
 * UDP is left alone.
 */
#ifndef PODWIRE_CONNECT_BPF_H
#define PODWIRE_CONNECT_BPF_H
#include "balance.bpf.h"
#include "events.bpf.h"
#include "met.bpf.h"
#include "policy.bpf.h"
#include "trust.bpf.h"

#define ECONNREFUSED 111
#define SOL_SOCKET 1
#define SOL_TCP 6
#define PAGE 4096

struct destination {
	__u8 addr[16];
	__u16 port;
};

static __always_inline bool connect_agent_listens(const struct pod *pod, bool mapped)
{
	struct listener_key key = { .pod = pod->id,
				    .role = LISTENER_OUTBOUND,
				    .family = mapped ? 4 : 6 };
	struct bpf_sock *sk = bpf_map_lookup_elem(&listeners, &key);

	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

static __always_inline bool agent_port(__u32 port)
{
	return port == PORT_OUTBOUND || port == PORT_INBOUND || port == PORT_HBONE;
}

static __always_inline int connect_refuse(const struct pod *pod, const struct destination *to,
					  __u32 reason, __u32 service)
{
	struct flow_key key = { .remote_port = to->port };
	struct denial denial = { .reason = reason,
				 .source_pod = pod->id,
				 .source_identity = pod->identity,
				 .service = service };

	addr_copy(key.remote, to->addr);
	event_denied(&key, &denial);
	bpf_set_retval(-ECONNREFUSED);
	return 0;
}

/* For captured sockets, whose first connection ends at the agent: policy refuses at once all the same. */
static __always_inline bool connect_allowed(const struct pod *pod, const struct local *local,
					    const struct destination *to, __u32 service)
{
	const __u8 *source = addr_is_mapped(to->addr) ? pod->addr4 : pod->addr6;
	struct flow_key key = { .remote_port = to->port };
	struct denial denial = {
		.source_pod = pod->id,
		.source_identity = pod->identity,
		.destination_pod = local->pod,
		.destination_identity = local->identity,
		.service = service,
	};

	denial.reason = policy_check(local->pod, pod->identity, to->port, source, &denial.policy);
	if (!denial.reason || denial.reason == POLICY_ASK)
		return true; /* asked at the destination */
	addr_copy(key.local, source);
	addr_copy(key.remote, to->addr);
	event_denied(&key, &denial);
	bpf_set_retval(-ECONNREFUSED);
	return false;
}

/* false: the Service has as many connections from this node as it may; the caller refuses. */
static __always_inline bool connect_within_limit(const struct service *svc, struct intent *intent)
{
	__u32 limit = svc->limit;
	__u64 *taken = bpf_map_lookup_elem(&lb_limits, &limit);
	__u32 zero = 0, *used = bpf_map_lookup_elem(&lb_limited, &zero);

	if (!taken || !used)
		return true;
	if (!*used)
		*used = 1;
	if (!limit_take(taken, svc->max_connections))
		return false;
	intent->limit = limit;
	intent->flags |= INTENT_LIMITED;
	return true;
}

/*
 * enum tunnel_flags of an address; 0 for pods that do not speak HBONE.  Of this node's pods the map has those that are reached
 * by nothing else (POD_TUNNEL_ONLY); such a pod itself uses HBONE to all others, too.
 */
static __always_inline __u32 tunnel_to(const struct pod *pod, const __u8 *addr)
{
	struct tunnel *tunnel;
	struct local *local;
	struct pod *other;

	if (!(pod->flags & POD_TUNNEL))
		return 0;
	tunnel = bpf_map_lookup_elem(&tunnels, addr);
	if (tunnel && tunnel->flags & TUNNEL_WORKLOAD)
		return tunnel->flags;
	if (pod->flags & POD_TUNNEL_ONLY) {
		local = bpf_map_lookup_elem(&locals, addr);
		other = local ? pod_of(local->netns) : NULL;
		if (other && other->flags & POD_TUNNEL)
			return TUNNEL_WORKLOAD | (tunnel ? tunnel->flags : 0);
	}
	return tunnel ? tunnel->flags : 0;
}

/*
 * 1: go on, *to may have been rewritten (*changed); 0: refused.
 * The active count of the backend is raised later, when the SYN leaves: a connect() may still fail in between.
 */
static __always_inline int connect_decide(struct bpf_sock_addr *ctx, struct destination *to,
					  bool only4, bool *changed)
{
	struct pod *pod = pod_of(bpf_get_netns_cookie(ctx));
	struct bpf_sock *sk = ctx->sk;
	struct destination dialled = *to;
	struct service_key key = { .port = to->port };
	struct service *svc;
	struct backend *backend = NULL;
	struct intent *intent;
	__u32 service = 0, backend_id = 0, flags = 0, tunnel;

	if (!pod || !sk || bpf_sk_storage_get(&agent_socks, sk, NULL, 0))
		return 1;
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (intent) { /* the socket was used before: connect(AF_UNSPEC), or a first try that failed */
		limit_return(intent);
		intent->dialled_port = intent->service = intent->backend = intent->flags = 0;
	}
	addr_copy(key.addr, to->addr);
	tunnel = tunnel_to(pod, to->addr);
	svc = bpf_map_lookup_elem(&services, &key);
	if (svc && tunnel & TUNNEL_WAYPOINT) { /* the waypoint balances */
		service = svc->id;
		svc = NULL;
	}
	if (svc) {
		backend = balance_pick(svc, pod->netns);
		if (!backend && svc->slots) { /* its table was replaced meanwhile */
			svc = bpf_map_lookup_elem(&services, &key);
			backend = svc ? balance_pick(svc, pod->netns) : NULL;
		}
	}
	if (svc) {
		service = svc->id;
		if (!backend || (only4 && !addr_is_mapped(backend->addr)))
			return connect_refuse(pod, to, REASON_NO_ENDPOINT, service);
		addr_copy(to->addr, backend->addr);
		to->port = backend->port;
		backend_id = backend->id;
		if (svc->policy == LB_LEAST_LATENCY)
			flags = INTENT_MEASURED;
		*changed = true;
		/* A Service has a waypoint of its own, or none. */
		tunnel = tunnel_to(pod, to->addr) & TUNNEL_WORKLOAD;
	}
	if (!svc && !tunnel && !addr_is_loopback(to->addr))
		met_tell(pod, to->addr, to->port);
	if ((pod->flags & POD_CAPTURE_PROXY || tunnel) && !addr_is_loopback(to->addr)) {
		struct local *local = bpf_map_lookup_elem(&locals, to->addr);

		/* Its own address is reached without a mesh. */
		if (!local || local->pod != pod->id) {
			if (agent_port(to->port))
				return connect_refuse(pod, &dialled, REASON_AGENT_PORT, service);
			if (local && !tunnel && !connect_allowed(pod, local, to, service))
				return 0;
			if (connect_agent_listens(pod, addr_is_mapped(to->addr)))
				flags = INTENT_CAPTURED | /* its round trip is the agent's */
					(tunnel ? INTENT_TUNNELLED : 0);
			else if (tunnel || !(pod->flags & POD_FALLBACK_DIRECT))
				return connect_refuse(pod, &dialled, REASON_NO_AGENT, service);
		}
	}
	if (!*changed && !flags)
		return 1;
	intent = bpf_sk_storage_get(&intents, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!intent)
		return connect_refuse(pod, &dialled, REASON_MAP_FULL, service);
	addr_copy(intent->dialled, dialled.addr);
	addr_copy(intent->target, to->addr);
	intent->dialled_port = dialled.port;
	intent->target_port = to->port;
	intent->service = service;
	intent->backend = backend_id;
	intent->flags = flags;
	/* Last of all, so that nothing refuses what has been taken. */
	if (svc && svc->max_connections && !connect_within_limit(svc, intent)) {
		intent->dialled_port = intent->service = intent->backend = intent->flags = 0;
		return connect_refuse(pod, &dialled, REASON_CONNECTION_LIMIT, service);
	}
	if (flags & INTENT_CAPTURED) {
		if (addr_is_mapped(to->addr)) {
			addr_from4(to->addr, bpf_htonl(0x7f000001));
		} else {
			((__u64 *)to->addr)[0] = 0;
			((__u64 *)to->addr)[1] = bpf_cpu_to_be64(1);
		}
		to->port = PORT_OUTBOUND;
		count(flags & INTENT_TUNNELLED ? COUNTER_TUNNELLED_OUT : COUNTER_CAPTURED_OUT);
		*changed = true;
	}
	return 1;
}

/*
 * A connect() that failed before its SYN (no route, no port left) or that a fast open has put off leaves what it took with
 * the socket: given back when that is used again or closed.  From the SYN on sockops gives it back.
 */
SEC("cgroup/sock_release")
int podwire_sock_release(struct bpf_sock *sk)
{
	__u32 zero = 0, *used = bpf_map_lookup_elem(&lb_limited, &zero);
	struct intent *intent;

	if (!used || !*used)
		return 1;
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (intent && !(intent->flags & INTENT_COUNTED))
		limit_return(intent);
	return 1;
}

/* clang 14 folds context accesses of two branches into "dereference of modified ctx ptr": volatile keeps them apart. */
SEC("cgroup/connect4")
int podwire_connect4(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	struct destination to = {};
	bool changed = false;
	int ret;

	if (v->protocol != IPPROTO_TCP)
		return 1;
	addr_from4(to.addr, v->user_ip4);
	to.port = bpf_ntohs(v->user_port);
	ret = connect_decide(ctx, &to, true, &changed);
	if (changed && ret) {
		v->user_ip4 = ((__u32 *)to.addr)[3];
		v->user_port = bpf_htons(to.port);
	}
	return ret;
}

SEC("cgroup/connect6")
int podwire_connect6(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	struct destination to = {};
	bool changed = false;
	int ret;

	if (v->protocol != IPPROTO_TCP)
		return 1;
	((__u32 *)to.addr)[0] = v->user_ip6[0];
	((__u32 *)to.addr)[1] = v->user_ip6[1];
	((__u32 *)to.addr)[2] = v->user_ip6[2];
	((__u32 *)to.addr)[3] = v->user_ip6[3];
	to.port = bpf_ntohs(v->user_port);
	ret = connect_decide(ctx, &to, false, &changed);
	if (changed && ret) {
		v->user_ip6[0] = ((__u32 *)to.addr)[0];
		v->user_ip6[1] = ((__u32 *)to.addr)[1];
		v->user_ip6[2] = ((__u32 *)to.addr)[2];
		v->user_ip6[3] = ((__u32 *)to.addr)[3];
		v->user_port = bpf_htons(to.port);
	}
	return ret;
}

/* The client sees what it dialled; a server behind the agent sees the real client.  accept() comes here too. */
static __always_inline bool peer_shown(struct bpf_sock_addr *ctx, __u8 *addr, __u16 *port)
{
	struct bpf_sock *sk = ctx->sk;
	struct intent *intent;
	struct peer_view *view;

	if (!sk)
		return false;
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (intent && intent->dialled_port) {
		addr_copy(addr, intent->dialled);
		*port = intent->dialled_port;
		return true;
	}
	view = bpf_sk_storage_get(&peer_views, sk, NULL, 0);
	if (!view)
		return false;
	addr_copy(addr, view->addr);
	*port = view->port;
	return true;
}

SEC("cgroup/getpeername4")
int podwire_getpeername4(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	__u64 addr[2];
	__u16 port;

	if (peer_shown(ctx, (__u8 *)addr, &port) && addr_is_mapped((__u8 *)addr)) {
		v->user_ip4 = ((__u32 *)addr)[3];
		v->user_port = bpf_htons(port);
	}
	return 1;
}

SEC("cgroup/getpeername6")
int podwire_getpeername6(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	__u64 addr[2];
	__u16 port;

	if (peer_shown(ctx, (__u8 *)addr, &port)) {
		v->user_ip6[0] = ((__u32 *)addr)[0];
		v->user_ip6[1] = ((__u32 *)addr)[1];
		v->user_ip6[2] = ((__u32 *)addr)[2];
		v->user_ip6[3] = ((__u32 *)addr)[3];
		v->user_port = bpf_htons(port);
	}
	return 1;
}

/* A captured socket really ends on loopback; its own address is the pod's, as it would be without capture. */
static __always_inline bool own_shown(struct bpf_sock_addr *ctx, bool mapped, __u8 *addr)
{
	struct bpf_sock *sk = ctx->sk;
	struct intent *intent;
	struct pod *pod;

	if (!sk)
		return false;
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (!intent || !(intent->flags & INTENT_CAPTURED))
		return false;
	pod = pod_of(bpf_get_netns_cookie(ctx));
	if (!pod)
		return false;
	addr_copy(addr, mapped || addr_is_mapped(intent->target) ? pod->addr4 : pod->addr6);
	return ((__u64 *)addr)[0] || ((__u64 *)addr)[1];
}

SEC("cgroup/getsockname4")
int podwire_getsockname4(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	__u64 addr[2];

	if (own_shown(ctx, true, (__u8 *)addr))
		v->user_ip4 = ((__u32 *)addr)[3];
	return 1;
}

SEC("cgroup/getsockname6")
int podwire_getsockname6(struct bpf_sock_addr *ctx)
{
	volatile struct bpf_sock_addr *v = ctx;
	__u64 addr[2];

	if (own_shown(ctx, false, (__u8 *)addr)) {
		v->user_ip6[0] = ((__u32 *)addr)[0];
		v->user_ip6[1] = ((__u32 *)addr)[1];
		v->user_ip6[2] = ((__u32 *)addr)[2];
		v->user_ip6[3] = ((__u32 *)addr)[3];
	}
	return 1;
}

/* include/uapi/asm-generic/socket.h, linux/tcp.h */
static __always_inline bool option_unspliceable(__u32 level, __u32 name)
{
	if (level == SOL_SOCKET)
		return name == 18 /* SO_RCVLOWAT */ || name == 60 /* SO_ZEROCOPY */ ||
		       name == 42 /* SO_PEEK_OFF */ || name == 29 || name == 35 || name == 37 ||
		       name == 63 || name == 64 || name == 65 /* SO_TIMESTAMP* */;
	return level == SOL_TCP && (name == 36 /* TCP_INQ */ || name == 31 /* TCP_ULP */ ||
				    name == 19 /* TCP_REPAIR */);
}

/*
 * Options set after the handshake: the connection goes back to TCP for good.  It stays in the sockhash, so TCP_INQ and
 * the like stay unserved on this one connection; the executable is denied by the agent (`trust.reason`).
 */
SEC("cgroup/setsockopt")
int podwire_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk;
	struct conn *conn;
	struct trust *t;
	__s32 *value;

	if (ctx->optlen > PAGE)
		ctx->optlen = 0; /* larger than the kernel shows us: let it use the caller's buffer */
	if (!option_unspliceable(ctx->level, ctx->optname))
		return 1;
	value = ctx->optval;
	if ((void *)(value + 1) <= ctx->optval_end &&
	    (!*value || (ctx->optname == 18 && *value == 1)))
		return 1; /* switched off, or the default */
	sk = ctx->sk;
	if (!sk)
		return 1;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!conn || !conn->born_ns)
		return 1; /* not established yet: sockops looks at the socket's fields */
	conn->flags |= CONN_PLAIN;
	conn->reason = REASON_SOCKET_OPTION;
	t = bpf_map_lookup_elem(&trust, &conn->trust);
	if (t)
		t->reason = BEHAVIOUR_SOCKET_OPTION + 1;
	return 1;
}

#endif
