"""SETs and GETs values of 1 byte to 1 MB, pipelined in part, and compares every byte: redis_drive.py IP PORT VALUES"""

import random
import socket
import sys

ip, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = socket.create_connection((ip, port), timeout=8)
reader = connection.makefile("rb")


def command(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def reply():
    line = reader.readline()
    if line[:1] != b"$":
        return line[1:-2]
    return reader.read(int(line[1:-2]) + 2)[:-2]


ok = wrong = 0
batch = []
for number in range(count):
    value = random.Random(number).randbytes(10 ** (number % 7) if number % 7 else 1)
    batch.append((b"key-%d" % number, value))
    if len(batch) < 1 + number % 5 and number + 1 < count:
        continue
    connection.sendall(b"".join(command(b"SET", key, value) for key, value in batch))
    stored = [reply() == b"OK" for _ in batch]
    connection.sendall(b"".join(command(b"GET", key) for key, _ in batch))
    for was_stored, (_, value) in zip(stored, batch):
        if reply() == value and was_stored:
            ok += 1
        else:
            wrong += 1
    batch = []
print(f"ok={ok} wrong={wrong}")
sys.exit(0 if ok == count else 1)
