/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Harness of the torture tests: what an application may expect of a TCP socket, asserted for plain
 * and for spliced connections by the same test.
 *
 * Every test runs in a forked child with a time limit and prints one line: `ok NAME` or `not ok
 * NAME: reason`.  Client and server sockets live in the namespaces given by --client-ns and
 * --server-ns, but in one process, so that a test reads from top to bottom.  Every byte is
 * position-coded: loss, repetition and reordering show at the byte where they happen.
 *
 * `--expect spliced` also asserts that the kernel did redirect: TCP_INFO's tcpi_bytes_sent does not
 * grow by redirected bytes.  What a spliced socket does differently on purpose is listed in
 * torture-differences.h, and nowhere else.
 */
#ifndef TORTURE_H
#define TORTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KIB 1024L
#define MIB (1024L * 1024L)

struct torture_test {
	const char *name;
	void (*run)(void);
	int seconds; /* time limit, 0: 20 s */
};

struct torture_options {
	int client_ns;
	int server_ns;
	const char *client_addr; /* IPv4 or IPv6 literal */
	const char *server_addr;
	const char *client_addr6; /* only the family tests need both families */
	const char *server_addr6;
	bool mapped; /* both ends use AF_INET6 sockets with ::ffff:a.b.c.d */
	bool spliced;
};

/* Lives in shared memory: a test may fail in any of its processes, or never end. */
struct torture_report {
	int failed;
	int line; /* of the last check begun */
	int early_wakes; /* blocking recv that answered -EAGAIN */
	char reason[480];
	char note[160];
};

static struct torture_options options;
static struct torture_report *report;

/* ---- assertions ---- */

static inline void torture_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
static inline void torture_fail(const char *format, ...)
{
	va_list arguments;

	if (!__atomic_exchange_n(&report->failed, 1, __ATOMIC_SEQ_CST)) {
		va_start(arguments, format);
		vsnprintf(report->reason, sizeof(report->reason), format, arguments);
		va_end(arguments);
		fprintf(stderr, "# %s\n", report->reason);
	}
	_exit(1);
}

/* A remark printed behind `ok NAME`. */
static inline void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(report->note, sizeof(report->note), format, arguments);
	va_end(arguments);
}

static inline const char *number_text(long value, char *text, size_t size)
{
	if (value < 0 && value > -4096 && strerrorname_np(-value))
		snprintf(text, size, "-%s", strerrorname_np(-value));
	else
		snprintf(text, size, "%ld", value);
	return text;
}

static inline void torture_expect(const char *what, long got, long want)
{
	char got_text[32], want_text[32];

	if (got != want)
		torture_fail("line %d: %s is %s, expected %s", report->line, what,
			     number_text(got, got_text, sizeof(got_text)),
			     number_text(want, want_text, sizeof(want_text)));
}

/* expect(expression, wanted value); the line is kept first, so that a hang names it too. */
#define expect(got, want) (report->line = __LINE__, torture_expect(#got, (long)(got), (long)(want)))
#define expect_at_most(got, limit)                                                               \
	do {                                                                                     \
		report->line = __LINE__;                                                         \
		long got_ = (long)(got), limit_ = (long)(limit);                                 \
		if (got_ > limit_)                                                               \
			torture_fail("line %d: %s is %ld, expected at most %ld", __LINE__, #got, \
				     got_, limit_);                                              \
	} while (0)
#define must(condition)                                                                       \
	do {                                                                                  \
		report->line = __LINE__;                                                      \
		if (!(condition))                                                             \
			torture_fail("line %d: set-up failed: %s (%s)", __LINE__, #condition, \
				     strerrorname_np(errno));                                 \
	} while (0)

/* A system call's result with its error folded in: expect(result(send(...)), -EPIPE). */
static inline long result(long value)
{
	return value < 0 ? -errno : value;
}

/* ---- time ---- */

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static inline void sleep_ms(int ms)
{
	usleep(ms * 1000);
}

/* ---- running ---- */

static inline int torture_run(const struct torture_test *test)
{
	int limit_ms = (test->seconds ? test->seconds : 20) * 1000, status = 0;
	bool ended = false;
	pid_t child;

	memset(report, 0, sizeof(*report));
	child = fork();
	if (!child) {
		setpgid(0, 0);
		test->run();
		_exit(report->failed);
	}
	setpgid(child, child);
	for (uint64_t start = now_ms(); !ended && now_ms() - start < (uint64_t)limit_ms;) {
		ended = waitpid(child, &status, WNOHANG) == child;
		if (!ended)
			usleep(2000);
	}
	kill(-child, SIGKILL); /* also what a test left behind */
	if (!ended)
		waitpid(child, &status, 0);
	if (!ended && !report->failed)
		snprintf(report->reason, sizeof(report->reason),
			 "hangs: no end after %d s, last check at line %d", limit_ms / 1000,
			 report->line);
	else if (WIFSIGNALED(status) && ended)
		snprintf(report->reason, sizeof(report->reason),
			 "killed by signal %d after line %d", WTERMSIG(status), report->line);
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0 && !report->failed) {
		printf("ok %s%s%s\n", test->name, report->note[0] ? " # " : "", report->note);
		return 0;
	}
	printf("not ok %s: %s\n", test->name,
	       report->reason[0] ? report->reason : "ended without a reason");
	return 1;
}

static inline int open_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	return fd;
}

static inline void torture_usage(const char *program)
{
	fprintf(stderr,
		"usage: %s --client-ns PATH --server-ns PATH --server-addr IP [--client-addr IP] [--server-addr6 IP] [--client-addr6 IP]\n"
		"       [--mapped] [--expect plain|spliced] [TEST...]\n",
		program);
	exit(2);
}

static inline void torture_parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "client-ns", 1, NULL, 'c' },
		{ "server-ns", 1, NULL, 's' },
		{ "client-addr", 1, NULL, 'a' },
		{ "server-addr", 1, NULL, 'b' },
		{ "client-addr6", 1, NULL, 'A' },
		{ "server-addr6", 1, NULL, 'B' },
		{ "mapped", 0, NULL, 'm' },
		{ "expect", 1, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	options.client_ns = options.server_ns = -1;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.client_ns = open_namespace(optarg);
			break;
		case 's':
			options.server_ns = open_namespace(optarg);
			break;
		case 'a':
			options.client_addr = optarg;
			break;
		case 'b':
			options.server_addr = optarg;
			break;
		case 'A':
			options.client_addr6 = optarg;
			break;
		case 'B':
			options.server_addr6 = optarg;
			break;
		case 'm':
			options.mapped = true;
			break;
		case 'e':
			options.spliced = !strcmp(optarg, "spliced");
			break;
		default:
			torture_usage(argv[0]);
		}
	}
	if (options.client_ns < 0 || options.server_ns < 0 || !options.server_addr)
		torture_usage(argv[0]);
}

/* Runs all tests, or those named on the command line; the exit code is 1 when any failed, 2 when
 * one does not exist. */
static inline int torture_main(int argc, char **argv, const struct torture_test *tests,
			       size_t count)
{
	int failed = 0, ran = 0;

	torture_parse(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	for (size_t i = 0; i < count; i++) {
		bool wanted = optind == argc;

		for (int k = optind; k < argc; k++)
			wanted |= !strcmp(argv[k], tests[i].name);
		if (!wanted)
			continue;
		failed += torture_run(&tests[i]);
		ran++;
	}
	printf("# %d tests, %d failed\n", ran, failed);
	if (optind < argc && ran != argc - optind)
		return 2;
	return failed ? 1 : 0;
}

#endif
