/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The complete list of what a spliced connection answers differently from a plain one.  Tests ask
 * `differs(NAME)` for the value to expect; a difference that is not in this table is a failure.
 */
#ifndef TORTURE_DIFFERENCES_H
#define TORTURE_DIFFERENCES_H

#include "torture.h"

enum difference {
	CLOSE_UNREAD_RECV,
	CLOSE_UNREAD_SEND,
	CLOSE_PART_READ_RECV,
	CLOSE_PART_READ_SEND,
	KILL_UNREAD_RECV,
	KILL_UNREAD_SEND,
	RECV_ZERO_LENGTH,
	WAITALL_FIRST,
	TRUNC_SKIPS,
	CORK_HELD,
	OOB_STREAM_BYTES,
	DIFFERENCES,
};

struct difference_row {
	long plain;
	long spliced;
	const char *reason;
};

static const struct difference_row difference_rows[DIFFERENCES] = {
	[CLOSE_UNREAD_RECV] = { -ECONNRESET, 0,
				"the receiver's TCP queue is empty, so close() sends FIN instead of RST" },
	[CLOSE_UNREAD_SEND] = { -EPIPE, 10,
				"after that FIN the first send still succeeds; the RST it provokes ends the second" },
	[CLOSE_PART_READ_RECV] = { -ECONNRESET, 0, "as CLOSE_UNREAD_RECV" },
	[CLOSE_PART_READ_SEND] = { -EPIPE, 10, "as CLOSE_UNREAD_SEND" },
	[KILL_UNREAD_RECV] = { -ECONNRESET, 0,
			       "as CLOSE_UNREAD_RECV: a killed process closes its sockets" },
	[KILL_UNREAD_SEND] = { -EPIPE, 10, "as CLOSE_UNREAD_SEND" },
	[RECV_ZERO_LENGTH] = { -EAGAIN, 0, "tcp_bpf_recvmsg answers recv(len 0) at once" },
	[WAITALL_FIRST] = { 1000, 500,
			    "tcp_bpf_recvmsg ignores MSG_WAITALL; such readers are found by observation" },
	[TRUNC_SKIPS] = { 10, -EFAULT, "tcp_bpf_recvmsg ignores MSG_TRUNC" },
	[CORK_HELD] = { -EAGAIN, 200,
			"redirected messages are not corked; the stream is the same" },
	[OOB_STREAM_BYTES] = { 6, 7,
			       "the urgent byte of MSG_OOB arrives in line; such senders are found by observation" },
};

static inline long differs(enum difference row)
{
	return options.spliced ? difference_rows[row].spliced : difference_rows[row].plain;
}

#endif
