"""POSTs over keep-alive connections and checks every echoed byte: http_drive.py IP PORT PATH CONNECTIONS REQUESTS BYTES"""

import http.client
import random
import sys

ip, port, path, connections, requests, size = sys.argv[1:7]
ok = failed = wrong = 0
for seed in range(int(connections)):
    connection = http.client.HTTPConnection(ip, int(port), timeout=8)
    try:
        for number in range(int(requests)):
            body = random.Random(seed * 1000 + number).randbytes(int(size))
            connection.request("POST", path, body)
            if connection.getresponse().read() == body:
                ok += 1
            else:
                wrong += 1
    except OSError as error:
        failed += 1
        print(f"connection {seed}: {error!r}", file=sys.stderr)
    finally:
        connection.close()
print(f"ok={ok} failed={failed} wrong={wrong}")
sys.exit(0 if ok == int(connections) * int(requests) else 1)
