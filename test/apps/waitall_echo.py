"""Echoes records of a fixed size, read with MSG_WAITALL, which a spliced socket does not honour: waitall_echo.py IP PORT SIZE"""

import socket
import sys
import threading

ip, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def serve(connection):
    with connection:
        while True:
            record = connection.recv(size, socket.MSG_WAITALL)
            if len(record) not in (0, size):
                print(f"short record: {len(record)}", flush=True)
            if not record:
                return
            connection.sendall(record)


listener = socket.create_server(
    (ip, port), family=socket.AF_INET6 if ":" in ip else socket.AF_INET, backlog=512
)
print("listening", flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
