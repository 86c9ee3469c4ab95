/**
 * Proves on this very kernel what the one-queue protocol rests on, before anything is spliced: bytes that were redirected
 * and bytes that came through TCP are read in one order, FIONREAD counts both, and copied_seq survives (older kernels
 * lose TCP data after a redirected message), and a segment can be cut at its front. Two loopback sockets, a few milliseconds.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binding, BpfObject } from './binding.ts';
import { u32, u64 } from './typed-map.ts';

export type SelfTestResult =
  | { readonly ok: true; readonly evidence: string }
  | { readonly ok: false; readonly reason: string };

const MESSAGE = 3000;
const BULK = 200_000;
/** as if a retransmission had repeated so many bytes; a real one would need raw sockets and a loss */
const OVERLAP = 1234;

/** libuv keeps the descriptor in the handle; there is no public accessor. */
function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

function pattern(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >> 8)) & 0xff);
}

export class SelfTest {
  readonly #binding: Binding;
  readonly #objectPath: string;

  constructor(options: { binding: Binding; objectPath: string }) {
    this.#binding = options.binding;
    this.#objectPath = options.objectPath;
  }

  async run(): Promise<SelfTestResult> {
    let object: BpfObject | undefined;
    let server: Server | undefined;
    const sockets: Socket[] = [];
    try {
      object = this.#binding.openObject(this.#objectPath);
      object.load();
      const map = object.map('selftest_socks');
      object.program('selftest_verdict').attachSockmap(map);
      object.program('selftest_arrived').attachSockmap(map);
      server = createServer({ pauseOnConnect: true });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const accepted = once(server, 'connection');
      const writer = connect({
        port: (server.address() as { port: number }).port,
        host: '127.0.0.1',
      });
      sockets.push(writer);
      await once(writer, 'connect');
      const [reader] = (await accepted) as [Socket];
      sockets.push(reader);
      const fds = { writer: fdOf(writer), reader: fdOf(reader) };
      map.update(u32.encode(1), u64.encode(BigInt(fds.reader)));
      map.update(u32.encode(0), u64.encode(BigInt(fds.writer)));
      return await this.#exchange(object, fds);
    } catch (error) {
      return {
        ok: false,
        reason: `the kernel refuses a sockhash with two verdicts: ${(error as Error).message}`,
      };
    } finally {
      for (const socket of sockets) socket.destroy();
      server?.close();
      object?.close();
    }
  }

  async #exchange(
    object: BpfObject,
    fds: { writer: number; reader: number },
  ): Promise<SelfTestResult> {
    const control = object.map('selftest_control');
    const leg = (redirect: boolean): void =>
      control.update(u32.encode(0), u64.encode(redirect ? 1n : 0n));
    const expected: Uint8Array[] = [];
    /* Mixed order: T R T T R R T; each leg begins only when the other's bytes have arrived, as the verdict demands. */
    for (const [i, redirect] of [false, true, false, false, true, true, false].entries()) {
      leg(redirect);
      const message = pattern(i, MESSAGE);
      if (!(await this.#send(fds.writer, message))) {
        return { ok: false, reason: `message ${i} was not accepted` };
      }
      expected.push(message);
      const want = expected.length * MESSAGE;
      if (!(await this.#until(() => this.#binding.bytesReadable(fds.reader) === want))) {
        return {
          ok: false,
          reason: `FIONREAD says ${this.#binding.bytesReadable(fds.reader)} of ${want} bytes after ${redirect ? 'a redirected' : 'a TCP'} message`,
        };
      }
    }
    const mixed = await this.#read(fds.reader, expected.length * MESSAGE);
    if (!mixed || Buffer.compare(mixed, Buffer.concat(expected)) !== 0) {
      return { ok: false, reason: 'redirected and TCP bytes were read out of order' };
    }
    /* copied_seq: bulk by redirection, then by TCP, then again: nothing may be lost. */
    for (const redirect of [true, false, true, false]) {
      leg(redirect);
      const bulk = pattern(redirect ? 91 : 17, BULK);
      const got = await this.#pump(fds, bulk);
      if (!got || Buffer.compare(got, bulk) !== 0) {
        return {
          ok: false,
          reason: `bulk after ${redirect ? 'TCP' : 'redirection'} was lost or changed (copied_seq)`,
        };
      }
    }
    leg(false);
    control.update(u32.encode(3), u64.encode(BigInt(OVERLAP)));
    const overlapping = pattern(55, MESSAGE);
    const rest = (await this.#send(fds.writer, overlapping))
      ? await this.#read(fds.reader, MESSAGE - OVERLAP)
      : undefined;
    if (!rest || Buffer.compare(rest, overlapping.subarray(OVERLAP)) !== 0) {
      return { ok: false, reason: 'bytes that arrive twice cannot be cut off a segment' };
    }
    const count = (i: number): bigint =>
      u64.decode(control.lookup(u32.encode(i)) ?? new Uint8Array(8));
    if (count(1) < 5n) return { ok: false, reason: 'nothing was redirected' };
    return {
      ok: true,
      evidence: `${count(1)} messages redirected, ${count(2)} by TCP, order, FIONREAD, copied_seq and cut of overlaps right`,
    };
  }

  /** Whole, or not at all; a node short of TCP memory takes it later. */
  #send(fd: number, message: Uint8Array): Promise<boolean> {
    let at = 0;
    return this.#until(() => {
      const n = this.#binding.sendNow(fd, message.subarray(at));
      if (n > 0) at += n;
      return at === message.length;
    });
  }

  async #pump(
    fds: { writer: number; reader: number },
    bytes: Uint8Array,
  ): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let received = 0;
    for (let sent = 0; sent < bytes.length;) {
      const n = this.#binding.sendNow(fds.writer, bytes.subarray(sent, sent + 16_384));
      if (n > 0) sent += n;
      const part = await this.#read(fds.reader, Math.max(n, 0));
      if (!part) return undefined;
      parts.push(part);
      received += part.length;
    }
    return received === bytes.length ? Buffer.concat(parts) : undefined;
  }

  async #read(fd: number, length: number): Promise<Buffer | undefined> {
    const whole = Buffer.alloc(length);
    let at = 0;
    const full = await this.#until(() => {
      while (at < length) {
        const n = this.#binding.recvNow(fd, whole.subarray(at));
        if (n <= 0) return false;
        at += n;
      }
      return true;
    });
    return full ? whole : undefined;
  }

  /** Bytes on the TCP leg arrive through softirq: give them up to a second. */
  async #until(done: () => boolean): Promise<boolean> {
    for (let i = 0; i < 200; i++) {
      if (done()) return true;
      await sleep(i < 20 ? 0 : 5);
    }
    return false;
  }
}
