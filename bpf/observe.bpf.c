// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The observer of "observe, then splice": which executables use calls that a spliced socket cannot serve.
 *
 * Attached only while something is being learnt; the agent holds the link.  raw_tp and not a tracepoint per call: that
 * would cost the node's other calls 12 ns instead of 37, but recv() 66 instead of 37, it needs tracefs, and detaching
 * makes the agent wait for 80 ms per call.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "abi.h"
#include "argv.bpf.h"

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define MSG_OOB 1
#define MSG_TRUNC 0x20
#define MSG_WAITALL 0x100
#define RCV_SHUTDOWN 1
#define MAX_SEEN 4096

char _license[] SEC("license") = "GPL";

/* System call numbers of this architecture: src/agent/learn/syscall-numbers.ts. */
const volatile __u32 splice_number, tee_number, vmsplice_number, io_uring_setup_number;
const volatile __u32 recvfrom_number, recvmsg_number, recvmmsg_number;

/* Network namespaces in which something is being learnt: the tasks that live there are watched. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PODS);
	__type(key, __u64);
	__type(value, __u8);
} watch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SEEN);
	__type(key, struct observed_key);
	__type(value, struct behaviours);
} seen SEC(".maps");

/* Given by the agent: mesh.bpf.c's map of established sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps");

static __always_inline __u64 watched_netns(struct task_struct *task)
{
	__u64 cookie = BPF_CORE_READ(task, nsproxy, net_ns, net_cookie);

	return bpf_map_lookup_elem(&watch, &cookie) ? cookie : 0;
}

static __always_inline bool is_tcp_socket(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;
	struct socket *socket;
	struct sock *sk;

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return false;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return false;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	return sk && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline void note(struct task_struct *task, __u64 netns, __u32 behaviour)
{
	struct mm_struct *mm = task->mm;
	struct observed_key key = { .netns = netns };
	struct behaviours new = {}, *found;
	struct file *exe;

	if (!mm || !mm->exe_file)
		return;
	exe = mm->exe_file;
	key.inode = exe->f_inode->i_ino;
	key.device = exe->f_inode->i_sb->s_dev;
	key.argv = argv_hash(mm);
	found = bpf_map_lookup_elem(&seen, &key);
	if (!found) {
		new.tgid = task->tgid;
		bpf_map_update_elem(&seen, &key, &new, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&seen, &key);
		if (!found)
			return;
	}
	__sync_fetch_and_add(&found->count[behaviour], 1);
}

/* Only a TCP socket's descriptor counts where the call has one. */
static __always_inline void note_socket(__u32 fd, __u32 behaviour)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 netns = watched_netns(task);

	if (netns && is_tcp_socket(task, fd))
		note(task, netns, behaviour);
}

static __always_inline void note_always(__u32 behaviour)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 netns = watched_netns(task);

	if (netns)
		note(task, netns, behaviour);
}

static __always_inline void note_flags(__u32 fd, __u32 flags)
{
	if (flags & MSG_WAITALL)
		note_socket(fd, BEHAVIOUR_WAITALL);
	else if (flags & MSG_TRUNC)
		note_socket(fd, BEHAVIOUR_TRUNC);
	else if (flags & MSG_OOB)
		note_socket(fd, BEHAVIOUR_OOB);
}

SEC("raw_tp/sys_enter")
int observe_calls(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 number = ctx->args[1];

	if (number == recvfrom_number || number == recvmmsg_number)
		note_flags(PT_REGS_PARM1_CORE_SYSCALL(regs), PT_REGS_PARM4_CORE_SYSCALL(regs));
	else if (number == recvmsg_number)
		note_flags(PT_REGS_PARM1_CORE_SYSCALL(regs), PT_REGS_PARM3_CORE_SYSCALL(regs));
	else if (number == splice_number)
		note_socket(PT_REGS_PARM1_CORE_SYSCALL(regs), BEHAVIOUR_SPLICE_OUT);
	else if (number == tee_number || number == vmsplice_number)
		note_always(BEHAVIOUR_TEE_VMSPLICE);
	else if (number == io_uring_setup_number)
		note_always(BEHAVIOUR_IO_URING);
	return 0;
}

/* Live plain connections that have received data; closed ones are counted in struct trust. */
SEC("iter/bpf_sk_storage_map")
int quiet(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct conn *conn = ctx->value;
	struct sock *sk = ctx->sk;
	struct live_conn live = {};
	struct tcp_sock *tcp;

	if (!sk || !conn || !conn->born_ns || conn->flags & (CONN_IN_SOCKHASH | CONN_AGENT))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	live.received = tcp->bytes_received;
	if (live.received && sk->sk_shutdown & RCV_SHUTDOWN)
		live.received -= 1; /* the FIN */
	if (!live.received)
		return 0;
	live.trust = conn->trust;
	live.cookie = conn->cookie;
	bpf_seq_write(ctx->meta->seq, &live, sizeof(live));
	return 0;
}
