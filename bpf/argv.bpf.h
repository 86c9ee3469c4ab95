/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What tells two programs of one interpreter apart.  src/agent/learn/argv.ts computes the same from /proc. */
#ifndef PODWIRE_ARGV_BPF_H
#define PODWIRE_ARGV_BPF_H

#define ARGV_BYTES 128

/* FNV-1a over 64-bit words: the first 128 bytes of the arguments as /proc/PID/cmdline shows them, padded with zeros. */
static __always_inline __u64 argv_hash(struct mm_struct *mm)
{
	__u64 words[ARGV_BYTES / 8] = {}, hash = 0xcbf29ce484222325ull;
	__u64 start = mm->arg_start, length = mm->arg_end - start;

	if (length > ARGV_BYTES)
		length = ARGV_BYTES;
	if (bpf_probe_read_user(words, length, (void *)start))
		return hash;
	for (int i = 0; i < ARGV_BYTES / 8; i++)
		hash = (hash ^ words[i]) * 0x100000001b3ull;
	return hash;
}

#endif
