// SPDX-License-Identifier: Apache-2.0
/*
 * Echoes descriptor 0 to itself through splice(2): a program that inherited somebody else's
 * connection and reads it in a way nobody observed before.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	int ends[2];
	ssize_t count;

	if (pipe(ends))
		return 1;
	while ((count = splice(STDIN_FILENO, NULL, ends[1], NULL, 65536, 0)) > 0)
		for (ssize_t moved; count > 0; count -= moved)
			if ((moved = splice(ends[0], NULL, STDIN_FILENO, NULL, count, 0)) <= 0)
				return 1;
	return count < 0;
}
