/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least of io_uring that a reader needs, by plain system calls: one request at a time.
 */
#ifndef TORTURE_RING_H
#define TORTURE_RING_H

#include "torture.h"
#include <linux/io_uring.h>
#include <sys/syscall.h>

struct ring {
	int fd;
	uint8_t *sq, *cq;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static inline void ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	must((ring->fd = syscall(SYS_io_uring_setup, 8, &ring->params)) >= 0);
	struct io_uring_params *p = &ring->params;
	int access = PROT_READ | PROT_WRITE;
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, access, MAP_SHARED, ring->fd,
			IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), access,
			MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), access, MAP_SHARED,
			     ring->fd, IORING_OFF_SQES);
	must(ring->sq != MAP_FAILED && ring->cq != MAP_FAILED && ring->entries != MAP_FAILED);
}

static inline void ring_submit(struct ring *ring, int opcode, int fd, void *bytes,
			       unsigned int count)
{
	unsigned int *tail = (void *)(ring->sq + ring->params.sq_off.tail),
		     *mask = (void *)(ring->sq + ring->params.sq_off.ring_mask);
	unsigned int *array = (void *)(ring->sq + ring->params.sq_off.array), index = *tail & *mask;

	ring->entries[index] = (struct io_uring_sqe){
		.opcode = opcode, .fd = fd, .addr = (uintptr_t)bytes, .len = count
	};
	array[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) == 1);
}

static inline long ring_wait(struct ring *ring)
{
	unsigned int *head = (void *)(ring->cq + ring->params.cq_off.head),
		     *mask = (void *)(ring->cq + ring->params.cq_off.ring_mask);
	struct io_uring_cqe *entries = (void *)(ring->cq + ring->params.cq_off.cqes);

	must(syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
	long value = entries[*head & *mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return value;
}

#endif
