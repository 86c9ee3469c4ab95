// SPDX-License-Identifier: Apache-2.0
/*
 * Kills a process in the middle of writing BPF maps.
 *
 *   kill-at PID COUNT before|after
 *
 * Watches the main thread's bpf(2) calls that change something and sends SIGKILL at the COUNTth, before the kernel has done
 * it or after. Says "ready" when it watches and "killed" when it has; ends without, "gone", when the process does.
 */
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/ptrace.h>

static int changes(__u64 command)
{
	switch (command) {
	case BPF_MAP_CREATE:
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_DELETE_ELEM:
	case BPF_MAP_UPDATE_BATCH:
	case BPF_MAP_DELETE_BATCH:
	case BPF_LINK_UPDATE:
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int pid, left, after, status, counted = 0;

	if (argc != 4)
		return 2;
	pid = atoi(argv[1]);
	left = atoi(argv[2]);
	after = !strcmp(argv[3], "after");
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0)) {
		perror("ptrace");
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status), pass = 0;
		struct __ptrace_syscall_info info;

		if (signal == (SIGTRAP | 0x80)) {
			ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				counted = info.entry.nr == SYS_bpf && changes(info.entry.args[0]) &&
					  !--left;
			if (counted && (info.op == PTRACE_SYSCALL_INFO_EXIT) == after) {
				kill(pid, SIGKILL);
				printf("killed\n");
				return 0;
			}
		} else if (status >> 16 != PTRACE_EVENT_STOP) {
			pass = signal;
		}
		ptrace(PTRACE_SYSCALL, pid, 0, pass);
	}
	printf("gone\n");
	return 0;
}
