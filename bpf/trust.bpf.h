/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which executables may read spliced bytes.  The kernel only makes entries (OBSERVING) and reads the agent's decision.
 * The key is the executable in its workload; interpreters, flagged by the agent, add a hash of their arguments.
 */
#ifndef PODWIRE_TRUST_BPF_H
#define PODWIRE_TRUST_BPF_H
#include "argv.bpf.h"
#include "mesh_maps.bpf.h"

/* Every process of a short-lived program is told of, until the agent has caught one: but not thousands of them. */
#define TELL_ALL 256
#define TELL_SOME 64

static __always_inline void trust_tell(const struct trust_key *key, __u32 tgid, __u32 pod)
{
	struct trust_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return;
	e->type = EVENT_TRUST;
	e->pad = 0;
	e->key = *key;
	e->tgid = tgid;
	e->pod = pod;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void trust_announce(const struct trust_key *key, __u32 tgid, __u32 pod)
{
	struct trust new = { .state = TRUST_OBSERVING,
			     .tgid = tgid,
			     .first_ns = bpf_ktime_get_ns() };

	/* Somebody else was first, or the map is full: then it stays untrusted and MAP_FULL shows. */
	if (!bpf_map_update_elem(&trust, key, &new, BPF_NOEXIST))
		trust_tell(key, tgid, pod);
}

/* Process context only (connect, listen): the executable of the current task.  False for kernel threads. */
static __always_inline bool trust_of_current(const struct pod *pod, struct trust_key *key)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;
	struct file *exe;
	struct trust *t;

	key->argv = 0;
	key->workload = pod->workload;
	if (!mm)
		return false;
	exe = mm->exe_file;
	if (!exe)
		return false;
	key->inode = exe->f_inode->i_ino;
	key->device = exe->f_inode->i_sb->s_dev;
	t = bpf_map_lookup_elem(&trust, key);
	if (t && t->flags & TRUST_INTERPRETER) {
		key->argv = argv_hash(mm);
		t = bpf_map_lookup_elem(&trust, key);
	}
	if (!t) {
		trust_announce(key, task->tgid, pod->id);
	} else if (t->state == TRUST_OBSERVING) {
		t->tgid = task->tgid; /* the first process may be gone before it was looked at */
		if (!(t->flags & (TRUST_INTERPRETER | TRUST_READ)) &&
		    (t->connections < TELL_ALL || !(t->connections % TELL_SOME)))
			trust_tell(key, task->tgid, pod->id);
	}
	return true;
}

/* REASON_NONE when the reader may be spliced. */
static __always_inline __u32 trust_reason(const struct pod *pod, __u32 port,
					  const struct trust_key *key, bool client)
{
	struct port_key pk = { .pod = pod->id, .port = port };
	__u32 flags = pod->flags, *mode = NULL;
	struct config *cfg;
	struct trust *t;

	if (flags & POD_PORT_MODES)
		mode = bpf_map_lookup_elem(&port_modes, &pk);
	if (mode && *mode)
		flags = *mode == SPLICE_MODE_ALWAYS ? POD_SPLICE_ALWAYS :
			*mode == SPLICE_MODE_NEVER  ? POD_SPLICE_NEVER :
						      POD_SPLICE_OBSERVE;
	if (flags & POD_SPLICE_NEVER)
		return REASON_ANNOTATION;
	if (flags & POD_SPLICE_ALWAYS)
		return REASON_NONE;
	cfg = config_get();
	if (cfg && !cfg->detect)
		return REASON_NONE;
	if (!key->inode)
		return REASON_UNKNOWN_READER;
	t = bpf_map_lookup_elem(&trust, key);
	if (!t)
		return client ? REASON_LEARNING_CLIENT : REASON_LEARNING_SERVER;
	if (t->state == TRUST_DENIED)
		return client ? REASON_DENIED_CLIENT : REASON_DENIED_SERVER;
	if (t->state == TRUST_OBSERVING) {
		__sync_fetch_and_add(&t->connections, 1);
		return client ? REASON_LEARNING_CLIENT : REASON_LEARNING_SERVER;
	}
	return flags & POD_SPLICE_OBSERVE ? REASON_ANNOTATION : REASON_NONE;
}

/* A plain connection ended after having received data: a quiet one, as far as the kernel can tell. */
static __always_inline void trust_quiet(const struct trust_key *key)
{
	struct trust *t = bpf_map_lookup_elem(&trust, key);

	if (t && t->state == TRUST_OBSERVING)
		__sync_fetch_and_add(&t->quiet, 1);
}

#endif
