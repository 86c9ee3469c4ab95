// SPDX-License-Identifier: Apache-2.0
/*
 * Many connections of random sizes in both directions, many at a time, every byte checked at both
 * ends.  Optionally with a slow reader, with TCP_DEFER_ACCEPT (bytes before accept), and with
 * connections that a client aborts.  Prints one line of counts; the exit code is 1 when a single
 * connection was corrupt, short, broken or stuck.
 */
#include "torture-stream.h"
#include <sys/epoll.h>
#include <sys/resource.h>

enum { MAGIC = 0x70647772, STUCK_MS = 20000, BATCH = 256, TURNS = 4 };

enum fault {
	FAULT_CORRUPT = 1,
	FAULT_SHORT = 2,
	FAULT_ERROR = 4,
};

struct header {
	uint32_t magic;
	uint32_t seed;
	uint32_t up; /* bytes the client sends after the header */
	uint32_t down;
};

struct peer {
	int fd;
	bool server;
	struct header header;
	size_t header_done;
	size_t sent;
	size_t received;
	bool send_ended;
	bool receive_ended;
	bool aborts; /* the client resets instead of ending */
	int faults;
};

struct totals {
	long done, corrupt, short_, errors, aborted, bytes, stuck, redirected;
};

struct plan {
	long connections;
	int concurrent;
	uint32_t max_bytes;
	int read_pause_us;
	int defer_s;
	int abort_percent;
};

static uint8_t out[32768], in[65536];

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static bool again(ssize_t count)
{
	return count < 0 && errno == EAGAIN;
}

/* Where the bytes that came belong in the stream: tells loss from repetition and reordering. */
static void report_corrupt(const struct peer *peer, size_t total, const uint8_t *bytes, long count)
{
	uint64_t seed = peer->header.seed + !peer->server;
	long wrong = pattern_mismatch(seed, peer->received, bytes, count), found = -1;
	const uint8_t *from = bytes + (wrong - peer->received);
	long length = count - (wrong - (long)peer->received);

	length = length < 32 ? length : 32;
	for (long at = 0; found < 0 && at + length <= (long)total; at++)
		if (pattern_mismatch(seed, at, from, length) < 0)
			found = at;
	fprintf(stderr, "%s: byte %ld of %zu is wrong; the next %ld bytes belong at %ld\n",
		peer->server ? "server" : "client", wrong, total, length, found);
}

static void peer_send(struct peer *peer, uint32_t *state)
{
	size_t total = peer->server ? peer->header.down : peer->header.up;

	if (peer->server && peer->header_done < sizeof(peer->header))
		return;
	for (int turn = 0; turn < TURNS && !peer->send_ended; turn++) {
		if (!peer->server && peer->header_done < sizeof(peer->header)) {
			ssize_t count = send(peer->fd, (char *)&peer->header + peer->header_done,
					     sizeof(peer->header) - peer->header_done,
					     MSG_NOSIGNAL);
			if (again(count))
				return;
			if (count < 0) {
				peer->faults |= FAULT_ERROR;
				peer->send_ended = true;
				return;
			}
			peer->header_done += count;
			continue;
		}
		if (peer->sent == total) {
			peer->send_ended = true;
			shutdown(peer->fd, SHUT_WR);
			return;
		}
		size_t size = next_random(state) & 7 ? next_random(state) % 2000 + 1 :
						       next_random(state) % 30000 + 1;
		size = size < total - peer->sent ? size : total - peer->sent;
		pattern_fill(peer->header.seed + peer->server, peer->sent, out, size);
		ssize_t count = send(peer->fd, out, size, MSG_NOSIGNAL);
		if (again(count))
			return;
		if (count < 0) {
			peer->faults |= FAULT_ERROR;
			peer->send_ended = true;
			return;
		}
		peer->sent += count;
	}
}

static void peer_receive(struct peer *peer, uint32_t *state, struct totals *totals)
{
	size_t total = peer->server ? peer->header.up : peer->header.down;

	for (int turn = 0; turn < TURNS && !peer->receive_ended; turn++) {
		bool header = peer->server && peer->header_done < sizeof(peer->header);
		size_t size = next_random(state) & 3 ? next_random(state) % 3000 + 1 : sizeof(in);
		ssize_t count = header ? recv(peer->fd, (char *)&peer->header + peer->header_done,
					      sizeof(peer->header) - peer->header_done, 0) :
					 recv(peer->fd, in, size, 0);
		if (again(count))
			return;
		if (count <= 0) {
			peer->receive_ended = true;
			if (count < 0)
				peer->faults |= FAULT_ERROR;
			else if (header || peer->received != total)
				peer->faults |= FAULT_SHORT;
			return;
		}
		if (header) {
			peer->header_done += count;
			if (peer->header_done == sizeof(peer->header) &&
			    peer->header.magic != MAGIC) {
				peer->faults |= FAULT_CORRUPT;
				peer->receive_ended = peer->send_ended = true;
			}
			total = peer->header.up;
			continue;
		}
		if (!(peer->faults & FAULT_CORRUPT) &&
		    pattern_mismatch(peer->header.seed + !peer->server, peer->received, in,
				     count) >= 0) {
			peer->faults |= FAULT_CORRUPT;
			report_corrupt(peer, total, in, count);
		}
		peer->received += count;
		totals->bytes += count;
	}
}

/* Handles one event; true when the peer has ended and is freed. */
static bool peer_event(struct peer *peer, int epoll, uint32_t events, uint32_t *state,
		       struct totals *totals)
{
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		peer_receive(peer, state, totals);
	peer_send(peer, state);
	if (peer->aborts && peer->sent > 0) {
		struct linger linger = { 1, 0 };

		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(peer->fd);
		free(peer);
		totals->aborted++;
		totals->done++;
		return true;
	}
	if (!peer->send_ended || !peer->receive_ended) {
		struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = peer };

		if (peer->send_ended)
			epoll_ctl(epoll, EPOLL_CTL_MOD, peer->fd, &wanted);
		return false;
	}
	totals->corrupt += !!(peer->faults & FAULT_CORRUPT);
	totals->short_ += !!(peer->faults & FAULT_SHORT);
	totals->errors += !!(peer->faults & FAULT_ERROR);
	if (!peer->faults && !peer->server)
		totals->redirected += redirected_bytes(peer->fd,
						       peer->sent + sizeof(peer->header)) > 0;
	totals->done++;
	close(peer->fd);
	free(peer);
	return true;
}

static void peer_add(int epoll, int fd, struct peer init)
{
	struct peer *peer = malloc(sizeof(*peer));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = peer };

	*peer = init;
	peer->fd = fd;
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void serve(int listener, const struct plan *plan, struct totals *totals, const int *stop)
{
	int epoll = epoll_create1(0);
	struct epoll_event events[BATCH], listening = { .events = EPOLLIN };
	uint32_t state = 777;

	must(!fcntl(listener, F_SETFL, O_NONBLOCK));
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening));
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		int count = epoll_wait(epoll, events, BATCH, 100);

		if (plan->read_pause_us && count)
			usleep(plan->read_pause_us);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr) {
				peer_event(events[i].data.ptr, epoll, events[i].events, &state,
					   totals);
				continue;
			}
			for (int fd; (fd = accept4(listener, NULL, NULL,
						   SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
				peer_add(epoll, fd, (struct peer){ .server = true });
		}
	}
	_exit(0);
}

/* False when no local port is free just now. */
static bool start_one(int epoll, int port, const struct plan *plan, uint32_t *state)
{
	struct sockaddr_storage address;
	socklen_t length = server_address(&address, port);
	int fd = make_client();
	struct peer peer = { .header = { .magic = MAGIC } };

	must(!fcntl(fd, F_SETFL, O_NONBLOCK));
	if (connect(fd, (void *)&address, length) && errno != EINPROGRESS) {
		must(errno == EADDRNOTAVAIL);
		close(fd);
		return false;
	}
	peer.header.seed = next_random(state);
	peer.header.up = next_random(state) % plan->max_bytes;
	peer.header.down = next_random(state) % plan->max_bytes;
	if ((next_random(state) & 3) == 0) { /* many connections are small */
		peer.header.up %= 500;
		peer.header.down %= 500;
	}
	peer.aborts = (int)(next_random(state) % 100) < plan->abort_percent;
	peer_add(epoll, fd, peer);
	return true;
}

static void drive(int port, const struct plan *plan, struct totals *totals)
{
	int epoll = epoll_create1(0);
	struct epoll_event events[BATCH];
	long started = 0, live = 0;
	uint32_t state = 12345;
	uint64_t last = now_ms();

	while (totals->done < plan->connections) {
		while (live < plan->concurrent && started < plan->connections &&
		       start_one(epoll, port, plan, &state)) {
			started++;
			live++;
		}
		int count = epoll_wait(epoll, events, BATCH, 1000);
		if (count)
			last = now_ms();
		else if (now_ms() - last > STUCK_MS)
			break;
		for (int i = 0; i < count; i++)
			live -= peer_event(events[i].data.ptr, epoll, events[i].events, &state,
					   totals);
	}
	totals->stuck = plan->connections - totals->done;
}

static struct plan parse_plan(int argc, char **argv)
{
	long values[] = { 1000, 100, 100000, 0, 0, 0 }; /* in the order of the usage text */

	for (int i = optind, k = 0; i < argc && k < (int)ARRAY_SIZE(values); i++, k++)
		values[k] = atol(argv[i]);
	return (struct plan){ values[0], values[1], values[2], values[3], values[4], values[5] };
}

/* torture-churn OPTIONS [CONNECTIONS [CONCURRENT [MAX_BYTES [READ_PAUSE_US [DEFER_S
 * [ABORT_PERCENT]]]]]] */
int main(int argc, char **argv)
{
	struct rlimit files = { 200000, 200000 };
	struct totals *totals; /* [0] clients, [1] servers */
	int *stop;

	torture_parse(argc, argv);
	struct plan plan = parse_plan(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	totals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stop = (int *)(totals + 2);

	int listener = make_listener(4096);
	if (plan.defer_s)
		set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, plan.defer_s);
	pid_t server = fork();
	if (!server)
		serve(listener, &plan, &totals[1], stop);
	uint64_t start = now_ms();
	pid_t client = fork();
	if (!client) {
		drive(local_port(listener), &plan, &totals[0]);
		_exit(0);
	}
	int status = 0;
	waitpid(client, &status, 0);
	long took = now_ms() - start;
	for (int i = 0; i < 100 && totals[1].done < plan.connections - totals[0].aborted; i++)
		sleep_ms(20);
	*stop = 1;
	waitpid(server, NULL, 0);

	for (int i = 0; i < 2; i++)
		printf("%s: done=%ld corrupt=%ld short=%ld errors=%ld mib=%ld aborted=%ld stuck=%ld\n",
		       i ? "server" : "client", totals[i].done, totals[i].corrupt, totals[i].short_,
		       totals[i].errors, totals[i].bytes / MIB, totals[i].aborted, totals[i].stuck);
	printf("connections=%ld spliced=%ld ms=%ld %s\n", plan.connections, totals[0].redirected,
	       took, report->reason);
	/* an aborted connection is an error or a short stream at the server, and only there */
	bool server_clean = totals[1].corrupt == 0 &&
			    totals[1].short_ + totals[1].errors <= totals[0].aborted;
	bool client_clean = !totals[0].corrupt && !totals[0].short_ && !totals[0].errors &&
			    !totals[0].stuck;
	return client_clean && server_clean && !status && !report->failed &&
			       totals[1].done >= plan.connections - totals[0].aborted ?
		       0 :
		       1;
}
