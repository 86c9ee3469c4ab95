"""Sockets of one pod, driven over a Unix socket: one JSON request and one JSON answer per connection, each in its own
thread.  Times are CLOCK_MONOTONIC seconds, comparable between processes.  Payloads are made from a seed, and told by
their SHA-256.

puppet.py PATH
"""

import array
import errno
import hashlib
import itertools
import json
import os
import select
import socket
import struct
import sys
import threading
import time

CHUNK = 65536
SOCKETS = {}
ACCEPTED = {}
LOCK = threading.Lock()
KEYS = itertools.count(1)


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def keep(sock):
    key = next(KEYS)
    SOCKETS[key] = sock
    return key


def family_of(addr, family):
    return socket.AF_INET6 if family == 6 or ":" in addr else socket.AF_INET


def text_of(address):
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def code_of(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return "ETIMEDOUT"
    return errno.errorcode.get(error.errno, str(error))


def names(sock):
    return {"peer": text_of(sock.getpeername()), "own": text_of(sock.getsockname())}


def payload(seed, size):
    return hashlib.shake_128(seed.encode()).digest(size)


def read_all(sock, pause, result):
    digest, total = hashlib.sha256(), 0
    try:
        while chunk := sock.recv(CHUNK):
            digest.update(chunk)
            total += len(chunk)
            if pause:
                time.sleep(pause)
        result.update(received=total, digest=digest.hexdigest())
    except OSError as error:
        result.update(received=total, error=code_of(error))


def swap(sock, seed, size, pause):
    """Sends a payload and its end while it reads the peer's."""
    result = {}
    reader = threading.Thread(target=read_all, args=(sock, pause, result))
    reader.start()
    try:
        sock.sendall(payload(seed, size))
        sock.shutdown(socket.SHUT_WR)
    except OSError as error:
        result["error"] = code_of(error)
    reader.join()
    sock.close()
    return result


def serve_one(sock, mode, name, size):
    try:
        if mode == "name":
            sock.sendall(name.encode() + b"\n")
            while sock.recv(CHUNK):
                pass
        elif mode == "echo":
            while chunk := sock.recv(CHUNK):
                sock.sendall(chunk)
        elif mode == "swap":
            sock.settimeout(60)
            swap(sock, name, size, 0)
        elif mode == "hold":
            return
        sock.close()
    except OSError:
        sock.close()


def accept_all(listener, key, mode, name, size):
    while True:
        try:
            sock, peer = listener.accept()
        except OSError:
            return
        try:
            view = {"id": keep(sock), "from": text_of(peer), **names(sock)}
        except OSError:  # reset already
            sock.close()
            continue
        with LOCK:
            ACCEPTED[key].append(view)
        threading.Thread(target=serve_one, args=(sock, mode, name, size), daemon=True).start()


def do_listen(addr, port, mode="echo", name="", size=0, family=0, reuseport=False):
    sock = socket.socket(family_of(addr, family))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((addr, port))
    sock.listen(4096)
    key = keep(sock)
    ACCEPTED[key] = []
    threading.Thread(target=accept_all, args=(sock, key, mode, name, size), daemon=True).start()
    return {"id": key}


def do_accepted(id):
    with LOCK:
        return {"list": list(ACCEPTED[id])}


def do_connect(addr, port, family=0, mark=0, bind="", bindPort=0, timeout=5):
    sock = socket.socket(family_of(addr, family))
    sock.settimeout(timeout)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
    if bind:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((bind, bindPort))
    start = now()
    try:
        sock.connect((addr, port))
    except OSError as error:
        sock.close()
        return {"error": code_of(error), "ms": (now() - start) * 1000}
    return {"id": keep(sock), "ms": (now() - start) * 1000, **names(sock)}


def do_dial(addr, port, count, family=0):
    """Connections one after the other: how many reached which name, or failed with which error."""
    counts, slowest = {}, 0
    for _ in range(count):
        start = now()
        try:
            with socket.socket(family_of(addr, family)) as sock:
                sock.settimeout(5)
                sock.connect((addr, port))
                found = b""
                while not found.endswith(b"\n"):
                    chunk = sock.recv(100)
                    if not chunk:
                        break
                    found += chunk
                key = found.decode().strip() or "EOF"
        except OSError as error:
            key = code_of(error)
        slowest = max(slowest, now() - start)
        counts[key] = counts.get(key, 0) + 1
    return {"counts": counts, "slowestMs": slowest * 1000}


def together(count, task):
    """Runs the task in that many threads: how often each answer came, and the longest time."""
    counts, slowest = {}, [0]

    def run(number):
        start = now()
        try:
            key = task(number)
        except OSError as error:
            key = code_of(error)
        with LOCK:
            slowest[0] = max(slowest[0], now() - start)
            counts[key] = counts.get(key, 0) + 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"counts": counts, "slowestMs": slowest[0] * 1000}


def connected(addr, port, timeout):
    sock = socket.socket(family_of(addr, 0))
    sock.settimeout(timeout)
    try:
        sock.connect((addr, port))
    except OSError:
        sock.close()
        raise
    return sock


def do_echo_many(addr, port, count, size):
    """Connections at once, each sending a payload of its own and reading it back meanwhile."""

    def task(number):
        seed = f"{addr}-{number}"
        result = swap(connected(addr, port, 60), seed, size, 0)
        if "error" in result:
            return result["error"]
        return "ok" if result["digest"] == hashlib.sha256(payload(seed, size)).hexdigest() else "differs"

    return together(count, task)


def do_open_many(addr, port, count):
    """Connections that have spoken and stay open."""
    keys = []

    def task(number):
        sock = connected(addr, port, 30)
        text = b"%d" % number
        sock.sendall(text)
        if sock.recv(CHUNK) != text:
            return "differs"
        with LOCK:
            keys.append(keep(sock))
        return "ok"

    return {**together(count, task), "ids": keys}


def do_load(addr, port, seconds, count=1, pause=0.0):
    """New connections one after the other in each thread, a word there and back on each."""
    end, totals = now() + seconds, {}

    def task(_):
        while now() < end:
            start = now()
            try:
                with connected(addr, port, 10) as sock:
                    sock.sendall(b"word")
                    found = sock.recv(CHUNK)
                    key = "ok" if found == b"word" else "EOF" if not found else "differs"
            except OSError as error:
                key = code_of(error)
            with LOCK:
                totals[key] = totals.get(key, 0) + 1
                totals["slowestMs"] = max(totals.get("slowestMs", 0), round((now() - start) * 1000))
            time.sleep(pause)
        return "done"

    together(count, task)
    slowest = totals.pop("slowestMs", 0)
    return {"counts": totals, "slowestMs": slowest}


def do_talk(id, seconds, pause=0.05):
    """Words there and back on one connection, until it ends or the time is over."""
    sock = SOCKETS[id]
    sock.settimeout(10)
    end, said = now() + seconds, 0
    try:
        while now() < end:
            sock.sendall(b"word")
            if not sock.recv(CHUNK):
                return {"sent": said, "end": "eof", "at": now()}
            said += 1
            time.sleep(pause)
    except OSError as error:
        return {"sent": said, "end": "reset", "error": code_of(error), "at": now()}
    return {"sent": said, "end": "none"}


def do_read(id, size, timeout=10):
    """What comes, up to that many bytes or the end."""
    sock = SOCKETS[id]
    sock.settimeout(timeout)
    found = b""
    try:
        while len(found) < size:
            chunk = sock.recv(min(CHUNK, size - len(found)))
            if not chunk:
                return {"received": len(found), "end": "eof", "digest": hashlib.sha256(found).hexdigest()}
            found += chunk
    except OSError as error:
        return {"received": len(found), "error": code_of(error)}
    return {"received": len(found), "digest": hashlib.sha256(found).hexdigest()}


def do_names(id):
    return names(SOCKETS[id])


def do_say(id, text, answer=True):
    """Sends a text to an echo server and reads it back."""
    sock = SOCKETS[id]
    sock.settimeout(5)
    try:
        sock.sendall(text.encode())
        found = b""
        while answer and len(found) < len(text):
            chunk = sock.recv(CHUNK)
            if not chunk:
                return {"error": "EOF"}
            found += chunk
        return {"text": found.decode()}
    except OSError as error:
        return {"error": code_of(error)}


def do_swap(id, seed, size, pause=0):
    SOCKETS[id].settimeout(60)
    return swap(SOCKETS[id], seed, size, pause)


def do_fill(id, seconds):
    """Sends until nothing has been taken for `seconds`."""
    sock = SOCKETS[id]
    sock.settimeout(seconds)
    total = 0
    try:
        while total < 1 << 30:
            total += sock.send(b"x" * CHUNK)
    except TimeoutError:
        pass
    return {"sent": total}


def do_end(id, timeout=5):
    """How and when the connection ended: "reset", "eof", or "none" within the timeout."""
    sock = SOCKETS[id]
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
    if not poll.poll(timeout * 1000):
        return {"end": "none"}
    at = now()
    sock.setblocking(False)
    try:
        while chunk := sock.recv(CHUNK):
            pass
        return {"end": "eof", "at": at}
    except BlockingIOError:
        return {"end": "none"}
    except OSError as error:
        return {"end": "reset", "at": at, "error": code_of(error)}


def do_shutdown(id):
    SOCKETS[id].shutdown(socket.SHUT_WR)
    return {}


def do_close(id, reset=False):
    sock = SOCKETS.pop(id)
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if id in ACCEPTED:
        sock.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which holds the file
    sock.close()
    return {}


def do_udp_echo(addr, port):
    sock = socket.socket(family_of(addr, 0), socket.SOCK_DGRAM)
    sock.bind((addr, port))

    def echo():
        while True:
            data, peer = sock.recvfrom(CHUNK)
            sock.sendto(data, peer)

    threading.Thread(target=echo, daemon=True).start()
    return {"id": keep(sock)}


def do_udp(addr, port, text):
    """A datagram over a connected socket; where it says it goes, and the answer."""
    with socket.socket(family_of(addr, 0), socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((addr, port))
        peer = text_of(sock.getpeername())
        try:
            sock.send(text.encode())
            return {"peer": peer, "text": sock.recv(CHUNK).decode()}
        except OSError as error:
            return {"peer": peer, "error": code_of(error)}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send_segment(source, sourcePort, addr, port, flags, seq=1, ack=0, data=b""):
    """A TCP segment that claims to come from somebody else."""
    ends = socket.inet_aton(source) + socket.inet_aton(addr)
    tcp = struct.pack("!HHIIBBHHH", sourcePort, port, seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    padded = tcp + b"\0" * (len(tcp) % 2)
    total = checksum(ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + padded)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0) + ends
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(ip + tcp, (addr, 0))


SYN, ACK, PSH = 2, 16, 8


def do_spoof(source, sourcePort, addr, port):
    send_segment(source, sourcePort, addr, port, SYN)
    return {}


def do_hijack(source, addr, port, text):
    """Ends the handshake of somebody whose SYN-ACK is delivered here, then speaks for him."""
    ends = socket.inet_aton(addr) + socket.inet_aton(source)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as wire:
        wire.settimeout(3)
        while True:
            packet = wire.recv(CHUNK)
            tcp = packet[(packet[0] & 15) * 4 :]
            if packet[9] == socket.IPPROTO_TCP and packet[12:20] == ends and tcp[13] == SYN | ACK:
                break
    own, victim, seq, ack = struct.unpack("!HHII", tcp[:12])
    if own != port:
        return {"error": "another port"}
    send_segment(source, victim, addr, port, ACK, ack, seq + 1 & 0xFFFFFFFF)
    send_segment(source, victim, addr, port, ACK | PSH, ack, seq + 1 & 0xFFFFFFFF, text.encode())
    return {"peer": f"{source}:{victim}"}


def do_take_fd(path):
    """Waits for a socket from another pod."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(5)
        sock, _ = listener.accept()
        with sock:
            _, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4))
    fds = array.array("i", ancillary[0][2])
    return {"id": keep(socket.socket(fileno=fds[0]))}


def do_give_fd(id, path):
    with socket.socket(socket.AF_UNIX) as sock:
        for _ in range(100):
            try:
                sock.connect(path)
                break
            except OSError:
                time.sleep(0.02)
        fds = array.array("i", [SOCKETS[id].fileno()])
        sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    return {}


def do_new_socket():
    return {"id": keep(socket.socket())}


def do_connect_existing(id, addr, port):
    sock = SOCKETS[id]
    sock.settimeout(5)
    try:
        sock.connect((addr, port))
    except OSError as error:
        return {"error": code_of(error)}
    return names(sock)


def do_listening_ports():
    """Ports of the listening sockets of this network namespace."""
    ports = []
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    ports.append({"family": 6 if name == "tcp6" else 4, "port": int(fields[1].rsplit(":")[-1], 16)})
    return {"list": ports}


def answer(sock):
    with sock, sock.makefile("rw", encoding="utf-8") as stream:
        request = json.loads(stream.readline())
        operation = globals()["do_" + request.pop("do")]
        try:
            result = operation(**request)
        except OSError as error:
            result = {"error": code_of(error)}
        stream.write(json.dumps(result) + "\n")


def main():
    # requests need a name in the file system, which all network namespaces share
    control = socket.socket(socket.AF_UNIX)
    control.bind(sys.argv[1])
    control.listen(64)
    print("ready", os.getpid(), flush=True)
    while True:
        sock, _ = control.accept()
        threading.Thread(target=answer, args=(sock,), daemon=True).start()


main()
