// SPDX-License-Identifier: Apache-2.0
/*
 * Connections whose peers never read: every client writes until nothing more is accepted, then the
 * kernel memory that all of this costs is measured (MemAvailable, slab, and TCP pages of both
 * namespaces' sockstat).  Prints key=value lines in MiB; all bytes are then read and checked.
 */
#include "torture-stream.h"
#include <sys/resource.h>

struct memory {
	long available_kib;
	long slab_kib;
	long tcp_pages;
};

static long read_key(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long value = -1;

	must(file);
	while (value < 0 && fgets(line, sizeof(line), file))
		sscanf(line, format, &value);
	fclose(file);
	return value;
}

/* tcp "mem" of sockstat is counted for the whole machine, not by namespace. */
static struct memory measure(void)
{
	return (struct memory){ read_key("/proc/meminfo", "MemAvailable: %ld"),
				read_key("/proc/meminfo", "Slab: %ld"),
				read_key("/proc/net/sockstat",
					 "TCP: inuse %*d orphan %*d tw %*d alloc %*d mem %ld") };
}

/* Writes messages of `size` bytes until EAGAIN persists; returns the bytes accepted. */
static size_t fill(int fd, uint64_t seed, size_t from, size_t size)
{
	uint8_t *bytes = malloc(size);
	size_t sent = from;
	long count;

	do {
		pattern_fill(seed, sent, bytes, size);
		count = result(send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL));
		sent += count > 0 ? count : 0;
	} while (count > 0);
	expect(count, -EAGAIN);
	free(bytes);
	return sent;
}

/* torture-idle OPTIONS [CONNECTIONS [MESSAGE_BYTES]] */
int main(int argc, char **argv)
{
	struct rlimit files = { 200000, 200000 };
	long last;

	torture_parse(argc, argv);
	int connections = optind < argc ? atoi(argv[optind]) : 5000;
	size_t size = optind + 1 < argc ? atol(argv[optind + 1]) : 65536;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);

	int *clients = calloc(connections, sizeof(int)),
	    *servers = calloc(connections, sizeof(int));
	size_t *sent = calloc(connections, sizeof(size_t)), accepted = 0;
	long redirected = 0;
	int listener = make_listener(128);
	for (int i = 0; i < connections; i++) {
		clients[i] = make_client();
		must(!connect_to(clients[i], local_port(listener)));
		servers[i] = accept_one(listener);
	}
	struct memory before = measure();
	for (int round = 0; round < 3; round++) { /* TCP may open its window a little between the
						     rounds */
		for (int i = 0; i < connections; i++)
			sent[i] = fill(clients[i], i, sent[i], size);
		sleep_ms(200);
	}
	struct memory after = measure();
	for (int i = 0; i < connections; i++) {
		shutdown(clients[i], SHUT_WR);
		accepted += sent[i];
	}
	for (int i = 0; i < connections; i++) {
		if (read_all(servers[i], i, 65536, 0, &last) != sent[i] || last != 0)
			torture_fail("connection %d: not all of its %zu bytes arrived", i, sent[i]);
		redirected += redirected_bytes(clients[i], sent[i]);
		close(servers[i]);
		close(clients[i]);
	}
	printf("connections=%d\nmessage_bytes=%zu\naccepted_mib=%ld\nredirected_mib=%ld\n",
	       connections, size, (long)(accepted / MIB), redirected / MIB);
	printf("available_mib=%ld\nslab_mib=%ld\ntcp_mib=%ld\n",
	       (before.available_kib - after.available_kib) / 1024,
	       (after.slab_kib - before.slab_kib) / 1024,
	       (after.tcp_pages - before.tcp_pages) * sysconf(_SC_PAGESIZE) / MIB);
	return 0;
}
