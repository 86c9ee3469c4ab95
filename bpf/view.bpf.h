/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Iterators: what lives now, and whom the agent found already listening. */
#ifndef PODWIRE_VIEW_BPF_H
#define PODWIRE_VIEW_BPF_H
#include "mesh_maps.bpf.h"
#include "sockops.bpf.h"

/* Prints a conn_view for every socket that has a conn; gives back leases whose reader has caught up. */
SEC("iter/bpf_sk_storage_map")
int podwire_conns(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct sock *sk = ctx->sk;
	struct conn *conn = ctx->value;
	struct conn_view view = {};
	struct peer_view *client;
	struct tcp_sock *tp, *peer;
	__u64 sent, received;

	if (!sk || !conn || !conn->born_ns)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	if (conn->lease && conn->peer_sock) {
		peer = CAST(conn->peer_sock, tcp_sock);
		if (peer->inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter ==
			    conn->peer_cookie &&
		    !peer->inet_conn.icsk_inet.sk.sk_backlog.rmem_alloc.counter)
			lease_return(conn);
	}
	view.version = ABI_VERSION;
	view.size = sizeof(view);
	flow_flip(&conn->peer, &view.key);
	view.cookie = conn->cookie;
	view.netns = conn->netns;
	view.peer_cookie = conn->peer_cookie;
	view.born_ns = conn->born_ns;
	tcp_bytes(tp, conn->flags & CONN_CLIENT, sk->__sk_common.skc_state, &sent, &received);
	view.sent = sent + conn->redirected_bytes;
	view.received = received;
	view.redirected_bytes = conn->redirected_bytes;
	view.redirected_messages = conn->redirected_messages;
	view.tcp_messages = conn->tcp_messages;
	view.flags = conn->flags;
	view.state = sk->__sk_common.skc_state;
	view.source_identity = conn->source_identity;
	view.destination_identity = conn->destination_identity;
	view.source_pod = conn->source_pod;
	view.destination_pod = conn->destination_pod;
	view.reason = conn->reason;
	view.service = conn->service;
	view.trust = conn->trust;
	addr_copy(view.dialled, conn->dialled);
	view.dialled_port = conn->dialled_port;
	view.srtt_us = tp->srtt_us >> 3;
	client = bpf_sk_storage_get(&peer_views, sk, NULL, 0);
	if (client) {
		addr_copy(view.client, client->addr);
		view.client_port = client->port;
	}
	bpf_seq_write(seq, &view, sizeof(view));
	return 0;
}

#define TCP_KEEPIDLE 4
#define SO_KEEPALIVE 9
#define KEEPALIVE_AFTER_NS (60 * 1000000000ull)

/*
 * The idle TCP under a busy splice must not be forgotten by conntrack: spliced sockets of the caller's namespace that have
 * lived for a minute are given a keepalive, unless the application did.  Not at establishment: two options and a timer
 * would be a tax on every short connection.
 */
SEC("iter/tcp")
int podwire_keepalive(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct config *cfg = config_get();
	struct tcp_sock *tp;
	struct conn *conn;
	int one = 1, idle;

	if (!skc || !cfg || skc->skc_state != BPF_TCP_ESTABLISHED)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp || skc->skc_flags & SOCK_FLAG(SOCK_KEEPOPEN))
		return 0;
	conn = bpf_sk_storage_get(&conns, &tp->inet_conn.icsk_inet.sk, NULL, 0);
	if (!conn || !(conn->flags & CONN_IN_SOCKHASH) ||
	    bpf_ktime_get_ns() - conn->born_ns < KEEPALIVE_AFTER_NS)
		return 0;
	idle = cfg->keepalive_s;
	if (!idle)
		return 0;
	bpf_setsockopt(tp, SOL_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	bpf_setsockopt(tp, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	return 0;
}

/*
 * Listeners older than the agent (iter/task_file): their owner is written as TCP_LISTEN_CB would have done.  Arguments
 * of another process cannot be read here; for interpreters the agent puts their hash in argv_hashes and runs it again.
 */
SEC("iter/task_file")
int podwire_adopt(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct adopted found = {};
	struct listening_key key = {};
	struct conn *conn;
	struct socket *socket;
	struct trust *t;
	struct sock *sk;
	struct pod *pod;
	__u64 *hash;
	__u32 tgid;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP || sk->__sk_common.skc_state != BPF_TCP_LISTEN)
		return 0;
	found.netns = sk->__sk_common.skc_net.net->net_cookie;
	pod = pod_of(found.netns);
	if (!pod || bpf_sk_storage_get(&agent_socks, sk, NULL, 0) || !task->mm ||
	    !task->mm->exe_file)
		return 0;
	tgid = task->tgid;
	found.tgid = tgid;
	found.port = sk->__sk_common.skc_num;
	found.key.inode = task->mm->exe_file->f_inode->i_ino;
	found.key.device = task->mm->exe_file->f_inode->i_sb->s_dev;
	found.key.workload = pod->workload;
	t = bpf_map_lookup_elem(&trust, &found.key);
	if (t && t->flags & TRUST_INTERPRETER) {
		hash = bpf_map_lookup_elem(&argv_hashes, &tgid);
		if (hash)
			found.key.argv = *hash;
		t = bpf_map_lookup_elem(&trust, &found.key);
	}
	if (!t)
		trust_announce(&found.key, tgid, pod->id);
	conn = bpf_sk_storage_get(&conns, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (conn)
		listener_owned(conn, &found.key);
	key.netns = found.netns;
	key.port = found.port;
	bpf_map_update_elem(&listening, &key, &found.key, BPF_ANY);
	bpf_seq_write(seq, &found, sizeof(found));
	return 0;
}

#endif
