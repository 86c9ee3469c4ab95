// SPDX-License-Identifier: Apache-2.0
/*
 * The server of `podwire demo`: echoes, one thread per connection, and says whom it sees.
 *
 *   demo-server ADDRESS    one line per connection: `accepted PEER LOCAL`
 */
#include "bench.h"
#include "demo.h"
#include <pthread.h>
#include <signal.h>

static void *echo(void *arg)
{
	char buffer[DEMO_MESSAGE];
	int fd = (intptr_t)arg;

	while (read_all(fd, buffer, sizeof(buffer)) && write_all(fd, buffer, sizeof(buffer)))
		;
	close(fd);
	return NULL;
}

int main(int count, char **args)
{
	struct address address;
	char ends[DEMO_ENDS];
	int listener;

	if (count != 2)
		fail("usage: demo-server ADDRESS");
	address = parse_address(args[1]);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	listener = serve(&address, 0);
	printf("listening\n");
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;

		if (fd < 0)
			continue;
		no_delay(fd, &address);
		printf("accepted %s\n", describe_ends(fd, ends));
		if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(thread);
	}
}
